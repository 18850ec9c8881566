"""Files in REPORT_DIR, which others may have made: nothing is written through a link, or waits for who reads."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def append_line(folder: str, name: str, line: str) -> None:
    """Add a line to a file of a folder; both are made if they are missing. Raises OSError."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    # What is no file at all must not hold the run up.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    with open(os.open(place / name, flags, 0o666), "a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def write_file(folder: str, name: str, text: str) -> None:
    """Write a file of a folder whole, in place of whatever has its name there; raises OSError.

    The folder is made if it is missing. Of a file that cannot be written nothing is left.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    beside = place / f".{name}.{os.getpid()}"
    opened = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    try:
        with open(opened, "w", encoding="utf-8") as file:
            file.write(text)
        beside.replace(place / name)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
