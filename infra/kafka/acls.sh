#!/usr/bin/env bash
# What TrustCard's users may do on a Kafka with ACLs. Safe to repeat.
#
#   acls.sh BOOTSTRAP ADMIN_PROPERTIES
#
# User `trustcard`, for every role and command: reads and writes TrustCard's topics, in its own groups and transactions, and
# neither makes nor removes any. Topics are made by the user of `trustcard topics create`, an admin. KAFKA_ACLS is Kafka's tool
# (kafka-acls.sh); TRUSTCARD_USER another name of the user.
set -euo pipefail
[ "$#" = 2 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 2; }
read -ra tool <<<"${KAFKA_ACLS:-kafka-acls.sh}"

# Allows operations on what has a name that begins with `trustcard.`: allow KIND OPERATION...
allow() {
    local kind=$1 operations=() operation
    shift
    for operation in "$@"; do operations+=(--operation "$operation"); done
    "${tool[@]}" --bootstrap-server "$bootstrap" --command-config "$admin" --add --allow-principal "User:${TRUSTCARD_USER:-trustcard}" \
        "${operations[@]}" "--$kind" trustcard. --resource-pattern-type prefixed
}

bootstrap=$1 admin=$2
allow topic Read Write Describe DescribeConfigs
allow group Read Describe
allow transactional-id Write Describe
