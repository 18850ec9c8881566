"""Starts the shell: python -m pipe."""

import gc
import sys

from pipe.shell import main

if __name__ == "__main__":
    code = main()
    # Python's last look for cycles would go through all that the libraries have made, for a tenth of a second.
    gc.freeze()
    sys.exit(code)
