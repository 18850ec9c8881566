"""How large the image is, how much of it lies on top of the base image, and how much of that has to be pulled."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import tarfile
import tempfile
from typing import Any, NamedTuple

# Every layer above the first of the Dockerfile's own labels is the Dockerfile's own.
FIRST_LABEL = "org.opencontainers.image.title"


class Weight(NamedTuple):
    """What an image weighs, in bytes: its base, what is on top of it, and the latter as it is pulled."""

    base: int
    above: int
    compressed: int


def weigh(image: str) -> Weight | None:
    """Weigh an image's layers, or return None where it is not there."""
    with tempfile.TemporaryFile() as saved:
        if subprocess.run(["docker", "save", image], stdout=saved, stderr=subprocess.DEVNULL, check=False).returncode:
            return None
        saved.seek(0)
        with tarfile.open(fileobj=saved) as parts:

            def read(name: str) -> bytes:
                part = parts.extractfile(name)
                assert part is not None, name
                return part.read()

            (manifest,) = json.loads(read("manifest.json"))
            layers: list[str] = manifest["Layers"]
            first = len(layers) - _own(json.loads(read(manifest["Config"]))["history"])
            own = [_plain(read(name)) for name in layers[first:]]
            base = sum(_files(_plain(read(name))) for name in layers[:first])
            return Weight(base, sum(map(_files, own)), sum(len(gzip.compress(layer, 6)) for layer in own))


def _own(history: list[dict[str, Any]]) -> int:
    """Return how many layers the Dockerfile has made."""
    label = next(number for number, step in enumerate(history) if FIRST_LABEL in step.get("created_by", ""))
    return sum(not step.get("empty_layer") for step in history[label:])


def _plain(layer: bytes) -> bytes:
    return gzip.decompress(layer) if layer.startswith(b"\x1f\x8b") else layer


def _files(layer: bytes) -> int:
    with tarfile.open(fileobj=io.BytesIO(layer)) as members:
        return sum(member.size for member in members)
