"""Starts the shell: python -m pipe."""

import gc
import sys

# Nearly all that a run makes it keeps: to look for cycles in it as often as is usual takes time and finds none.
gc.set_threshold(100_000)

from pipe.shell import main  # noqa: E402 - what is imported is kept, too

if __name__ == "__main__":
    code = main()
    # Python's last look for cycles would go through all that the libraries have made, for a tenth of a second.
    gc.freeze()
    sys.exit(code)
