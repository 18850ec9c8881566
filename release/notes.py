"""Print what the changelog says of this version: python -m release.notes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pipe

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"


def notes(changelog: str, version: str) -> str:
    """Return the section of a version; raises ValueError where it has none."""
    found = re.search(rf"^## {re.escape(version)}\b.*?\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if not found or not found[1].strip():
        raise ValueError(f"CHANGELOG.md says nothing of {version}: rename “Unreleased” to “{version} (date)”.")
    return found[1].strip() + "\n"


if __name__ == "__main__":
    try:
        sys.stdout.write(notes(CHANGELOG.read_text(encoding="utf-8"), pipe.__version__))
    except ValueError as error:
        sys.exit(str(error))
