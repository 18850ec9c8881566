"""Starts the shell: python -m pipe."""

import gc
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

# Nearly all that a run makes it keeps: to look for cycles in it as often as is usual takes time and finds none.
gc.set_threshold(100_000)

from pipe.shell import main  # noqa: E402 - it takes a while, and a signal may come in it

if __name__ == "__main__":
    # Python's own end would listen to signals no more, fail where nobody takes what is printed, and look for cycles in
    # all that the libraries have made.
    os._exit(main())
