#!/usr/bin/env bash
# Apache Cassandra in a folder, for tests on this machine: jars from Maven Central, one node, listening on 127.0.0.1 only.
#
#   cassandra.sh start DIR PORT    CQL at PORT; PORT+1 is its storage port
#   cassandra.sh stop DIR | kill DIR
#
# `start` on a folder of an earlier start keeps its data and does nothing if it runs. It returns when CQL answers.
# CASSANDRA_HEAP is the heap (1g). Exits with 3 when the jars can't be fetched.
set -euo pipefail
[ "$#" -ge 2 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 2; }
command=$1 dir=$(realpath -m -- "$2")
# shellcheck source=infra/dev/servers/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/servers/common.sh"

# Whether the port speaks CQL: an OPTIONS frame of protocol 4 is answered by SUPPORTED (opcode 6).
answers() {
    python3 - "$1" <<'EOF'
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1) as server:
    server.settimeout(2)
    server.sendall(bytes([4, 0, 0, 0, 5, 0, 0, 0, 0]))
    header = server.recv(9)
    sys.exit(0 if len(header) >= 5 and header[4] == 6 else 1)
EOF
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
        if ! pid_of "$dir" >/dev/null; then
            mkdir -p "$dir"
            sed -e "s|@DIR@|$dir|g" -e "s|@PORT@|$port|g" -e "s|@STORAGE_PORT@|$((port + 1))|g" "$here/cassandra/cassandra.yaml" >"$dir/cassandra.yaml"
            heap=${CASSANDRA_HEAP:-1g}
            mapfile -t access < <(access)
            # One node waits for no other: not for gossip, not for the ring.
            launch "$dir" -Xms"$heap" -Xmx"$heap" -XX:+UseG1GC -XX:+ExitOnOutOfMemoryError -Xss512k \
                -javaagent:"$(printf '%s' "$jars"/jamm-*.jar)" "${access[@]}" -Djdk.attach.allowAttachSelf=true \
                -Dcassandra.config="file://$dir/cassandra.yaml" -Dcassandra.storagedir="$dir" -Dcassandra-foreground=yes \
                -Dlogback.configurationFile="$here/cassandra/logback.xml" -Djava.io.tmpdir="$dir" \
                -Dcassandra.skip_wait_for_gossip_to_settle=0 -Dcassandra.ring_delay_ms=0 \
                -cp "$jars/*" org.apache.cassandra.service.CassandraDaemon
        fi
        await "$dir" answers "$port"
        ;;
    stop) end TERM "$dir" ;;
    kill) end KILL "$dir" ;;
    *) die "unknown: $command; cassandra.sh without arguments tells how it is used" ;;
esac
