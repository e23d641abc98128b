#!/usr/bin/env bash
# Holds infra/k8s to the schemas of the newest Kubernetes that its checker knows, and what they tell the roles to the list of variables.
#
# Exits with 3 when the checker is not there and can't be fetched from PyPI.
set -euo pipefail
# shellcheck source=infra/dev/need.sh
. "$(dirname "${BASH_SOURCE[0]}")/need.sh"

need_python kubernetes-validate "$PWD/infra/dev/k8s/requirements.txt"
for file in infra/k8s/*.yaml; do
    listed=$(grep -c "^  - ${file##*/}$" infra/k8s/kustomization.yaml || true)
    [ "$file" = infra/k8s/kustomization.yaml ] && continue
    [ "$listed" = 1 ] || die "$file is not in kustomization.yaml"
    "$python" -m kubernetes_validate --strict --quiet "$file"
done
grep -ohE '^  [A-Z][A-Z_0-9]+:|name: [A-Z][A-Z_0-9]+$' infra/k8s/*.yaml | sed 's/name: //; s/[ :]//g' | sort -u | while read -r name; do
    grep -q "^#\?$name=" infra/trustcard.env || die "infra/k8s sets $name, which is no variable of TrustCard"
done
