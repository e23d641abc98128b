#!/usr/bin/env bash
# Every test of the workspace, on servers that it starts unless they run, and stops again.
set -euo pipefail
# shellcheck source=infra/dev/need.sh
. "$(dirname "${BASH_SOURCE[0]}")/need.sh"

need_build_tools
need_command kcat # an independent client reads what TrustCard writes
need_command openssl # makes certificates
need_nginx
need_command chromium # opens the pages
need_faketime # a minute passes for one test's server alone
need_promtool # checks what TrustCard shows to Prometheus
infra/dev/examples_python.sh >/dev/null || true # runs the examples; a test says what is missing then

fetched=0
infra/dev/axe.sh || fetched=$? # whether everybody can read the pages
if [ "$fetched" = 3 ] && [ "${CI:-}" != true ]; then
    export TRUSTCARD_TEST_AXE=none
elif [ "$fetched" != 0 ]; then
    die "axe-core is needed; see above"
fi

# Nothing here lives long enough for what takes time first and saves it later.
export BRIEF_SERVERS=1

say "Building TrustCard and its tests"
# All targets at once: the tests run the binary, and building it apart would compile many dependencies a second time.
cargo build --workspace --all-targets --locked
pull_models "${CARGO_TARGET_DIR:-target}/debug/trustcard" || true # the tests run with those components off

say "Starting Kafka and Cassandra"
tests=()
three=()
! grep -rqs --include='*.rs' TRUSTCARD_TEST_KAFKA_3 schemas pipeline ingest-api consumers tests || three=(--three)
# A folder of its own, empty: what an earlier run left on topics is no test's business.
ours="$PWD/target/test-servers"
TRUSTCARD_SERVERS_DIR="$ours" infra/dev/servers.sh down
rm -rf "$ours"
if ! infra/dev/servers.sh status >/dev/null; then
    export TRUSTCARD_SERVERS_DIR="$ours"
    trap 'infra/dev/servers.sh down && rm -rf "$ours"' EXIT
fi
code=0
infra/dev/servers.sh up "${three[@]}" || code=$?
if [ "$code" = 3 ]; then
    real=$(cargo test --workspace --locked --quiet -- --list real:: 2>/dev/null | sed -n 's/: test$//p')
    suites=$(grep -o '^.*real::' <<<"$real" | sort -u | paste -sd ' ')
    [ "${CI:-}" != true ] || die "the servers' jars could not be fetched, so these suites can't run: $suites"
    tests=(--skip real::)
elif [ "$code" != 0 ]; then
    die "the servers did not start"
fi

say "Testing"
# More threads than processors: most tests wait for a broker, a server or a process of their own.
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-8}"
cargo test --workspace --locked --no-fail-fast -- "${tests[@]}"

fetched_check "the API against its description" PyPI "the API does not keep what its description promises" \
    infra/dev/schemathesis.sh "${CARGO_TARGET_DIR:-target}/debug/trustcard"
[ "$code" = 0 ] || say "SKIPPED $(wc -l <<<"$real") tests, for want of Kafka and Cassandra: $suites"
[ "${TRUSTCARD_TEST_AXE:-}" != none ] || say "SKIPPED axe-core, for want of npm"
