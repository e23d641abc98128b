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
cargo test --workspace --locked
