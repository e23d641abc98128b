#!/usr/bin/env bash
# Prints the Python that the examples of client/examples run with, in an environment that it makes once, under target/.
#
# Exits with 3 when the packages can't be fetched from PyPI.
set -euo pipefail
# shellcheck source=infra/dev/need.sh
. "$(dirname "${BASH_SOURCE[0]}")/need.sh"

wanted="$PWD/client/examples/requirements.txt"
folder="${CARGO_TARGET_DIR:-$PWD/target}/tools/examples-$(sha256sum "$wanted" | cut -c 1-12)"
NOT_FETCHED=3

mkdir -p "${folder%/*}"
# Two tests that begin at once make one.
exec {lock}>"${folder%/*}/examples.lock"
flock "$lock"
# A folder that is there is whole, for it is renamed into place.
if [ ! -d "$folder" ]; then
    say "Fetching what the Python examples need"
    part=$(mktemp -d "$folder-part.XXXXXX")
    if ! python3 -m venv "$part" >/dev/null 2>&1; then
        need_packages python3-venv
        python3 -m venv "$part" >&2
    fi
    if ! "$part/bin/python3" -m pip install --quiet --disable-pip-version-check --requirement "$wanted" >&2; then
        rm -rf "$part"
        printf '\n\033[1;31merror:\033[0m the packages of the examples could not be fetched from PyPI; see above\n' >&2
        exit "$NOT_FETCHED"
    fi
    mv "$part" "$folder"
fi
echo "$folder/bin/python3"
