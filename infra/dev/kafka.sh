#!/usr/bin/env bash
# Apache Kafka in a folder, for tests on this machine: jars from Maven Central, KRaft, listening on 127.0.0.1 only.
#
#   kafka.sh start DIR PORT [PROXIED_PORT]   one broker
#   kafka.sh start3 DIR PORT                 three brokers at PORT, PORT+10 and PORT+20, in DIR/1, DIR/2 and DIR/3
#   kafka.sh again DIR                       a broker that was stopped or killed, as it was started: again DIR/2
#   kafka.sh stop DIR | kill DIR             ends the broker, or all three, of DIR; kill is SIGKILL
#   kafka.sh run CLASS ARGS...               one of Kafka's tools
#
# PORT is for clients, PORT+2 for the controller. With PROXIED_PORT the broker also listens on PORT+1 and says there that it is
# reached at 127.0.0.1:PROXIED_PORT: a test's proxy listens on PROXIED_PORT and passes on to PORT+1.
# `start` on a folder of an earlier start keeps its data and does nothing if it runs. It returns when the broker answers.
# KAFKA_HEAP is the heap (1g). With BRIEF_SERVERS=1 a broker starts with two thirds of the work, but is slower in the long run. With
# KAFKA_SECURE=1 a new single broker takes only clients that speak TLS and log in with SCRAM-SHA-512, and lets them do only what an ACL
# allows: see `secure` below. Exits with 3 when the jars can't be fetched.
set -euo pipefail
[ "$#" -ge 2 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 2; }
command=$1 dir=$(realpath -m -- "$2")
# shellcheck source=infra/dev/servers/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/servers/common.sh"

# The three brokers of one cluster know it by this id; clusters never meet, so all have the same.
CLUSTER_ID=dHJ1c3RjYXJkLWRldi0wMQ
LOGIN=org.apache.kafka.common.security.scram.ScramLoginModule

# Writes a broker's settings: configure DIR NODE PORT VOTERS BROKERS [PROXIED_PORT]
configure() {
    local copies=1 safe=1 protocols=CLIENT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT listeners="CLIENT://127.0.0.1:$3" advertised="CLIENT://127.0.0.1:$3"
    [ "$5" = 1 ] || copies=3 safe=2
    if [ -n "${6:-}" ]; then
        listeners+=",PROXIED://127.0.0.1:$(($3 + 1))"
        advertised+=",PROXIED://127.0.0.1:$6"
    fi
    mkdir -p "$1"
    [ -z "${KAFKA_SECURE:-}" ] || secure "$1"
    # One that was made so stays so.
    [ ! -e "$1/secure.properties" ] || protocols=CLIENT:SASL_SSL,PROXIED:SASL_SSL,CONTROLLER:SSL
    cat >"$1/server.properties" <<EOF
process.roles=broker,controller
node.id=$2
controller.quorum.voters=$4
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENT
listeners=$listeners,CONTROLLER://127.0.0.1:$(($3 + 2))
advertised.listeners=$advertised
listener.security.protocol.map=$protocols
log.dirs=$1/data

# Topics are made by name, never by a typo.
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=$copies
min.insync.replicas=$safe
offsets.topic.replication.factor=$copies
transaction.state.log.replication.factor=$copies
transaction.state.log.min.isr=$safe
share.coordinator.state.topic.replication.factor=$copies
share.coordinator.state.topic.min.isr=$safe

# Few partitions of Kafka's own topics, and small threads and buffers: a start takes seconds and several fit on one machine.
offsets.topic.num.partitions=5
transaction.state.log.num.partitions=5
share.coordinator.state.topic.num.partitions=1
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=8388608
log.segment.bytes=67108864
log.index.size.max.bytes=1048576

# On a machine that is busy a broker may take long to start; it gives up after a minute unless told to wait.
initial.broker.registration.timeout.ms=300000

# A group forms at once, and may say that it is dead sooner than production groups should.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.min.heartbeat.interval.ms=200
group.consumer.session.timeout.ms=10000
group.consumer.heartbeat.interval.ms=1000

# A transaction of a dead client ends at its timeout, not up to ten seconds later.
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
transaction.max.timeout.ms=900000
EOF
    [ ! -e "$1/secure.properties" ] || cat "$1/secure.properties" >>"$1/server.properties"
}

