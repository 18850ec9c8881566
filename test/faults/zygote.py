"""A process that has imported the pipe once and forks a real process for every run: python -m test.faults.zygote.

It reads one JSON object a line from stdin (`environ`, `out`, `patience`, `pace`) and answers with two lines: the new
process's id, and, when that has ended, its wait status.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

import pipe.clients.aws
from pipe.clients.aws import Aws, Endpoint
from pipe.errors import KeyturnError
from pipe.jobs.registry import MODULES, read_settings
from pipe.redact import _own_words
from pipe.retry import Deadline
from pipe.settings.variables import ACTIONS
from pipe.shell import main
from pipe.sources.registry import SOURCES, source_type
from test.faults.pace import LONGEST, Brisk
from test.faults.prepared import PAIR, Prepared

_GIVEN = {
    "IAM_USER_NAME": "bot", "SECRET_ID": "bot", "SOURCE": "vault", "SECRETS": "secret/ci/** *", "TARGETS": "repository",
    "VAULT_ADDR": "http://127.0.0.1:9", "VAULT_ROLE": "bot", "AWS_DEFAULT_REGION": "eu-central-1",
    "BITBUCKET_WORKSPACE": "acme", "BITBUCKET_REPO_SLUG": "shop", "BITBUCKET_REPO_FULL_NAME": "acme/shop",
    "BITBUCKET_API_URL": "http://127.0.0.1:9/2.0", "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
}  # fmt: skip


def _warm() -> None:
    """Import all, and read the services' descriptions, before the first fork, so that the runs share them."""
    for module in (*MODULES.values(), "pipe.access.notify", "pipe.clients.vault_kv"):
        importlib.import_module(module)
    for name in SOURCES:
        source_type(name)
    # The rules of the variables; what is wrong with these few is of no interest.
    for action in ACTIONS:
        with suppress(KeyturnError):
            read_settings({**_GIVEN, "ACTION": action})
    # What a run reads only where a secret is like a word.
    _own_words()
    aws = Aws.with_keys(PAIR, None, Endpoint("eu-central-1", "http://127.0.0.1:9"), Deadline(pace=0))
    for service in ("iam", "sts", "secretsmanager", "ssm"):
        aws.client(service)


def _run(order: dict[str, object]) -> NoReturn:
    out = os.open(str(order["out"]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    # A run that never ends is ended, and who waits for it is told.
    signal.alarm(LONGEST)
    environ = order["environ"]
    assert isinstance(environ, dict)
    # Libraries shall find what they would find in a process of its own, and nothing else.
    os.environ.clear()
    os.environ.update(environ)
    code = main(environ, Brisk(float(str(order["patience"])), float(str(order["pace"]))))
    os._exit(code)


def _serve() -> None:
    _warm()
    prepared = Prepared()
    pipe.clients.aws._session = lambda: prepared  # type: ignore[assignment]  # all that is asked of it
    # A run's garbage collector would write to, and thereby copy, every page of what is shared.
    gc.collect()
    gc.freeze()
    # As in the pipe's own process.
    gc.set_threshold(100_000)
    for line in sys.stdin:
        order = json.loads(line)
        prepared.expect(order["environ"])
        pid = os.fork()
        if pid == 0:
            _run(order)
        print(pid, flush=True)
        print(os.waitpid(pid, 0)[1], flush=True)


if __name__ == "__main__":
    _serve()
