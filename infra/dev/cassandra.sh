#!/usr/bin/env bash
# Apache Cassandra in a folder, for tests on this machine: jars from Maven Central, one node, listening on 127.0.0.1 only.
#
#   cassandra.sh start DIR PORT        CQL at PORT; PORT+1 is its storage port, PORT+2 its JMX port
#   cassandra.sh stop DIR | kill DIR
#   cassandra.sh run DIR COMMAND...    nodetool on the one of DIR, such as `run DIR status`
#
# `start` on a folder of an earlier start keeps its data and does nothing if it runs. It returns when CQL answers.
# CASSANDRA_HEAP is the heap (1g). With BRIEF_SERVERS=1 it starts and makes tables with a fraction of the work, but is slower in the long run,
# and SIGKILL may lose tables made since it started. With CASSANDRA_SECURE=1 a new one takes only clients that speak TLS, show a certificate and log in
# (`cassandra`, `cassandra`); their certificates are in DIR/tls. Exits with 3 when the jars can't be fetched.
set -euo pipefail
[ "$#" -ge 2 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 2; }
command=$1 dir=$(realpath -m -- "$2")
# shellcheck source=infra/dev/servers/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/servers/common.sh"

# Whether the port speaks CQL: an OPTIONS frame of protocol 4 is answered by SUPPORTED (opcode 6). With a folder of certificates it
# must also let its first user in: STARTUP (1) is answered by AUTHENTICATE (3), AUTH_RESPONSE (15) by AUTH_SUCCESS (16).
answers() {
    python3 - "$@" <<'EOF'
import socket, ssl, struct, sys

def ask(server, opcode, body=b""):
    server.sendall(struct.pack(">BBhBi", 4, 0, 0, opcode, len(body)) + body)
    header = server.recv(9)
    server.recv(struct.unpack(">i", header[5:9])[0])
    return header[4]

with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1) as server:
    server.settimeout(2)
    if len(sys.argv) == 2:
        sys.exit(0 if ask(server, 5) == 6 else 1)
    context = ssl.create_default_context(cafile=sys.argv[2] + "/ca.pem")
    context.load_cert_chain(sys.argv[2] + "/client.pem", sys.argv[2] + "/client.key")
    with context.wrap_socket(server, server_hostname="127.0.0.1") as server:
        version = struct.pack(">hh11sh5s", 1, 11, b"CQL_VERSION", 5, b"3.0.0")
        login = b"\0cassandra\0cassandra"
        begun = ask(server, 1, version) == 3
        sys.exit(0 if begun and ask(server, 15, struct.pack(">i", len(login)) + login) == 16 else 1)
EOF
}

# Adds to the settings of DIR that clients must speak TLS, show a certificate and log in.
secure() {
    infra/dev/certificates.sh "$1/tls"
    cat >>"$1/cassandra.yaml" <<EOF
authenticator:
  class_name: org.apache.cassandra.auth.PasswordAuthenticator
authorizer:
  class_name: org.apache.cassandra.auth.CassandraAuthorizer
role_manager:
  class_name: org.apache.cassandra.auth.CassandraRoleManager
client_encryption_options:
  enabled: true
  optional: false
  require_client_auth: true
  ssl_context_factory:
    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory
  keystore: $1/tls/server-all.pem
  truststore: $1/tls/ca.pem
EOF
}

# Runs a command of nodetool on the Cassandra of $dir.
nodetool() {
    local jmx access
    jmx=$(tr '\0' '\n' <"/proc/$(pid_of "$dir")/cmdline" | sed -n 's/^-Dcassandra.jmx.local.port=//p') || die "the Cassandra of $dir does not run"
    mapfile -t access < <(access)
    # Without a look at the server's settings it would complain that there are none.
    "$java" -Xmx128m -XX:TieredStopAtLevel=1 "${access[@]}" -Dcassandra.config="file://$dir/cassandra.yaml" \
        -Dcassandra.storagedir="$dir" -Dlogback.configurationFile="$here/cassandra/logback-tools.xml" \
        -cp "$jars/*" org.apache.cassandra.tools.NodeTool -h 127.0.0.1 -p "$jmx" "$@"
}

