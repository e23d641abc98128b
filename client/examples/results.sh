#!/usr/bin/env bash
# Prints what is on the results topic with kcat: key, type of the event and value of each record, separated by tabs; a deletion has no value.
#
#   results.sh BOOTSTRAP [TOPIC]           to the present end
#   FOLLOW=1 results.sh BOOTSTRAP [TOPIC]  and then as they come
set -euo pipefail
bootstrap=$1
topic=${2:-trustcard.results}
end=(-e)
[ -z "${FOLLOW:-}" ] || end=()

# -Z would print NULL for a value that is not there; its size, %S, is -1 then. Headers are name=value,name=value,...
kcat -C -q -b "$bootstrap" -t "$topic" -o beginning "${end[@]}" -X isolation.level=read_committed -u -f '%k\t%S\t%h\t%s\n' |
    while IFS=$'\t' read -r key size headers value; do
        type=${headers#*ce_type=}
        type=${type%%,*}
        if [ "$size" = -1 ]; then
            printf '%s\t%s\tdeleted\n' "$key" "$type"
        else
            printf '%s\t%s\t%s\n' "$key" "$type" "$value"
        fi
    done
