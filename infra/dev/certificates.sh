#!/usr/bin/env bash
# Certificates for servers and clients on 127.0.0.1, for tests: an authority of their own, valid for a month.
#
#   certificates.sh DIR     ca.pem, server.pem and client.pem with server.key and client.key, and server-all.pem, the
#                           server's key and certificate in one file, as Java servers want them
#
# Does nothing when they are there.
set -euo pipefail
[ "$#" = 1 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 2; }
dir=$(realpath -m -- "$1")
# shellcheck source=infra/dev/need.sh
. "$(dirname "${BASH_SOURCE[0]}")/need.sh"
need_command openssl

# A key and a certificate that the authority signs: sign NAME EXTENSIONS...
sign() {
    local name=$1
    shift
    openssl req -new -newkey rsa:2048 -nodes -keyout "$part/$name.key" -subj "/CN=trustcard-$name" -out "$part/$name.csr"
    openssl x509 -req -in "$part/$name.csr" -CA "$part/ca.pem" -CAkey "$part/ca.key" -CAcreateserial -days 30 -sha256 \
        -extfile <(printf '%s\n' "$@") -out "$part/$name.pem"
    rm "$part/$name.csr"
}

[ ! -e "$dir/ca.pem" ] || exit 0
umask 077
mkdir -p "$dir"
part=$(mktemp -d "$dir/part.XXXXXX")
{
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$part/ca.key" -subj "/CN=trustcard-test-authority" -days 30 -sha256 -out "$part/ca.pem"
    # Clients compare the address they connected to: a name for HTTP and Kafka, an IP address for CQL.
    sign server "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:trustcard.example.com" "extendedKeyUsage=serverAuth,clientAuth"
    sign client "extendedKeyUsage=clientAuth"
    cat "$part/server.key" "$part/server.pem" >"$part/server-all.pem"
} 2>"$part/openssl.log" || die "the certificates could not be made: see $part/openssl.log"
# The authority's certificate last: where it is, all are.
mv "$part"/server* "$part"/client* "$part/ca.key" "$dir"
mv "$part/ca.pem" "$dir"
rm -rf "$part"
