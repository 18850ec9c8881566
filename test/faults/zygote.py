"""A process that has imported the pipe once and forks a real process for every run: python -m test.faults.zygote.

It reads one JSON object a line from stdin (`environ`, `out`, `pace`) and answers with two lines: the new process's id,
and, when that has ended, its wait status.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
from typing import NoReturn

from pipe.clients.aws import Aws, Endpoint
from pipe.jobs.registry import MODULES
from pipe.redact import Secret, _own_words
from pipe.retry import Deadline
from pipe.shell import main
from pipe.sources.registry import SOURCES, source_type
from pipe.values import KeyPair


def _warm() -> None:
    """Import all, and read the services' descriptions, before the first fork, so that the runs share them."""
    for module in (*MODULES.values(), "pipe.access.notify", "pipe.clients.vault_kv"):
        importlib.import_module(module)
    for name in SOURCES:
        source_type(name)
    # What a run reads only where a secret is like a word.
    _own_words()
    pair = KeyPair("AKIA" + "0" * 16, Secret("not a secret"))
    aws = Aws.with_keys(pair, None, Endpoint("eu-central-1", "http://127.0.0.1:9"), Deadline(pace=0))
    for service in ("iam", "sts", "secretsmanager", "ssm"):
        aws.client(service)


def _run(order: dict[str, object]) -> NoReturn:
    out = os.open(str(order["out"]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    environ = order["environ"]
    assert isinstance(environ, dict)
    # Libraries shall find what they would find in a process of its own, and nothing else.
    os.environ.clear()
    os.environ.update(environ)
    code = main(environ, Deadline(pace=float(str(order["pace"]))))
    os._exit(code)


def _serve() -> None:
    _warm()
    # A run's garbage collector would write to, and thereby copy, every page of what is shared.
    gc.collect()
    gc.freeze()
    # As in the pipe's own process.
    gc.set_threshold(100_000)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _run(json.loads(line))
        print(pid, flush=True)
        print(os.waitpid(pid, 0)[1], flush=True)


if __name__ == "__main__":
    _serve()
