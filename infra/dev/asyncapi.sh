#!/usr/bin/env bash
# Asks AsyncAPI's own validator whether schemas/asyncapi.json is a valid document. That its examples fit it, a test of schemas/ asks.
#
#   asyncapi.sh [DOCUMENT]
#
# Exits with 3 when the validator is not there and can't be fetched from npm.
set -euo pipefail
# shellcheck source=infra/dev/need.sh
. "$(dirname "${BASH_SOURCE[0]}")/need.sh"

document=$(realpath "${1:-schemas/asyncapi.json}")
wanted="$PWD/infra/dev/asyncapi"
NOT_FETCHED=3

# Sets `folder`, where the validator is; a folder that is there is whole, for it is renamed into place.
need_validator() {
    local part
    folder="${XDG_CACHE_HOME:-$HOME/.cache}/trustcard/tools/asyncapi-$(sha256sum "$wanted/package-lock.json" | cut -c 1-12)"
    [ ! -d "$folder" ] || return 0
    say "Fetching the AsyncAPI validator (190 MB, once)"
    mkdir -p "${folder%/*}"
    part=$(mktemp -d "$folder-part.XXXXXX")
    cp "$wanted"/package*.json "$part"
    if ! npm ci --prefix "$part" --ignore-scripts --omit=dev --omit=optional --no-audit --no-fund >&2; then
        rm -rf "$part"
        printf '\n\033[1;31merror:\033[0m the AsyncAPI validator could not be fetched from npm; see above\n' >&2
        exit "$NOT_FETCHED"
    fi
    mv "$part" "$folder"
}

need_command node nodejs
need_command npm
need_validator
# It tells its makers of every use unless it runs in CI.
CI=true ASYNCAPI_METRICS_CONFIG_PATH="$folder/analytics.json" "$folder/node_modules/.bin/asyncapi" validate "$document"
