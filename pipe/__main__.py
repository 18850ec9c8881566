"""Starts the shell: python -m pipe."""

import os
import signal


def _stopped(*_: object) -> None:
    """End before the run listens to signals."""
    try:
        os.write(1, "✖ Stopped before anything was begun.\n".encode())
    finally:
        os._exit(1)


for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, _stopped)

from pipe.shell import main  # noqa: E402 - it takes a while, and a signal may come in it

if __name__ == "__main__":
    # Python's own end would listen to signals no more, and fail where nobody takes what is printed.
    os._exit(main())
