"""AWS: who signs, what its errors mean, and what time it is there."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeVar

import boto3
import botocore
import botocore.config
import botocore.exceptions
import botocore.loaders
import botocore.session

from pipe.clients.aws_errors import meaning, no_answer
from pipe.patience import IN_FLIGHT, Gate, Patience
from pipe.redact import Secret
from pipe.values import Identity, KeyPair

T = TypeVar("T")

# The services that are asked. The image has the descriptions of these alone, since boto3 brings those of 400 more.
Service = Literal["iam", "secretsmanager", "sns", "sts"]

log = logging.getLogger("keyturn.aws")

# Reading a service's description takes longer than asking it; all sessions share what was read.
_LOADER = botocore.loaders.create_loader()

# Neither a profile nor a file in the home directory has a say: the settings alone do.
_NOTHING_ELSE = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}

# Another region of the same partition, whose STS proves that a new key has spread.
_SECOND_REGION = {
    "aws": ("us-east-1", "us-west-2"),
    "aws-cn": ("cn-north-1", "cn-northwest-1"),
    "aws-us-gov": ("us-gov-west-1", "us-gov-east-1"),
}


@dataclass(frozen=True)
class Endpoint:
    """Where AWS is asked: a region, and an address where it is not AWS's own."""

    region: str
    url: str | None = None


@dataclass(frozen=True)
class Terms:
    """What a role's session is to be: its name, the JSON policy that narrows it, if any, and its length in seconds."""

    name: str
    policy: str = ""
    seconds: int = 3600

    @property
    def parameters(self) -> dict[str, Any]:
        """The same, as STS takes it."""
        given = {"RoleSessionName": self.name, "DurationSeconds": self.seconds}
        return {**given, "Policy": self.policy} if self.policy else given


