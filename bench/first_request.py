"""Ends this process at its first connection and prints the CPU seconds and the modules that it took to get there.

`python -m bench.first_request aws` runs a rotation, whose first request is to AWS; `… bitbucket` reads the settings and
asks Bitbucket, without AWS; `… pull` runs a pull.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable
from functools import partial
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
PULL = {
    "ACTION": "pull",
    "SECRETS": "secret/ci/** *",
    "VAULT_ADDR": "http://127.0.0.1:9",
    "VAULT_TOKEN": "x" * 40,
    **{name: ENVIRON[name] for name in ("TARGETS", "BITBUCKET_ACCESS_TOKEN", "BITBUCKET_API_URL")},
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
    from pipe.assemble.access import bitbucket_of  # noqa: PLC0415 - what is imported is what is measured
    from pipe.assemble.stored import Fetcher  # noqa: PLC0415 - see above
    from pipe.patience import Patience  # noqa: PLC0415 - see above
    from pipe.settings import read_settings  # noqa: PLC0415 - see above
    from pipe.settings.rotation import RotateJob  # noqa: PLC0415 - see above

    job = read_settings(ENVIRON).job
    assert isinstance(job, RotateJob)
    targets, access = job.targets, job.targets.access
    bitbucket_of(access, Fetcher("bench", Patience()), Patience()).find(targets.places[0])


def run_pipe(environ: dict[str, str]) -> None:
    """Run the pipe as its process does."""
    from pipe.shell import main  # noqa: PLC0415 - what is imported is what is measured

    main(environ)


if __name__ == "__main__":
    sys.addaudithook(report)
    runs: dict[str, Callable[[], None]] = {
        "aws": partial(run_pipe, ENVIRON),
        "bitbucket": ask_bitbucket,
        "pull": partial(run_pipe, PULL),
    }
    runs[sys.argv[1]]()