# Packages of Java 17 that Cassandra looks into.
access() {
    local package
    for package in java.base/jdk.internal.misc java.base/jdk.internal.ref java.base/java.lang.ref java.base/sun.nio.ch \
        java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry java.rmi/sun.rmi.server \
        java.rmi/sun.rmi.transport java.rmi/sun.rmi.transport.tcp java.sql/java.sql jdk.unsupported/sun.misc; do
        printf -- '--add-exports=%s=ALL-UNNAMED\n' "$package"
    done
    for package in java.base/java.lang java.base/java.lang.module java.base/java.lang.reflect java.base/java.io java.base/java.nio \
        java.base/java.net java.base/java.util java.base/java.util.concurrent java.base/java.util.concurrent.atomic \
        java.base/jdk.internal.loader java.base/jdk.internal.math java.base/jdk.internal.module java.base/jdk.internal.ref \
        java.base/jdk.internal.reflect java.base/jdk.internal.util.jar java.base/sun.nio.ch \
        jdk.management/com.sun.management.internal; do
        printf -- '--add-opens=%s=ALL-UNNAMED\n' "$package"
    done
}

case $command in
    start)
        need_command python3
        need_jars cassandra
        port=$3
        tls=() started=
        if ! pid_of "$dir" >/dev/null; then
            mkdir -p "$dir"
            sed -e "s|@DIR@|$dir|g" -e "s|@PORT@|$port|g" -e "s|@STORAGE_PORT@|$((port + 1))|g" "$here/cassandra/cassandra.yaml" >"$dir/cassandra.yaml"
            if [ -n "${CASSANDRA_SECURE:-}" ] || [ -e "$dir/tls" ]; then secure "$dir"; fi
            heap=${CASSANDRA_HEAP:-1g} manner=(-XX:+UseG1GC)
            [ -z "${BRIEF_SERVERS:-}" ] || manner=(-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dcassandra.test.flush_local_schema_changes=false)
            mapfile -t access < <(access)
            # One node waits for no other: not for gossip, not for the ring, nor with its first user for nodes that may have one.
            launch "$dir" -Xms"$heap" -Xmx"$heap" "${manner[@]}" -XX:+ExitOnOutOfMemoryError -Xss512k \
                -javaagent:"$(printf '%s' "$jars"/jamm-*.jar)" "${access[@]}" -Djdk.attach.allowAttachSelf=true \
                -Dcassandra.config="file://$dir/cassandra.yaml" -Dcassandra.storagedir="$dir" -Dcassandra-foreground=yes \
                -Dlogback.configurationFile="$here/cassandra/logback.xml" -Djava.io.tmpdir="$dir" \
                -Dcassandra.skip_wait_for_gossip_to_settle=0 -Dcassandra.ring_delay_ms=0 \
                -Dcassandra.superuser_setup_delay_ms=0 -Dcassandra.jmx.local.port="$((port + 2))" \
                -cp "$jars/*" org.apache.cassandra.service.CassandraDaemon
            started=${BRIEF_SERVERS:-}
        fi
        [ ! -e "$dir/tls" ] || tls=("$dir/tls")
        await "$dir" answers "$port" "${tls[@]}"
        # With no file at all a first one is news to the ring: told while a table is made and another emptied, it blocks all three for ever.
        [ -z "$started" ] || nodetool flush system_schema
        ;;
    run)
        need_jars cassandra
        nodetool "${@:3}"
        ;;
    stop) end TERM "$dir" ;;
    kill) end KILL "$dir" ;;
    *) die "unknown: $command; cassandra.sh without arguments tells how it is used" ;;
esac
