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
wanted="$PWD/infra/dev/schemathesis/requirements.txt"
NOT_FETCHED=3

# Sets `schemathesis`; a folder that is there is whole, for it is renamed into place.
need_schemathesis() {
    local folder part
    folder="${XDG_CACHE_HOME:-$HOME/.cache}/trustcard/tools/schemathesis-$(sha256sum "$wanted" | cut -c 1-12)"
    schemathesis="$folder/bin/python3"
    [ -x "$schemathesis" ] && return
    say "Fetching schemathesis"
    mkdir -p "${folder%/*}"
    part=$(mktemp -d "$folder-part.XXXXXX")
    if ! { python3 -m venv --help >/dev/null && python3 -m venv "$part"; } 2>/dev/null; then
        need_packages python3-venv
        python3 -m venv "$part"
    fi
    if ! "$part/bin/python3" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$wanted" >&2; then
        rm -rf "$part"
        printf '\n\033[1;31merror:\033[0m schemathesis could not be fetched from PyPI; see above\n' >&2
        exit "$NOT_FETCHED"
    fi
    mv "$part" "$folder"
}

need_schemathesis
data=$(mktemp -d)
RATE_LIMIT_ENABLED=false LOG_LEVEL=ERROR API_PORT=0 "$trustcard" up --sample-site --no-ml --data-dir "$data" >/dev/null &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null || true; rm -rf "$data"' EXIT
until [ -e "$data/up.json" ]; do
    kill -0 "$server" 2>/dev/null || die "trustcard up did not start"
    sleep 0.1
done
api=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["api"])' "$data/up.json")

say "Schemathesis asks $api"
# Its own folder for what it leaves behind.
cd "$data"
code=0
"$schemathesis" -m schemathesis.cli --config-file "$settings" run "$api/openapi.json" || code=$?
kill -0 "$server" 2>/dev/null || die "trustcard up ended under it"
exit "$code"
