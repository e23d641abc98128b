#!/usr/bin/env bash
# The fault table at full size, on real servers. Arguments: numbers of rows; none for all.
set -euo pipefail
# shellcheck source=infra/dev/need.sh
. "$(dirname "${BASH_SOURCE[0]}")/need.sh"

need_build_tools
# Row 19 steps the clock of one process with it.
need_faketime
infra/dev/servers.sh up
say "Building (release)"
cargo build --release --locked -p trustcard -p trustcard-tests --bins
"${CARGO_TARGET_DIR:-target}/release/faults" "$@"
