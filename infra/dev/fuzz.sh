#!/usr/bin/env bash
# Fuzzes what strangers' files go into, with AddressSanitizer.
#
#   fuzz.sh picture|video [SECONDS]   for so long, an hour unless told, on one processor
#
# What was found before is in target/fuzz/corpus and goes on from there; a file that breaks something is left in
# target/fuzz/artifacts, and the exit code is that of libFuzzer.
set -euo pipefail
# shellcheck source=infra/dev/need.sh
. "$(dirname "${BASH_SOURCE[0]}")/need.sh"

what=${1:-}
seconds=${2:-3600}
case $what in picture | video) ;; *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 2 ;; esac
need_build_tools
[ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo-fuzz" ] || cargo install --quiet --locked cargo-fuzz
target=$(realpath -m -- "${CARGO_TARGET_DIR:-target}")/fuzz
corpus="$target/corpus/$what"
mkdir -p "$corpus" "$target/artifacts/$what"
# The sanitizer is not stabilised yet; nothing else here asks for it.
export RUSTC_BOOTSTRAP=1
if [ "$what" = picture ]; then
    cp consumers/detect/tests/fixtures/*.{jpg,png,gif,webp} "$corpus"
else
    cargo run --quiet --manifest-path consumers/detect/fuzz/Cargo.toml --target-dir "$target/seeds" --example reel >"$corpus/reel.mp4"
fi
cargo fuzz run --fuzz-dir consumers/detect/fuzz --target-dir "$target/build" "$what" "$corpus" -- \
    -max_total_time="$seconds" -timeout=20 -rss_limit_mb=1024 -max_len=400000 -print_final_stats=1 \
    -artifact_prefix="$target/artifacts/$what/"
