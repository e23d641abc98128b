#!/usr/bin/env bash
# Every test of the workspace.
set -euo pipefail
# shellcheck source=infra/dev/need.sh
. "$(dirname "${BASH_SOURCE[0]}")/need.sh"

need_build_tools
need_command kcat # an independent client reads what TrustCard writes
say "Building TrustCard and its tests"
# All targets at once: the tests run the binary, and building it apart would compile many dependencies a second time.
cargo build --workspace --all-targets --locked
pull_models "${CARGO_TARGET_DIR:-target}/debug/trustcard" || true # the tests run with those components off
say "Testing"
# More threads than processors: most tests wait for a broker, a server or a process of their own.
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-8}"
cargo test --workspace --locked
