#!/usr/bin/env bash
# Backup of the store, on each of its nodes: a snapshot in one file, and the way back. For Apache Cassandra 5; ScyllaDB's way is in
# docs/production_deployment.md.
#
#   store.sh backup KEYSPACE DATA_DIR ARCHIVE.tar.gz    DATA_DIR is the node's data folder (data_file_directories)
#   store.sh restore KEYSPACE ARCHIVE.tar.gz            into tables that `trustcard migrate` has made
#
# A restore adds rows to what is there: every row has its own write time, so the newer of two stands, and doing it twice changes
# nothing. What was deleted since comes back where the deletion is gone too, that is after a drop. Run it as the
# node's own user, who must be able to read what it unpacks in TMPDIR. NODETOOL is the node's nodetool.
set -euo pipefail
usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 2; }
read -ra nodetool <<<"${NODETOOL:-nodetool}"
umask 077

case ${1:-} in
    backup)
        [ "$#" = 4 ] || usage
        keyspace=$2 data=$3 archive=$(realpath -m -- "$4")
        tag=trustcard-$(date -u +%Y%m%dT%H%M%SZ)-$$
        trap '"${nodetool[@]}" clearsnapshot -t "$tag" -- "$keyspace" >/dev/null; rm -f "$archive.part"' EXIT
        # What is in memory is written out first. Files are never changed afterwards: the snapshot is links to them.
        "${nodetool[@]}" snapshot --tag "$tag" -- "$keyspace" >/dev/null
        # Named TABLE/FILE: the number in a table's folder is another one after it was made anew.
        (cd "$data/$keyspace" && tar -czf "$archive.part" --transform "s|^\./\([^/-]*\)-[^/]*/snapshots/$tag|\1|" ./*/snapshots/"$tag")
        mv "$archive.part" "$archive"
        ;;
    restore)
        [ "$#" = 3 ] || usage
        keyspace=$2 tables=()
        folder=$(mktemp -d)
        trap 'rm -rf "$folder"' EXIT
        # A node knows its own files by the last two folders, and says nothing where it finds none: hence the look afterwards.
        mkdir "$folder/$keyspace"
        tar -C "$folder/$keyspace" -xzf "$3" --no-same-owner
        for files in "$folder/$keyspace"/*/; do
            table=$(basename "$files")
            compgen -G "$files*-Data.db" >/dev/null || continue
            "${nodetool[@]}" import --copy-data "$keyspace" "$table" "${files%/}"
            tables+=("$table")
        done
        stats=$("${nodetool[@]}" tablestats "$keyspace")
        for table in "${tables[@]}"; do
            sed -n "/Table: $table\$/,/SSTable count/p" <<<"$stats" | grep -q 'SSTable count: [1-9]' || {
                echo "store.sh: $keyspace.$table has nothing after its import: see the node's log" >&2
                exit 1
            }
            echo "$keyspace.$table"
        done
        ;;
    *) usage ;;
esac
