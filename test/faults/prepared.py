"""Clients of AWS that are made before a run is forked: to make them takes a run as long as all that it asks."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from botocore.exceptions import BotoCoreError

import pipe.clients.aws
from pipe.clients.aws import Aws, Endpoint
from pipe.clients.aws_transport import Transport
from pipe.errors import KeyturnError
from pipe.redact import Secret
from pipe.retry import Deadline
from pipe.settings.variables import BY_NAME
from pipe.values import KeyPair

PAIR = KeyPair("AKIA" + "0" * 16, Secret("not a secret"))
# What runs want most: a service, its region where that is not the run's, whether the client signs, and what it asks.
_WANTED: tuple[tuple[Any, str, bool, dict[str, dict[str, str]]], ...] = (
    ("sts", "", True, {"get_caller_identity": {}}),
    ("sts", "us-east-1", True, {"get_caller_identity": {}}),
    ("sts", "", False, {}),
    ("iam", "", True, {"list_access_keys": {"UserName": "bot"}, "get_access_key_last_used": {"AccessKeyId": "A" * 16}}),
    ("secretsmanager", "", True, {"describe_secret": {"SecretId": "bot"}, "get_secret_value": {"SecretId": "bot"}}),
)
# After so many runs that are alike their clients are made; of so many kinds they are kept.
_OFTEN, _MOST = 4, 2
# What botocore reads, too, of the variables that the pipe has; all runs that have others make their own clients.
_OF_THE_RUN = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_OF_ALL = ("AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ROLE_ARN")


class Prepared:
    """The session of boto3 that the pipe makes its clients from, with some of them ready.

    Each is handed out once, with the run's own credentials, to whoever asks for the very same in an environment that is
    the same in all that botocore looks at.
    """

    def __init__(self) -> None:
        self._session: Any = pipe.clients.aws._session()
        self._seen: Counter[object] = Counter()
        self._kept: dict[object, dict[object, Any]] = {}
        self._ready: dict[object, Any] = {}
        self._made: dict[object, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def client(self, service: str, **given: Any) -> Any:
        """Return a client that is ready, or make one."""
        signs, config = "aws_access_key_id" in given, given["config"]._user_provided_options
        key = (service, given["region_name"], given["endpoint_url"], signs, repr(sorted(config.items())))
        client = self._ready.pop(key, None)
        if client is None:
            client = self._made[key] = self._session.client(service, **given)
        elif signs:
            credentials = client._request_signer._credentials
            credentials.access_key, credentials.secret_key = given["aws_access_key_id"], given["aws_secret_access_key"]
            credentials.token = given["aws_session_token"]
        return client

    def expect(self, environ: Mapping[str, str]) -> None:
        """Have ready what the next run may want, if there have been some like it."""
        self._ready = {}
        known = all(name in BY_NAME or name.startswith("BITBUCKET_") for name in environ)
        if known and environ.get("AWS_ENDPOINT_URL"):
            alike = tuple(environ.get(name, "") for name in _OF_ALL)
            self._seen[alike] += 1
            if alike not in self._kept and self._seen[alike] >= _OFTEN:
                self._keep(alike, environ)
            if alike in self._kept:
                # The one that was used last is the last to go.
                self._ready = self._kept[alike] = self._kept.pop(alike)

    def _keep(self, alike: object, environ: Mapping[str, str]) -> None:
        gc.unfreeze()
        while len(self._kept) >= _MOST:
            gone = next(iter(self._kept))
            del self._kept[gone], self._seen[gone]
        self._made = {}
        region = environ.get("AWS_DEFAULT_REGION") or "eu-central-1"
        endpoint, transport = Endpoint(region, environ["AWS_ENDPOINT_URL"]), Transport(Deadline(pace=0))
        signed, unsigned = Aws.with_keys(PAIR, None, endpoint, transport.deadline), Aws(None, endpoint, transport)
        with within({name: value for name, value in environ.items() if name not in _OF_THE_RUN}):
            for service, elsewhere, signs, requests in _WANTED:
                aws = signed if signs else unsigned
                # What cannot be made is the run's to refuse.
                with suppress(KeyturnError, BotoCoreError, ValueError):
                    client = aws.client(service, region=elsewhere or None)
                    # A run's requests go its own way; these only let botocore work out what it then remembers.
                    client.meta.events.unregister("before-send", aws._transport._send)
                    client.meta.events.register("before-send", _nowhere)
                    try:
                        for name, given in requests.items():
                            with suppress(_Nowhere):
                                getattr(client, name)(**given)
                    finally:
                        client.meta.events.unregister("before-send", _nowhere)
        self._kept[alike], self._made = self._made, {}
        gc.collect()
        gc.freeze()


class _Nowhere(Exception):
    """A request was made, and is not sent."""


def _nowhere(**_: object) -> None:
    raise _Nowhere


@contextmanager
def within(environ: Mapping[str, str]) -> Iterator[None]:
    """Let libraries find this in the environment, and nothing else."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
