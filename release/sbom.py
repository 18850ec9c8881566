"""Say what is in the image, as a CycloneDX bill of materials: python -m release.sbom <image@digest> < dpkg's status.

The Python packages are those of the lock, the system's those that dpkg says are installed in the image.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pipe

LOCK = Path(__file__).parents[1] / "requirements/runtime.txt"

_LOCKED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)", re.MULTILINE)


def bill(image: str, lock: str, status: str) -> dict[str, Any]:
    """Return the bill of an image, named with its digest; equal images have equal bills."""
    name, _, digest = image.partition("@")
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise ValueError(f"{image} has no digest: name@sha256:… is needed")
    this = {
        "type": "container",
        "bom-ref": image,
        "name": "keyturn",
        "version": pipe.__version__,
        "purl": f"pkg:oci/keyturn@{digest.replace(':', '%3A')}?repository_url={name}",
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, image)}",
        "version": 1,
        "metadata": {"component": this},
        "components": [*_python(lock), *_debian(status)],
    }


def _python(lock: str) -> Iterator[dict[str, str]]:
    for found in _LOCKED.finditer(lock):
        name, version = found["name"].lower(), found["version"]
        yield _component(name, version, f"pkg:pypi/{name}@{version}")


def _debian(status: str) -> Iterator[dict[str, str]]:
    for paragraph in status.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if re.match(r"[A-Za-z-]+: ", line))
        if fields.get("Status", "").endswith(" installed"):
            name, version, machine = (fields[key] for key in ("Package", "Version", "Architecture"))
            yield _component(name, version, f"pkg:deb/debian/{quote(name)}@{quote(version, safe=':')}?arch={machine}")


def _component(name: str, version: str, purl: str) -> dict[str, str]:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


if __name__ == "__main__":
    made = bill(sys.argv[1], LOCK.read_text(encoding="utf-8"), sys.stdin.read())
    sys.stdout.write(json.dumps(made, indent=2) + "\n")
