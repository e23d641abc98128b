#!/usr/bin/env bash
# What must hold before a change lands, tests apart.
set -euo pipefail
# shellcheck source=infra/dev/need.sh
. "$(dirname "${BASH_SOURCE[0]}")/need.sh"

need_build_tools
need_command shellcheck
if ! { cargo fmt --version && cargo clippy --version; } >/dev/null 2>&1; then
    rustup component add rustfmt clippy || die "cargo fmt and cargo clippy are needed: install rustfmt and clippy for this toolchain"
fi

say "Format"
cargo fmt --all --check

say "Clippy"
cargo clippy --workspace --all-targets --locked -- -D warnings

say "Lock file of the bench peer"
# It has a workspace of its own, which no other command looks at.
cargo update --workspace --locked --manifest-path benches/peers/ruststream/Cargo.toml

say "Dependency rules, licences and sources"
if ! cargo deny --version >/dev/null 2>&1; then
    say "Installing cargo-deny (some minutes, once)"
    # Unoptimised: built in half the time, and the check takes a second all the same.
    cargo install --debug --locked --version 0.20.2 cargo-deny || true
fi
if cargo deny --version >/dev/null 2>&1; then
    # A wrapper may be allowed before it is used.
    cargo deny --locked check -A unused-wrapper bans licenses sources
elif [ "${CI:-}" = true ]; then
    die "cargo-deny could not be installed, so dependencies were not checked"
else
    say "NOT CHECKED: cargo-deny could not be installed, see above"
fi

say "Shell scripts"
shellcheck -x .ci/run infra/dev/*.sh infra/dev/servers/*.sh infra/backup/*.sh infra/kafka/*.sh

say "AsyncAPI document"
fetched_check schemas/asyncapi.json npm "schemas/asyncapi.json is no valid AsyncAPI document" infra/dev/asyncapi.sh

say "nginx, systemd units and firewall"
infra/dev/check_machine.sh

say "Kubernetes manifests"
fetched_check infra/k8s PyPI "infra/k8s is not what Kubernetes takes" infra/dev/check_k8s.sh

say "docker-compose.yml, Prometheus and Grafana"
python=python3
if ! "$python" -c 'import yaml' 2>/dev/null; then
    python=/usr/bin/python3
    "$python" -c 'import yaml' 2>/dev/null || need_packages python3-yaml
fi
"$python" infra/dev/check_compose.py
need_promtool
"$promtool" check config infra/prometheus/prometheus.yml
"$promtool" test rules infra/prometheus/alerts_test.yml

say "All checks passed"
