#!/usr/bin/env bash
# infra/nginx/trustcard.conf on this machine, with certificates, ports and folders of a test's own.
#
#   nginx.sh check                                             whether nginx understands it
#   nginx.sh start DIR HTTP_PORT TLS_PORT API_PORT API_PORT    before two APIs; the authority of its certificate is DIR/tls/ca.pem
#   nginx.sh reload DIR                                        after a change of DIR/trustcard.conf; returns when nobody goes by the old one
#   nginx.sh stop DIR
#
# `start` returns when it listens.
set -euo pipefail
usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 2; }
command=${1:-} dir=$(realpath -m -- "${2:-.}")
# shellcheck source=infra/dev/need.sh
. "$(dirname "${BASH_SOURCE[0]}")/need.sh"

# Writes what nginx needs into DIR: prepare HTTP_PORT TLS_PORT API_PORT API_PORT. It listens on loopback alone.
prepare() {
    need_nginx
    infra/dev/certificates.sh "$dir/tls"
    mkdir -p "$dir/temp"
    sed -e "s/listen \( *\)80;/listen 127.0.0.1:$1;/" -e "s/listen \( *\)443 /listen 127.0.0.1:$2 /" -e '/listen .*\[::\]/d' \
        -e "s/127\.0\.0\.1:8000/127.0.0.1:$3/" -e "s/127\.0\.0\.1:8001/127.0.0.1:$4/" \
        -e "s|/etc/ssl/trustcard/fullchain.pem|$dir/tls/server.pem|" -e "s|/etc/ssl/trustcard/privkey.pem|$dir/tls/server.key|" \
        -e "s|/var/log/nginx/|$dir/|" -e "s|/var/lib/trustcard-acme/|$dir/acme/|" \
        infra/nginx/trustcard.conf >"$dir/trustcard.conf"
    cat >"$dir/nginx.conf" <<CONF
worker_processes 1;
pid $dir/pid;
error_log $dir/error.log warn;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path $dir/temp/body;
    proxy_temp_path $dir/temp/proxy;
    fastcgi_temp_path $dir/temp/fastcgi;
    uwsgi_temp_path $dir/temp/uwsgi;
    scgi_temp_path $dir/temp/scgi;
    include $dir/trustcard.conf;
}
CONF
}

run() {
    "$nginx" -p "$dir" -e "$dir/error.log" -c "$dir/nginx.conf" "$@"
}

case $command in
    check)
        dir=$(mktemp -d)
        trap 'rm -rf "$dir"' EXIT
        prepare 80 443 8000 8001
        run -t -q
        # A warning, such as of a name that is there twice, is a fault too.
        [ ! -s "$dir/error.log" ] || die "nginx warns: $(cat "$dir/error.log")"
        ;;
    start)
        [ "$#" = 6 ] || usage
        prepare "${@:3}"
        run
        ;;
    reload)
        [ "$#" = 2 ] || usage
        need_nginx
        master=$(cat "$dir/pid")
        read -ra before <"/proc/$master/task/$master/children" || true
        run -s reload
        # Its workers of before end when their last request has.
        while kill -0 "${before[@]}" 2>/dev/null; do sleep 0.05; done
        ;;
    stop)
        [ "$#" = 2 ] || usage
        need_nginx
        run -s quit
        ;;
    *) usage ;;
esac
