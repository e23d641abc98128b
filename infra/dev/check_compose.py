"""Holds docker-compose.yml, Prometheus' configuration and the dashboards to our rules and to each other.

python3 check_compose.py [FOLDER]     FOLDER is the checkout, by default the working directory

Compose: every service has a fixed image or a build, a restart policy, no new privileges, and mounts only declared volumes;
every one but a job has a health check; what we build, and what watches, has no writable root and no capabilities; each role
is there and starts after topics and tables are made. Prometheus scrapes every role. A dashboard asks only for metrics whose
names are in our sources.
"""

import json
import pathlib
import re
import sys

import yaml

ROLES = ("api", "scrape", "detect", "score", "webhook", "record", "monitor")
JOBS = ("topics", "migrate")
# Their images write beside their data, and ScyllaDB's starts as root.
WRITABLE_ROOT = ("kafka", "scylla")
METRIC = re.compile(r"\b(?:trustcard|kafka)_[a-z_]+")


def compose_problems(compose):
    """Every rule that the parsed compose file breaks, as sentences."""
    services = compose.get("services") or {}
    volumes = set(compose.get("volumes") or {})
    for role in ROLES + JOBS:
        if (services.get(role, {}).get("command") or [""])[0] != role:
            yield f"{role}: no service runs `trustcard {role}`"
    for name, service in services.items():
        if "build" not in service and not pinned(service.get("image", "")):
            yield f"{name}: neither a build nor an image with a fixed tag"
        if name not in JOBS and not (service.get("healthcheck") or {}).get("test"):
            yield f"{name}: no healthcheck"
        if name not in WRITABLE_ROOT and service.get("read_only") is not True:
            yield f"{name}: read_only is not true"
        if name not in WRITABLE_ROOT and service.get("cap_drop") != ["ALL"]:
            yield f"{name}: cap_drop is not [ALL]"
        if "no-new-privileges:true" not in (service.get("security_opt") or []):
            yield f"{name}: security_opt lacks no-new-privileges:true"
        if service.get("restart") is None:
            yield f"{name}: no restart policy"
        for port in service.get("ports") or []:
            if not str(port).startswith("127.0.0.1:"):
                yield f"{name}: port {port} is open to other machines"
        for mount in service.get("volumes") or []:
            source = mount.split(":")[0] if isinstance(mount, str) else mount.get("source", "")
            if source and source[0] not in "./~" and source not in volumes:
                yield f"{name}: volume {source} is not declared"
        waits = service.get("depends_on") or {}
        for other in waits:
            if other not in services:
                yield f"{name}: depends on {other}, which is no service"
        for job in JOBS if name in ROLES else ():
            if (waits.get(job) or {}).get("condition") != "service_completed_successfully":
                yield f"{name}: does not wait for {job}"


def pinned(image):
    """Whether an image names a tag other than latest, or a digest."""
    tag = image.rpartition("/")[2].partition(":")[2]
    return "@sha256:" in image or tag not in ("", "latest")


def prometheus_problems(prometheus, services):
    """What Prometheus does not scrape, and what it scrapes that is not there."""
    jobs = prometheus.get("scrape_configs") or []
    scraped = {name for job in jobs for found in job.get("dns_sd_configs") or [] for name in found["names"]}
    for role in ROLES:
        if role not in scraped:
            yield f"role {role} is not scraped"
    fixed = {
        target.rpartition(":")[0]
        for job in jobs
        for found in job.get("static_configs") or []
        for target in found["targets"]
    }
    for name in sorted((scraped | fixed) - set(services) - {"127.0.0.1"}):
        yield f"{name} is scraped and is no service"


def dashboard_problems(dashboard, sources):
    """Metrics that a dashboard asks for and nothing of ours has."""
    asked = {
        re.sub(r"_bucket$", "", metric)
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for metric in METRIC.findall(target["expr"])
    }
    if not asked:
        yield "asks for no metric of ours"
    for metric in sorted(asked):
        if f'"{metric}"' not in sources:
            yield f"asks for {metric}, which is no metric of ours"


def main(root):
    """Prints every problem; 1 when there is one."""
    compose = yaml.safe_load((root / "docker-compose.yml").read_text(encoding="utf-8"))
    prometheus = yaml.safe_load((root / "infra/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    rooms = ("pipeline", "ingest-api", "consumers")
    sources = "".join(path.read_text(encoding="utf-8") for room in rooms for path in (root / room).rglob("src/**/*.rs"))
    found = [f"docker-compose.yml: {problem}" for problem in compose_problems(compose)]
    services = compose.get("services") or {}
    found += [f"prometheus.yml: {problem}" for problem in prometheus_problems(prometheus, services)]
    dashboards = sorted((root / "infra/grafana/dashboards").glob("*.json"))
    for path in dashboards:
        dashboard = json.loads(path.read_text(encoding="utf-8"))
        found += [f"{path.name}: {problem}" for problem in dashboard_problems(dashboard, sources)]
    print("\n".join(found) or f"{len(services)} services and {len(dashboards)} dashboard(s) as they should be")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