class Aws:
    """A signed-in session; the clients of single services are made from it.

    Its `now` is AWS's own clock as the last answer's Date header had it, so that the machine's decides nothing.
    """

    def __init__(
        self, session: boto3.Session, endpoint: Endpoint, patience: Patience, identity: Identity | None = None
    ) -> None:
        self._session = session
        self.endpoint = endpoint
        self.patience = patience
        self._identity = identity
        self._lock = threading.Lock()
        # One for each service: that one of them is throttled says nothing about the others.
        self._gates: defaultdict[str, Gate] = defaultdict(Gate)
        self._server_time: tuple[datetime, float] | None = None

    @classmethod
    def with_keys(
        cls,
        pair: KeyPair,
        token: Secret | None,
        endpoint: Endpoint,
        patience: Patience,
        identity: Identity | None = None,
    ) -> Aws:
        """Return a session that signs with an access key, or with temporary credentials where a token is given.

        `identity` is who that is, where it is known already.
        """
        session = _session(
            endpoint.region,
            aws_access_key_id=pair.id,
            aws_secret_access_key=pair.secret.reveal(),
            aws_session_token=token.reveal() if token else None,
        )
        return cls(session, endpoint, patience, identity)

    @classmethod
    def anonymous(cls, endpoint: Endpoint, patience: Patience) -> Aws:
        """Return a session that cannot sign."""
        return cls(_session(endpoint.region), endpoint, patience)

    def signed(self, answer: Any) -> Aws:
        """Return the session of the credentials that STS has answered to this one with; it goes by the same clock."""
        given, arn = answer["Credentials"], answer["AssumedRoleUser"]["Arn"]
        pair = KeyPair(given["AccessKeyId"], Secret(given["SecretAccessKey"]))
        identity = Identity(arn, arn.split(":")[4])
        session = Aws.with_keys(pair, Secret(given["SessionToken"]), self.endpoint, self.patience, identity)
        session._server_time = self._server_time
        return session

    def client(self, service: Service, *, region: str | None = None, anonymous: bool = False) -> Any:
        """Return boto3's client of a service; it makes each request once."""
        connect, read = self.patience.timeouts
        # botocore's own repetition is off: it would repeat CreateAccessKey, too, and lose the first key's secret.
        config = botocore.config.Config(
            connect_timeout=connect,
            read_timeout=read,
            retries={"total_max_attempts": 1},
            max_pool_connections=IN_FLIGHT,
            user_agent_extra="keyturn",
            signature_version=botocore.UNSIGNED if anonymous else None,
        )
        with self._lock:  # a boto3 session is not safe to make clients from at the same time
            make: Any = self._session.client
            return make(
                service, region_name=region or self.endpoint.region, endpoint_url=self.endpoint.url, config=config
            )

    def ask(self, action: str, request: Callable[[], T], check: str = "", *, attempts: int = 6) -> T:
        """Make a request that may be repeated, patiently; `action` is the permission that it needs.

        Raises ServiceError, in words of ours and AWS's message.
        """
        return self.patience.insist(lambda: self.ask_once(action, request, check), attempts=attempts)

    def ask_once(self, action: str, request: Callable[[], T], check: str = "") -> T:
        """Make one request, once, as soon as few enough are under way to its service.

        Raises as `ask` does, and Busy with `unclear` where it may have been carried out.
        """
        with self._lock:
            gate = self._gates[action.partition(":")[0]]
        with gate.one():
            return self._ask(action, request, check)

    def _ask(self, action: str, request: Callable[[], T], check: str) -> T:
        started = time.monotonic()
        try:
            answer = request()
        except botocore.exceptions.ClientError as error:
            self._note(action, error.response, started)
            raise meaning(error, action, check) from None
        except botocore.exceptions.BotoCoreError as error:
            log.debug("%s: %s", action, type(error).__name__)
            raise no_answer(error, action) from None
        if isinstance(answer, dict):
            self._note(action, answer, started)
        return answer

    def now(self) -> datetime:
        """Return AWS's present time; before the first answer, the machine's."""
        if self._server_time is None:
            return datetime.now(UTC)
        moment, heard = self._server_time
        return moment + timedelta(seconds=time.monotonic() - heard)

    def hear(self, moment: datetime) -> None:
        """Go by this as AWS's present time, which another of its services has told, until an answer tells it anew."""
        self._server_time = (moment, time.monotonic())

    def identity(self) -> Identity:
        """Return who signs the requests; it is asked for once, and not at all where STS has told it already."""
        if self._identity is None:
            self._identity = self._asked_identity()
        return self._identity

    def _asked_identity(self) -> Identity:
        sts = self.client("sts")
        answer = self.ask(
            "sts:GetCallerIdentity",
            sts.get_caller_identity,
            "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN).",
        )
        arn = answer["Arn"]
        resource = arn.split(":", 5)[5]
        user = resource.rsplit("/", 1)[-1] if resource.startswith("user/") else ""
        credentials = self._session.get_credentials()
        key_id = credentials.access_key if user and credentials and not credentials.token else ""
        return Identity(arn, answer["Account"], user, key_id)

    def checkers(self, pair: KeyPair) -> list[Callable[[], Identity]]:
        """Return questions, one per endpoint, that ask once who an access key is; they raise as `ask_once` does."""
        other = Aws.with_keys(pair, None, self.endpoint, self.patience)
        partition = self._session.get_partition_for_region(self.endpoint.region)
        here = self.endpoint.region
        regions = [here, *(region for region in _SECOND_REGION.get(partition, ()) if region != here)][:2]

        def question(region: str) -> Callable[[], Identity]:
            sts = other.client("sts", region=region)

            def ask() -> Identity:
                answer = other.ask_once("sts:GetCallerIdentity", sts.get_caller_identity)
                return Identity(answer["Arn"], answer["Account"], answer["Arn"].rsplit("/", 1)[-1], pair.id)

            return ask

        return [question(region) for region in regions]

    def _note(self, action: str, answer: Any, started: float) -> None:
        metadata = answer.get("ResponseMetadata", {})
        log.debug("%s: %s in %.0f ms", action, metadata.get("HTTPStatusCode"), 1000 * (time.monotonic() - started))
        date = metadata.get("HTTPHeaders", {}).get("date")
        if date:
            self._server_time = (parsedate_to_datetime(date).astimezone(UTC), time.monotonic())


def _session(region: str, **keys: str | None) -> boto3.Session:
    core = botocore.session.Session(session_vars=_NOTHING_ELSE)
    core.register_component("data_loader", _LOADER)
    return boto3.Session(botocore_session=core, region_name=region, **keys)
