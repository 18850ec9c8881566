"""Ends this process at its first connection and prints the CPU seconds and the modules that it took to get there.

`first_request.py rotate` runs a rotation, whose first request is to AWS, and `first_request.py pull` a pull, whose
first one is to Vault. `first_request.py libraries NAME …` imports these libraries instead. The file stands alone, so
that it can be run in the image.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
from typing import Any

ROTATE = {
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
    **{name: ROTATE[name] for name in ("TARGETS", "BITBUCKET_ACCESS_TOKEN", "BITBUCKET_API_URL")},
}


def report(event: str, _: tuple[Any, ...]) -> None:
    """Print what this process has taken so far, and end it before anything is sent."""
    if event == "socket.connect":
        os.write(1, f"\n{told()}\n".encode())
        os._exit(0)


def run_pipe(environ: dict[str, str]) -> None:
    """Run the pipe as its process does."""
    import pipe.__main__  # noqa: F401, PLC0415 - what is imported is what is measured
    from pipe.shell import main  # noqa: PLC0415 - see above

    main(environ)


def told() -> str:
    """Return what this process has taken so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return json.dumps({"cpu": used.ru_utime + used.ru_stime, "modules": len(sys.modules)})


if __name__ == "__main__":
    which, *names = sys.argv[1:]
    if which == "libraries":
        for name in names:
            importlib.import_module(name)
        os.write(1, f"\n{told()}\n".encode())
        os._exit(0)
    sys.addaudithook(report)
    run_pipe({"rotate": ROTATE, "pull": PULL}[which])
