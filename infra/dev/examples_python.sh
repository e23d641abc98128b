#!/usr/bin/env bash
# Prints the Python that the examples of client/examples run with, in an environment that it makes once.
#
# Exits with 3 when the packages can't be fetched from PyPI.
set -euo pipefail
# shellcheck source=infra/dev/need.sh
. "$(dirname "${BASH_SOURCE[0]}")/need.sh"

need_python examples "$PWD/client/examples/requirements.txt"
echo "$python"
