#!/usr/bin/env bash
# Fetches axe-core, which the test of the pages asks whether everybody can read them.
#
# Exits with 3 when it is not there and can't be fetched from npm.
set -euo pipefail
# shellcheck source=infra/dev/need.sh
. "$(dirname "${BASH_SOURCE[0]}")/need.sh"

# The test names the same version.
version=4.14.1
sha256=e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745
NOT_FETCHED=3

folder="${XDG_CACHE_HOME:-$HOME/.cache}/trustcard/tools/axe-core-$version"
[ ! -s "$folder/axe.min.js" ] || exit 0
need_command npm
say "Fetching axe-core"
part=$(mktemp -d)
trap 'rm -rf "$part"' EXIT
if ! (cd "$part" && npm pack --silent "axe-core@$version" >/dev/null); then
    printf '\n\033[1;31merror:\033[0m axe-core could not be fetched from npm; see above\n' >&2
    exit "$NOT_FETCHED"
fi
echo "$sha256  $part/axe-core-$version.tgz" | sha256sum --check --quiet || die "axe-core is not what it was"
tar -xzf "$part/axe-core-$version.tgz" -C "$part" package/axe.min.js
mkdir -p "$folder"
mv "$part/package/axe.min.js" "$folder/axe.min.js.part"
mv "$folder/axe.min.js.part" "$folder/axe.min.js"
