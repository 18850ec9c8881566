"""AWS: who signs the requests."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache, partial
from typing import Any, Literal, NamedTuple

import boto3
import botocore
import botocore.config
import botocore.session
from botocore.credentials import Credentials

from pipe.clients.answer import Fields
from pipe.clients.aws_transport import CHECK, Transport
from pipe.errors import Conflict, Denied, Invalid, Missing, ServiceError, WrongState
from pipe.redact import Secret, learn
from pipe.retry import Deadline
from pipe.values import Identity, KeyPair

# The services that are asked. The image has the descriptions of these alone, since boto3 brings those of 400 more.
Service = Literal["iam", "secretsmanager", "sns", "ssm", "sts"]

CHECK_KEYS = "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN)."

# A boto3 session is not safe to make clients from at the same time.
_MAKING = threading.Lock()

# Neither a profile nor a file in the home directory has a say: the settings alone do.
_NOTHING_ELSE: dict[str, Any] = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
    # The other one is a single endpoint for all regions, so that a new key would be tried at one place only.
    "sts_regional_endpoints": (None, None, "regional", None),
}

# Another region of the same partition, whose STS proves that a new key has spread.
_SECOND_REGION = {
    "aws": ("us-east-1", "us-west-2"),
    "aws-cn": ("cn-north-1", "cn-northwest-1"),
    "aws-us-gov": ("us-gov-west-1", "us-gov-east-1"),
}

# Reads that tell what is allowed, as boto3 knows them, and the parameter that names what each is about; of a list,
# one item is enough.
_READS = {
    "iam:ListAccessKeys": ("list_access_keys", "UserName"),
    "iam:GetAccessKeyLastUsed": ("get_access_key_last_used", "AccessKeyId"),
    "secretsmanager:ListSecrets": ("list_secrets", ""),
    "secretsmanager:BatchGetSecretValue": ("batch_get_secret_value", "SecretIdList"),
    "secretsmanager:DescribeSecret": ("describe_secret", "SecretId"),
    "secretsmanager:ListSecretVersionIds": ("list_secret_version_ids", "SecretId"),
    "secretsmanager:GetSecretValue": ("get_secret_value", "SecretId"),
    "ssm:DescribeParameters": ("describe_parameters", ""),
    "ssm:GetParameters": ("get_parameters", "Names"),
}


class Endpoint(NamedTuple):
    """Where AWS is asked: a region, and an address where it is not AWS's own."""

    region: str
    url: str | None = None


