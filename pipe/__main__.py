"""Starts the shell: python -m pipe."""

import sys

from pipe.shell import main

if __name__ == "__main__":
    sys.exit(main())
