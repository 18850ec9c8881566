"""Where text goes: streams that may be closed, full or of ASCII alone, and files where others may write."""

from __future__ import annotations

import contextlib
import io
import os
import threading
from pathlib import Path
from typing import TextIO

from pipe.redact import HIDDEN, clean, clean_lines


class Output:
    """A stream as far as it takes anything: whoever does not listen, or has no room, changes nothing of a run."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """Pass on a text that may go out as it is."""
        try:
            if self._stream is not None:
                self._stream.write(text)
                self._stream.flush()
        except (OSError, ValueError):
            self._stream = None
        return len(text)

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def isatty(self) -> bool:
        """Tell whether a person looks at the stream."""
        return self._stream is not None and self._stream.isatty()


class CleanStream:
    """What anybody else prints, a library or Python itself: whole lines, those with a secret value hidden."""

    encoding = "utf-8"

    def __init__(self, output: Output) -> None:
        self._output = output
        self._held = self._last = ""
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        """Take in text and pass on the lines that are complete, so that no secret is cut in two unseen."""
        with self._lock:
            *lines, self._held = (self._held + text).split("\n")
            self._pass_on(lines, "\n")
        return len(text)

    def flush(self) -> None:
        """Keep an unfinished line until it ends or the stream closes."""

    def close(self) -> None:
        """Pass on the unfinished line, too."""
        with self._lock:
            self._pass_on([self._held], "")
            self._held = ""

    def _pass_on(self, lines: list[str], end: str) -> None:
        for line in lines:
            # A value may begin on the line before.
            across = clean(f"{self._last}{line}") == HIDDEN != clean(self._last)
            self._output.write((HIDDEN if across else clean_lines(line)) + end)
            self._last = line

    def isatty(self) -> bool:
        """Tell whether a person looks at the stream."""
        return self._output.isatty()


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
