#!/usr/bin/env bash
# Asks a running server what its description promises: schemathesis makes requests from /openapi.json, good and bad ones, and holds
# every answer against it.
#
#   schemathesis.sh [TRUSTCARD]   on a server that it starts and stops, by this binary (target/debug/trustcard)
#
# Exits with 3 when schemathesis is not there and can't be fetched from PyPI.
set -euo pipefail
# shellcheck source=infra/dev/need.sh
. "$(dirname "${BASH_SOURCE[0]}")/need.sh"

trustcard=${1:-${CARGO_TARGET_DIR:-target}/debug/trustcard}
settings="$PWD/infra/dev/schemathesis/schemathesis.toml"
export SCHEMATHESIS_HOOKS="$PWD/infra/dev/schemathesis/hooks.py"

need_python schemathesis "$PWD/infra/dev/schemathesis/requirements.txt" --no-deps
data=$(mktemp -d)
RATE_LIMIT_ENABLED=false LOG_LEVEL=ERROR API_PORT=0 "$trustcard" up --sample-site --no-ml --data-dir "$data" >/dev/null &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null || true; rm -rf "$data"' EXIT
until [ -e "$data/up.json" ]; do
    kill -0 "$server" 2>/dev/null || die "trustcard up did not start"
    sleep 0.1
done
api=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["api"])' "$data/up.json")

# Before it is ready its probes say so with 503, which is no fault of theirs.
until python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1] + "/health/ready")' "$api" 2>/dev/null; do
    kill -0 "$server" 2>/dev/null || die "trustcard up ended before it was ready"
    sleep 0.1
done

say "Schemathesis asks $api"
# Its own folder for what it leaves behind.
cd "$data"
code=0
"$python" -m schemathesis.cli --config-file "$settings" run "$api/openapi.json" || code=$?
kill -0 "$server" 2>/dev/null || die "trustcard up ended under it"
exit "$code"
