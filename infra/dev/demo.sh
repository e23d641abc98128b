#!/usr/bin/env bash
# Builds TrustCard, fetches its models and runs the demo. Arguments go to `trustcard demo`.
set -euo pipefail
# shellcheck source=infra/dev/need.sh
. "$(dirname "${BASH_SOURCE[0]}")/need.sh"

need_build_tools
say "Building TrustCard (10 to 15 minutes the first time)"
cargo build --release --locked --bin trustcard
trustcard="${CARGO_TARGET_DIR:-target}/release/trustcard"
case " $* " in
    *" --no-ml "*) ;;
    *) pull_models "$trustcard" >&2 || set -- --no-ml "$@" ;;
esac
exec "$trustcard" demo "$@"
