#!/usr/bin/env bash
# Whether nginx, systemd and nftables understand what is written for them in infra/.
set -euo pipefail
# shellcheck source=infra/dev/need.sh
. "$(dirname "${BASH_SOURCE[0]}")/need.sh"

# Exposure of a unit, in tenths, beyond which systemd-analyze security is not content.
MOST_EXPOSED=15

infra/dev/nginx.sh check

need_command systemd-analyze systemd
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
# A system that has these units, systemd's own and the binary, so that nothing of this machine's plays a part.
mkdir -p "$root/etc/systemd/system" "$root/usr/lib/systemd" "$root/usr/local/bin"
cp -a /usr/lib/systemd/system "$root/usr/lib/systemd/"
cp -r infra/systemd/. "$root/etc/systemd/system/"
install -m 755 /dev/null "$root/usr/local/bin/trustcard"
units=()
for unit in infra/systemd/*@.service; do
    unit=${unit##*/}
    units+=("${unit%@.service}@9100.service")
done
# It fails for what it can't start, and only tells of what it does not know.
told=$(systemd-analyze verify --root="$root" "${units[@]}" trustcard.target 2>&1) || die "$told"
! grep trustcard <<<"$told" >&2 || die "systemd does not understand a unit: see above"
for unit in "${units[@]}"; do
    systemd-analyze security --offline=yes --threshold="$MOST_EXPOSED" --no-pager --root="$root" "$unit" >"$root/report" 2>&1 \
        || die "$unit is more exposed than $MOST_EXPOSED tenths: $(cat "$root/report")"
done

need_command nft nftables
# In a network namespace of its own: looking is changing, for the kernel, and needs the right to.
if unshare -rn true 2>/dev/null; then
    unshare -rn "$(command -v nft || echo /usr/sbin/nft)" -c -f infra/firewall/trustcard.nft
else
    say "NOT CHECKED: infra/firewall/trustcard.nft, for want of a network namespace"
fi
