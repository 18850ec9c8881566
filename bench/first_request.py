"""Ends this process at its first connection and prints the CPU seconds and the modules that it took to get there.

`python -m bench.first_request aws` runs the pipe, whose first request is to AWS; `… bitbucket` reads the settings and
asks Bitbucket, without AWS.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any

ENVIRON = {
    "ACTION": "rotate",
    "TARGETS": "acme/shop:deployment:production",
    "IAM_USER_NAME": "deploy-bot",
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "x" * 40,
    "BITBUCKET_ACCESS_TOKEN": "x" * 40,
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "BITBUCKET_API_URL": "http://127.0.0.1:9/2.0",
}


def report(event: str, _: tuple[Any, ...]) -> None:
    """Print what this process has taken so far, and end it before anything is sent."""
    if event == "socket.connect":
        used = resource.getrusage(resource.RUSAGE_SELF)
        figures = {"cpu": used.ru_utime + used.ru_stime, "modules": len(sys.modules)}
        os.write(1, f"\n{json.dumps(figures)}\n".encode())
        os._exit(0)


def ask_bitbucket() -> None:
    """Make the first request of a run without AWS."""
    from pipe.clients.bitbucket import Bitbucket, bearer  # noqa: PLC0415 - what is imported is what is measured
    from pipe.patience import Patience  # noqa: PLC0415
    from pipe.settings import read_settings  # noqa: PLC0415

    settings = read_settings(ENVIRON)
    access = settings.bitbucket
    Bitbucket(access.url, bearer(access.token), access.variables, Patience()).find(settings.targets[0])


def run_pipe() -> None:
    """Run the pipe as its process does."""
    from pipe.shell import main  # noqa: PLC0415

    main(ENVIRON)


if __name__ == "__main__":
    sys.addaudithook(report)
    {"aws": run_pipe, "bitbucket": ask_bitbucket}[sys.argv[1]]()
