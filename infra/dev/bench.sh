#!/usr/bin/env bash
# Benches, each on servers of its own: nothing else may use the machine meanwhile.
#
#   bench.sh engine [--quick] [OPTIONS...]   our engine against the bare client loop, Kafka Streams and ruststream
#   bench.sh latency [--quick]               from a submission to its result, on an idle pipeline
#   bench.sh http [--quick]                  10,000 connections, 1,000 requests a second, and liveness meanwhile
#   bench.sh ingest [--quick]                accepted URLs per CPU-second, against a bare handler
#   bench.sh throughput [--quick]            analyses per second and CPU-second of every role, on 1 to 12 partitions
#   bench.sh detect [--quick]                pictures per second and CPU-second, against a bare loop over the same runtime
#
# The report is target/bench/NAME.json; the exit code is 1 when a mark is missed. --quick only shows that a bench works.
set -euo pipefail
# shellcheck source=infra/dev/need.sh
. "$(dirname "${BASH_SOURCE[0]}")/need.sh"

bench=${1:-}
shift || true
target=$(realpath -m -- "${CARGO_TARGET_DIR:-target}")
out="$target/bench"
KAFKA_PORT=19392

# Kafka of this bench alone, ended with it; its data stays, so that the input is written once.
start_kafka() {
    mkdir -p "$out"
    trap 'infra/dev/kafka.sh stop "$out/kafka"' EXIT
    infra/dev/kafka.sh start "$out/kafka" "$KAFKA_PORT"
}

# A bench and the roles that it starts.
build_bench() {
    say "Building (release)"
    cargo build --release --locked --package trustcard --package trustcard-benches --bin trustcard --bin "bench-$1"
}

# Class path of the Kafka Streams peer.
build_streams() {
    local peer=benches/peers/kafka-streams
    need_command mvn maven
    mvn -q -B -f "$peer/pom.xml" -DbuildDirectory="$target/kafka-streams" compile dependency:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$target/kafka-streams/jars" >&2
    printf '%s\n' "$target/kafka-streams/classes:$target/kafka-streams/jars/*"
}

# The ruststream peer's binary.
build_ruststream() {
    cargo build --release --locked --manifest-path benches/peers/ruststream/Cargo.toml --target-dir "$target/ruststream" >&2
    printf '%s\n' "$target/ruststream/release/trustcard-bench-ruststream"
}

# Descriptors for 10,000 connections, of which both sides have one each.
many_connections() {
    ulimit -n "$(ulimit -H -n)"
    [ "$(ulimit -n)" = unlimited ] || [ "$(ulimit -n)" -ge 12000 ] || die "10,000 connections need ulimit -n 12000, this is $(ulimit -n)"
}

case $bench in
    engine)
        need_build_tools
        say "Building the engine bench and its peers"
        cargo build --release --locked --package trustcard-benches --bin bench-engine
        streams=$(build_streams)
        ruststream=$(build_ruststream)
        start_kafka
        say "Measuring; this takes 25 minutes, or 2 with --quick"
        "$target/release/bench-engine" run --bootstrap "127.0.0.1:$KAFKA_PORT" --streams "$streams" \
            --ruststream "$ruststream" --out "$out" "$@"
        ;;
    latency)
        need_build_tools
        infra/dev/servers.sh up
        build_bench latency
        say "Measuring; this takes 5 minutes, or 1 with --quick"
        "$target/release/bench-latency" --out "$out" "$@"
        ;;
    http)
        need_build_tools
        build_bench http
        many_connections
        say "Measuring; this takes a minute and a half, or some seconds with --quick"
        "$target/release/bench-http" --out "$out" "$@"
        ;;
    ingest)
        need_build_tools
        infra/dev/servers.sh up
        build_bench ingest
        many_connections
        say "Measuring; this takes 10 minutes, or 1 with --quick"
        "$target/release/bench-ingest" --out "$out" "$@"
        ;;
    throughput)
        need_build_tools
        infra/dev/servers.sh up
        build_bench throughput
        say "Measuring; this takes 10 minutes, or 1 with --quick"
        "$target/release/bench-throughput" --out "$out" "$@"
        ;;
    detect)
        need_build_tools
        need_python onnxruntime "$PWD/benches/peers/onnxruntime/requirements.txt"
        build_bench detect
        "$target/release/trustcard" models pull
        say "Measuring; this takes 5 minutes, or half a one with --quick"
        # shellcheck disable=SC2154 # set by need_python
        "$target/release/bench-detect" --out "$out" --python "$python" "$@"
        ;;
    *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
