#!/usr/bin/env bash
# Builds TrustCard, fetches its models and runs the demo. Arguments go to `trustcard demo`.
set -euo pipefail
# shellcheck source=infra/dev/need.sh
. "$(dirname "${BASH_SOURCE[0]}")/need.sh"

build_demo "$@"
exec "$trustcard" demo "${no_ml[@]}" "$@"