class Terms(NamedTuple):
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
    """A session, which signs nothing where it has no credentials; clients of single services ask through it."""

    def __init__(
        self,
        credentials: Credentials | None,
        endpoint: Endpoint,
        transport: Transport,
        identity: Identity | None = None,
    ) -> None:
        self.credentials = credentials
        self.endpoint = endpoint
        self._transport = transport
        self._identity = identity
        self.ask, self.ask_once, self.now = transport.ask, transport.ask_once, transport.now

    @classmethod
    def with_keys(
        cls,
        pair: KeyPair,
        token: Secret | None,
        endpoint: Endpoint,
        deadline: Deadline,
        identity: Identity | None = None,
        *,
        transport: Transport | None = None,
    ) -> Aws:
        """Return a session that signs with an access key, or with temporary credentials where a token is given.

        `identity` is who that is, where it is known already; with `transport` it goes on by another session's clock
        and connections.
        """
        credentials = Credentials(pair.id, pair.secret.reveal(), token.reveal() if token else None)
        return cls(credentials, endpoint, transport or Transport(deadline), identity)

    def signed(self, answer: Fields) -> Aws:
        """Return the session of the credentials that STS has answered to this one with."""
        given = answer.object("Credentials")
        pair = KeyPair(given.text("AccessKeyId"), Secret(given.text("SecretAccessKey")))
        identity = _identity(answer.object("AssumedRoleUser"))
        return self._with(pair, Secret(given.text("SessionToken")), identity)

    def signed_by(self, pair: KeyPair) -> Aws:
        """Return a session that is the same but for the access key that it signs with."""
        return self._with(pair)

    def hear(self, now: Callable[[], datetime]) -> None:
        """Go by another clock of AWS's until an answer tells the time."""
        self._transport.hear(now)

    def client(self, service: Service, *, region: str | None = None) -> Any:
        """Return boto3's client of a service; it makes each request once."""
        config: Any = {
            # botocore's own repetition is off: it would repeat CreateAccessKey, too, and lose the first key's secret.
            "retries": {"total_max_attempts": 1},
            # AWS_ENDPOINT_URL is in the settings; those of single services would lead requests past it.
            "ignore_configured_endpoint_urls": True,
            "user_agent_extra": "keyturn",
            "signature_version": None if self.credentials else botocore.UNSIGNED,
        }
        region = region or self.endpoint.region
        signing: dict[str, str | None] = {}
        if self.credentials is not None:
            signing = {
                "aws_access_key_id": self.credentials.access_key,
                "aws_secret_access_key": self.credentials.secret_key,
                "aws_session_token": self.credentials.token,
            }
        with _MAKING:
            make: Any = _session().client
            try:
                client = make(
                    service, region_name=region, endpoint_url=self.endpoint.url,
                    config=botocore.config.Config(**config), **signing,
                )  # fmt: skip
            except Exception as error:  # noqa: BLE001 - botocore raises what it does not document
                raise ServiceError(
                    f"AWS has no {service} that can be asked in {region} ({type(error).__name__}).", f"Check {CHECK}."
                ) from None
        self._transport.carry(client)
        return client

    def pages(self, action: str, call: Callable[..., Any], check: str, **given: Any) -> Iterator[Fields]:
        """Yield all pages of a list; raises as `ask` does, and Unreadable where they would lead round in a circle."""
        seen: set[str] = set()
        while True:
            page = self.ask(action, partial(call, **given), check)
            yield page
            token = page.optional_text("NextToken")
            if not token:
                return
            if token in seen:
                raise page.wrong("NextToken", "one that was there before")
            seen.add(token)
            given["NextToken"] = token

    def identity(self) -> Identity:
        """Return who signs the requests; it is asked for once, and not at all where STS has told it already."""
        if self._identity is None:
            answer = self.ask("sts:GetCallerIdentity", self.client("sts").get_caller_identity, CHECK_KEYS)
            credentials = self.credentials
            self._identity = _identity(answer, "" if not credentials or credentials.token else credentials.access_key)
        return self._identity

    def may(self, action: str, name: str) -> bool:
        """Tell whether an action that reads is allowed, by doing it; what is not there may be asked about, too.

        Raises ServiceError where that cannot be told.
        """
        call, parameter = _READS[action]
        several = parameter.endswith(("List", "Names"))
        given: dict[str, Any] = {parameter: [name] if several else name} if parameter else {"MaxResults": 1}
        service: Any = action.partition(":")[0]
        request = partial(getattr(self.client(service), call), **given)
        try:
            # Nothing depends on it, so that nobody waits long.
            answer = self.ask(action, request, f"Check the names that the settings give, and {CHECK}.", attempts=2)
        except Denied:
            return False
        except (Missing, Conflict, WrongState, Invalid):
            return True
        learn(answer.optional_text("SecretString") or "")
        return True

    def checkers(self, pair: KeyPair) -> list[Callable[[], Identity]]:
        """Return questions, one per endpoint, that ask once who an access key is; they raise as `ask_once` does."""
        other = self._with(pair)
        partition = _session().get_partition_for_region(self.endpoint.region)
        here = self.endpoint.region
        regions = [here, *(region for region in _SECOND_REGION.get(partition, ()) if region != here)][:2]

        def question(region: str) -> Callable[[], Identity]:
            sts = other.client("sts", region=region)

            def ask() -> Identity:
                check = f"Check that the network lets requests to STS in {region} through."
                return _identity(other.ask_once("sts:GetCallerIdentity", sts.get_caller_identity, check), pair.id)

            return ask

        return [question(region) for region in regions]

    def _with(self, pair: KeyPair, token: Secret | None = None, identity: Identity | None = None) -> Aws:
        transport = self._transport
        return Aws.with_keys(pair, token, self.endpoint, transport.deadline, identity, transport=transport)


def _identity(answer: Fields, key_id: str = "") -> Identity:
    """Return who an answer of STS's says that somebody is, who signs with that key if it is a user."""
    arn = answer.name("Arn")
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn":
        raise answer.wrong("Arn", "no ARN")
    user = parts[5].rsplit("/", 1)[-1] if parts[5].startswith("user/") else ""
    return Identity(arn, parts[4], user, key_id if user else "")


@cache
def _session() -> boto3.Session:
    """Return the one session that all clients are made from, since making one takes longer than a request.

    It holds no credentials: each client is given its own.
    """
    return boto3.Session(botocore_session=botocore.session.Session(session_vars=_NOTHING_ELSE))
