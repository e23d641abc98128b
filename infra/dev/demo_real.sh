#!/usr/bin/env bash
# The demo on Apache Kafka and Apache Cassandra: starts them empty, makes topics and tables, runs the demo, stops them.
# Arguments go to `trustcard demo`.
set -euo pipefail
# shellcheck source=infra/dev/need.sh
. "$(dirname "${BASH_SOURCE[0]}")/need.sh"

build_demo "$@"

# Apart from the servers of `make servers-up`: results of an earlier demo would be used again and nothing would be seen to run.
servers="$PWD/target/demo-servers" kafka=19392 cql=19342
stop() {
    infra/dev/kafka.sh stop "$servers/kafka" & infra/dev/cassandra.sh stop "$servers/cassandra"
    wait
    rm -rf "$servers"
}
say "Starting Kafka and Cassandra"
stop
trap stop EXIT
infra/dev/kafka.sh start "$servers/kafka" "$kafka" & started=$!
infra/dev/cassandra.sh start "$servers/cassandra" "$cql"
wait "$started"

export TRUSTCARD__KAFKA__BOOTSTRAP="127.0.0.1:$kafka" TRUSTCARD__TOPICS__REPLICATION=1
export TRUSTCARD__DATABASE__BACKEND=scylla TRUSTCARD__DATABASE__NODES="127.0.0.1:$cql" TRUSTCARD__DATABASE__REPLICATION_FACTOR=1
say "Making topics and tables"
"$trustcard" topics create >&2
"$trustcard" migrate >&2
say "Running the demo"
# Ctrl-C is for the demo, which ends by it; the servers are stopped after that.
trap : INT
"$trustcard" demo --real "${no_ml[@]}" "$@"
