#!/usr/bin/env bash
# The servers that tests use, shared by all of them: Kafka with one broker, Cassandra, and Kafka with three brokers.
#
#   servers.sh up [--three]   starts what does not run; --three: the three brokers too
#   servers.sh down           stops what it started
#   servers.sh status         tells what runs where; fails unless Kafka (one broker) and Cassandra run
#
# Data is under TRUSTCARD_SERVERS_DIR (target/servers) and kept by `down`. Another checkout's servers on these ports are used as
# they are and left alone. Exits with 3 when the jars can't be fetched.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
given=${TRUSTCARD_SERVERS_DIR:+$(realpath -m -- "$TRUSTCARD_SERVERS_DIR")}
# shellcheck source=infra/dev/servers/common.sh
. "$scripts/servers/common.sh"
data=${given:-$(realpath -m -- "${CARGO_TARGET_DIR:-target}/servers")}

status() {
    local down=0
    report "Kafka" "$data/kafka" "127.0.0.1:19092" TRUSTCARD_TEST_KAFKA || down=1
    report "Cassandra" "$data/cassandra" "127.0.0.1:19042" TRUSTCARD_TEST_CQL || down=1
    report "Kafka, 3 brokers" "$data/kafka3/1" "127.0.0.1:19192,127.0.0.1:19202,127.0.0.1:19212" TRUSTCARD_TEST_KAFKA_3 || true
    return "$down"
}

# One line about a server: report NAME DIR ADDRESSES VARIABLE
report() {
    local pid port=${3%%,*}
    if pid=$(pid_of "$2"); then
        printf '%-17s %-47s %-26s %s\n' "$1" "$3" "pid $pid" "$4"
    elif taken "${port#*:}"; then
        printf '%-17s %-47s %-26s %s\n' "$1" "$3" "started from elsewhere" "$4"
    else
        printf '%-17s %-47s not running\n' "$1" "$3"
        return 1
    fi
}

# Whether something listens on a port.
taken() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Starts a server unless someone else's listens there: start SCRIPT VERB DIR PORT
start() {
    if ! pid_of "$3" >/dev/null && ! pid_of "$3/1" >/dev/null && taken "$4"; then
        return
    fi
    "$scripts/$1" "$2" "$3" "$4"
}

case ${1:-} in
    up)
        mkdir -p "$data"
        # Two that start it at once would start two.
        exec {lock}>"$data/up.lock"
        flock "$lock"
        # Side by side: each mostly waits for itself.
        started=()
        start kafka.sh start "$data/kafka" 19092 & started+=($!)
        start cassandra.sh start "$data/cassandra" 19042 & started+=($!)
        code=0
        for job in "${started[@]}"; do wait "$job" || code=$?; done
        [ "$code" = 0 ] || exit "$code"
        if [ "${2:-}" = --three ]; then start kafka.sh start3 "$data/kafka3" 19192; fi
        status
        ;;
    down)
        for server in kafka kafka3; do "$scripts/kafka.sh" stop "$data/$server" & done
        "$scripts/cassandra.sh" stop "$data/cassandra"
        wait
        ;;
    status) status ;;
    *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
