"""Reads a compose file and holds it to our rules: python3 check_compose.py FILE...

Every service restarts, has a health check, a fixed image or a build, no writable root, no capabilities, no new
privileges; every named volume it mounts is declared.
"""

import sys

import yaml


def problems(compose):
    """Every rule that the parsed compose file breaks, as sentences."""
    services = compose.get("services") or {}
    if not services:
        yield "no services"
    volumes = set(compose.get("volumes") or {})
    for name, service in services.items():
        if "build" not in service and not pinned(service.get("image", "")):
            yield f"{name}: neither a build nor an image with a fixed tag"
        if not (service.get("healthcheck") or {}).get("test"):
            yield f"{name}: no healthcheck"
        if service.get("read_only") is not True:
            yield f"{name}: read_only is not true"
        if service.get("cap_drop") != ["ALL"]:
            yield f"{name}: cap_drop is not [ALL]"
        if "no-new-privileges:true" not in (service.get("security_opt") or []):
            yield f"{name}: security_opt lacks no-new-privileges:true"
        if service.get("restart") is None:
            yield f"{name}: no restart policy"
        for mount in service.get("volumes") or []:
            source = mount.split(":")[0] if isinstance(mount, str) else mount.get("source", "")
            if source and source[0] not in "./~" and source not in volumes:
                yield f"{name}: volume {source} is not declared"


def pinned(image):
    """Whether an image names a tag other than latest, or a digest."""
    tag = image.rpartition("/")[2].partition(":")[2]
    return "@sha256:" in image or tag not in ("", "latest")


def main(paths):
    found = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            found += [f"{path}: {problem}" for problem in problems(yaml.safe_load(file))]
    print("\n".join(found) or f"{len(paths)} file(s) as they should be")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
