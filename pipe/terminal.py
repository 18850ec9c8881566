"""Where it is printed: to a stream that may be closed, full or of ASCII alone, and no line with a secret value."""

from __future__ import annotations

import io
import threading
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