# TLS, passwords and ACLs, as in docs/production_deployment.md: secure DIR. Certificates are in DIR/tls; the user `admin` may do all,
# `trustcard` what ACLs say; each has its name and `-secret` as its password. DIR/client.properties makes Kafka's tools the admin.
secure() {
    "$here/../certificates.sh" "$1/tls"
    cat >"$1/secure.properties" <<EOF

ssl.keystore.type=PEM
ssl.keystore.location=$1/tls/server-all.pem
ssl.truststore.type=PEM
ssl.truststore.location=$1/tls/ca.pem
listener.name.controller.ssl.client.auth=required
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.client.scram-sha-512.sasl.jaas.config=$LOGIN required username="admin" password="admin-secret";
listener.name.proxied.scram-sha-512.sasl.jaas.config=$LOGIN required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:admin;User:CN=trustcard-server
EOF
    cat >"$1/client.properties" <<EOF
security.protocol=SASL_SSL
ssl.truststore.type=PEM
ssl.truststore.location=$1/tls/ca.pem
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=$LOGIN required username="admin" password="admin-secret";
EOF
}

# Makes the broker's folder a Kafka's; nothing if it is one.
format() {
    [ ! -e "$1/data/meta.properties" ] || return 0
    local user users=()
    if [ -e "$1/secure.properties" ]; then
        for user in admin trustcard; do users+=(--add-scram "SCRAM-SHA-512=[name=$user,password=$user-secret]"); done
    fi
    tool kafka.tools.StorageTool format -t "$CLUSTER_ID" -c "$1/server.properties" --ignore-formatted "${users[@]}" >"$1/format.log" 2>&1 \
        || die "$1 can't be formatted: see format.log there"
}

# Starts the broker of a configured folder unless it runs.
boot() {
    pid_of "$1" >/dev/null && return
    format "$1"
    forget "$1"
    machine "$1" "$1/server.properties"
}

# Runs a Kafka in the background: machine DIR PROPERTIES
machine() {
    local heap=${KAFKA_HEAP:-1g} collector=(-XX:+UseG1GC -XX:MaxGCPauseMillis=20)
    [ -z "${BRIEF_SERVERS:-}" ] || collector=(-XX:+UseSerialGC -XX:TieredStopAtLevel=1)
    launch "$1" -Xms"$heap" -Xmx"$heap" "${collector[@]}" -XX:+ExitOnOutOfMemoryError \
        -Djava.awt.headless=true -Dtrustcard.log.level=INFO -Dtrustcard.log.to=file \
        -Dlog4j2.configurationFile="$here/kafka/log4j2.properties" -cp "$jars/*" kafka.Kafka "$2"
}

# Before a single broker that was killed starts again: lets its controller, alone, take note that the broker is gone. A Kafka that is both would
# lead its partitions, lose them when the session of the killed one expires, and meanwhile end transactions without marking their
# records, so that readers take aborted ones for committed; see docs/decisions/0021.
forget() {
    [ -e "$1/data/meta.properties" ] && [ ! -e "$1/data/.kafka_cleanshutdown" ] && [ -d "$1/data/__cluster_metadata-0" ] || return 0
    ! grep -q '^controller.quorum.voters=.*,' "$1/server.properties" || return 0
    rm -rf "$1/controller"
    mkdir "$1/controller"
    sed -e 's/^process.roles=.*/process.roles=controller/' -e 's/^listeners=.*,CONTROLLER:/listeners=CONTROLLER:/' \
        -e '/^advertised.listeners=/d' -e '/^inter.broker.listener.name=/d' "$1/server.properties" >"$1/controller/server.properties"
    printf '%s\n' broker.session.timeout.ms=500 >>"$1/controller/server.properties"
    machine "$1/controller" "$1/controller/server.properties"
    await "$1/controller" fenced "$1/controller/broker.log"
    end TERM "$1/controller"
}

