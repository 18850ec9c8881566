"""bitbucket-pipes-toolkit, imported without what that does to the whole process.

It adds a handler to the root logger, and colorama, which it starts, ends the process with a code for terminals.
"""

from __future__ import annotations

import atexit
import logging

_root = logging.getLogger()
_level, _handlers = _root.level, _root.handlers[:]

from bitbucket_pipes_toolkit import Pipe  # noqa: E402 - what was before has to be known
from colorama.initialise import reset_all  # noqa: E402 - see above

_root.handlers[:] = _handlers
_root.setLevel(_level)
atexit.unregister(reset_all)

__all__ = ["Pipe"]
