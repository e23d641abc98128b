# Sourced by the scripts beside it: what has to be on the machine. Nothing is installed that is there already.
# shellcheck shell=bash

say() { printf '\n\033[1m== %s\033[0m\n' "$*" >&2; }
die() { printf '\n\033[1;31merror:\033[0m %s\n' "$*" >&2; exit 1; }

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

# Runs a command as root.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        command -v sudo >/dev/null || die "as root, run: $*"
        sudo "$@"
    fi
}

# Installs Debian packages.
need_packages() {
    [ "$#" -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "this is not Debian: install what it calls $*, then run this again"
    say "Installing $*"
    as_root apt-get update -q >&2 || true # an older list may do; if not, the next line says so
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2 \
        || die "apt-get could not install $*; see above"
}

# Installs the package of a command that is missing: need_command COMMAND [PACKAGE]
need_command() {
    command -v "$1" >/dev/null || need_packages "${2:-$1}"
}

# Debian's libfaketime, which gives one process a clock of its own.
need_faketime() {
    [ -e "/usr/lib/$(uname -m)-linux-gnu/faketime/libfaketime.so.1" ] || need_packages libfaketime
}

# Sets `promtool`.
need_promtool() {
    need_program prometheus /usr/bin/promtool
    # shellcheck disable=SC2034 # read by the scripts that call this
    promtool=$program
}

# Sets `nginx`.
need_nginx() {
    need_program nginx /usr/sbin/nginx
    # shellcheck disable=SC2034 # read by the scripts that call this
    nginx=$program
}

# Sets `program` to a program that Debian has in a package which would start a server on this machine: only the one file is taken
# from it. need_program PACKAGE PATH
need_program() {
    local part name=${2##*/}
    for program in "$(command -v "$name")" "$2" "${XDG_CACHE_HOME:-$HOME/.cache}/trustcard/tools/$name"; do
        [ ! -x "$program" ] || return 0
    done
    command -v apt-get >/dev/null || die "$name was not found: install $1, then run this again"
    say "Fetching $name"
    part=$(mktemp -d)
    { download "$part" "$1" || { as_root apt-get update -q && download "$part" "$1"; }; } >&2 \
        || die "the package $1 could not be fetched; see above"
    mkdir -p "${program%/*}"
    dpkg-deb --fsys-tarfile "$part/$1"_*.deb | tar -x -O ".$2" >"$program.part"
    chmod +x "$program.part"
    mv "$program.part" "$program"
    rm -rf "$part"
}

# Downloads a package into a folder: download FOLDER PACKAGE
download() {
    (cd "$1" && apt-get download -q "$2")
}

# Sets `python` to one that has the packages of a list from PyPI, in an environment that is made once and kept; fails with 3 when
# they can't be fetched: need_python NAME REQUIREMENTS [PIP_OPTION...]
need_python() {
    local name=$1 wanted=$2 folder part lock
    shift 2
    folder="${XDG_CACHE_HOME:-$HOME/.cache}/trustcard/tools/$name-$(sha256sum "$wanted" | cut -c 1-12)"
    # shellcheck disable=SC2034 # read by the scripts that call this
    python="$folder/bin/python3"
    mkdir -p "${folder%/*}"
    # Two that begin at once make one.
    exec {lock}>"${folder%/*}/$name.lock"
    flock "$lock"
    # A folder that is there is whole, for it is renamed into place.
    if [ ! -d "$folder" ]; then
        say "Fetching $name"
        part=$(mktemp -d "$folder-part.XXXXXX")
        if ! python3 -m venv "$part" >/dev/null 2>&1; then
            need_packages python3-venv
            python3 -m venv "$part" >&2
        fi
        if ! "$part/bin/python3" -m pip install --quiet --disable-pip-version-check "$@" --requirement "$wanted" >&2; then
            rm -rf "$part"
            printf '\n\033[1;31merror:\033[0m %s could not be fetched from PyPI; see above\n' "$name" >&2
            return 3
        fi
        mv "$part" "$folder"
    fi
    exec {lock}>&-
}

# Runs a check whose tool is fetched first and which ends with 3 where that can't be had: then it is left out, loudly, which CI does not
# allow. fetched_check WHAT SOURCE COMPLAINT COMMAND...
fetched_check() {
    local what=$1 source=$2 complaint=$3 code=0
    shift 3
    "$@" || code=$?
    if [ "$code" = 3 ] && [ "${CI:-}" != true ]; then
        say "NOT CHECKED: $what, for want of $source"
    elif [ "$code" != 0 ]; then
        die "$complaint; see above"
    fi
}

# cargo, and at least the Rust of Cargo.toml.
need_rust() {
    if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
        PATH="$HOME/.cargo/bin:$PATH"
    fi
    local wanted found
    wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
    command -v cargo >/dev/null || die "Rust $wanted or newer is needed and cargo was not found: install rustup, then open a new shell"
    found=$(rustc --version | cut -d ' ' -f 2)
    [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1)" = "$wanted" ] \
        || die "Rust $wanted or newer is needed, this is $found: run rustup update"
}

# What it takes to compile: librdkafka, OpenSSL and SQLite are built from source.
need_build_tools() {
    need_rust
    local missing=() command
    for command in gcc g++ make python3; do
        command -v "$command" >/dev/null || missing+=("$command")
    done
    # The perl of a bare Debian comes without the modules that OpenSSL's build uses.
    perl -MFindBin -MIPC::Cmd -MTime::Piece -e 1 2>/dev/null || missing+=(perl)
    python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
    # Without the certificates pip and cargo trust nobody.
    [ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
    need_packages "${missing[@]}"
}

# Fetches the models with the given trustcard binary; says so and fails when they can't be had.
pull_models() {
    say "Fetching the models (125 MB the first time)"
    "$1" models pull && return
    say "The models could not be fetched, see above: pictures will be \"not checked\""
    return 1
}

# Builds the release binary and fetches its models; sets `trustcard`, and `no_ml` where there are no models: build_demo ARGS...
build_demo() {
    need_build_tools
    say "Building TrustCard (10 to 15 minutes the first time)"
    cargo build --release --locked --bin trustcard
    trustcard="${CARGO_TARGET_DIR:-target}/release/trustcard"
    no_ml=()
    # shellcheck disable=SC2034 # read by the scripts that call this
    case " $* " in
        *" --no-ml "*) ;;
        *) pull_models "$trustcard" >&2 || no_ml=(--no-ml) ;;
    esac
}