# Whether a controller with this log is active and knows that the broker is gone, if it ever knew of one.
fenced() {
    grep -q 'Becoming the active controller' "$1" || return
    [[ $(grep -oE ' for broker 1: .*fenced=(1|-1|true|false)' "$1" | tail -n 1) != *=-1 ]]
}

# Whether the broker of DIR answers, with as many brokers as its cluster has.
answers() {
    local brokers
    brokers=$(sed -n 's/^controller.quorum.voters=//p' "$1/server.properties" | tr ',' '\n' | wc -l)
    [ "$(known "$1")" = "$brokers" ]
}

# How many brokers the one of DIR knows, itself included; fails when it does not answer.
known() {
    local address
    address=$(sed -n 's/^listeners=CLIENT:\/\/\([^,]*\).*/\1/p' "$1/server.properties")
    if [ -e "$1/secure.properties" ]; then
        lets_in "${address#*:}" "$1/tls/ca.pem" && echo 1
    else
        kcat -b "$address" -L -m 2 2>/dev/null | sed -n 's/^ \([0-9]*\) brokers:$/\1/p' | grep .
    fi
}

# Whether a broker behind TLS answers and offers SCRAM, without logging in: Debian's kcat has a SCRAM that Kafka 4 refuses, and
# Kafka's own tools take seconds. SaslHandshake, version 1: key 17, version, correlation, no client id, the mechanism.
lets_in() {
    python3 - "$1" "$2" <<'EOF'
import socket, ssl, struct, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1) as plain:
    plain.settimeout(2)
    with ssl.create_default_context(cafile=sys.argv[2]).wrap_socket(plain, server_hostname="127.0.0.1") as server:
        request = struct.pack(">hhih", 17, 1, 0, -1) + struct.pack(">h", 13) + b"SCRAM-SHA-512"
        server.sendall(struct.pack(">i", len(request)) + request)
        answer = server.recv(10)
        sys.exit(0 if len(answer) == 10 and answer[8:10] == b"\0\0" else 1)
EOF
}

tool() {
    "$java" -Xmx256m -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$here/kafka/log4j2.properties" -cp "$jars/*" "$@"
}

# The folders of brokers in DIR: its own, or those of three.
brokers() {
    if [ -d "$1/1" ]; then printf '%s\n' "$1/1" "$1/2" "$1/3"; else printf '%s\n' "$1"; fi
}

case $command in
    start)
        need_command kcat
        need_jars kafka
        port=$3
        if ! pid_of "$dir" >/dev/null; then
            configure "$dir" 1 "$port" "1@127.0.0.1:$((port + 2))" 1 "${4:-}"
            boot "$dir"
        fi
        await "$dir" answers "$dir"
        ;;
    start3)
        need_command kcat
        need_jars kafka
        port=$3
        voters="1@127.0.0.1:$((port + 2)),2@127.0.0.1:$((port + 12)),3@127.0.0.1:$((port + 22))"
        for node in 1 2 3; do
            configure "$dir/$node" "$node" $((port + 10 * (node - 1))) "$voters" 3
            boot "$dir/$node"
        done
        for node in 1 2 3; do await "$dir/$node" answers "$dir/$node"; done
        ;;
    again)
        need_command kcat
        need_jars kafka
        [ -e "$dir/server.properties" ] || die "no broker was started in $dir"
        boot "$dir"
        await "$dir" known "$dir" >/dev/null
        ;;
    stop | kill)
        signal=TERM
        [ "$command" = stop ] || signal=KILL
        for broker in $(brokers "$dir"); do end "$signal" "$broker" & done
        wait
        ;;
    run)
        need_jars kafka
        tool "${@:2}"
        ;;
    *) die "unknown: $command; kafka.sh without arguments tells how it is used" ;;
esac
