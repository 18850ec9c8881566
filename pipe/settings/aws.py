"""How AWS is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from pipe.policies import Home, Statement, compact, document, kms, notice
from pipe.reading import Reader
from pipe.redact import Secret
from pipe.settings.anywhere import Anywhere, read_anywhere, wants_anywhere
from pipe.settings.arns import ROLE_ARN
from pipe.values import KeyPair

# How long a session may last in seconds: at least, at most, and at most where a role is assumed by temporary keys.
SHORTEST, LONGEST, LONGEST_CHAINED = 900, 43_200, 3_600
# How many characters a session's policy may have.
LONGEST_POLICY = 2_048

# Makes what an action has to be allowed.
Needs = Callable[[Home], list[Statement]]


@dataclass(frozen=True)
class Keys:
    """An access key, with a token where it is temporary, and the role to assume by it, if any."""

    pair: KeyPair
    token: Secret | None = None
    role_arn: str = ""


@dataclass(frozen=True)
class WebIdentity:
    """A role, and the step's OIDC token that may assume it."""

    role_arn: str
    token: Secret


@dataclass(frozen=True)
class AwsAccess:
    """How AWS is asked: where, as whom, and with which session, `policy` being JSON that narrows it, or empty.

    `way` is None where there is none.
    """

    region: str
    endpoint: str | None
    way: WebIdentity | Anywhere | Keys | None = None
    policy: str = ""
    seconds: int = LONGEST_CHAINED
    allowed_accounts: tuple[str, ...] = ()

    @property
    def role_arn(self) -> str:
        """The role that the run takes; empty for keys alone."""
        return self.way.role_arn if self.way else ""

    @property
    def pair(self) -> KeyPair | None:
        """The access key that signs the run, if it is one."""
        return self.way.pair if isinstance(self.way, Keys) and not self.way.role_arn else None


def read_aws(reader: Reader, needs: Needs) -> AwsAccess:
    """Return how AWS is asked; `needs` is what the action has to be allowed."""
    region = _region(reader)
    way = _way(reader)
    return AwsAccess(
        region=region,
        endpoint=reader.url("AWS_ENDPOINT_URL"),
        way=way,
        # A profile of Roles Anywhere has a policy of its own, and takes no other.
        policy="" if isinstance(way, Anywhere) else _policy(reader, way.role_arn if way else "", region, needs),
        seconds=_seconds(reader, way),
        allowed_accounts=reader.accounts(),
    )


def _region(reader: Reader) -> str:
    region = reader.matching("AWS_DEFAULT_REGION", r"[a-z]{2,}(-[a-z]+)+-\d", "a region such as eu-central-1")
    secret_arn = reader.plain("SECRET_ID").split(":")
    if not region and len(secret_arn) > 3:
        region = secret_arn[3]
    if not region and reader.plain("SECRET_ID") and not reader.complained("AWS_DEFAULT_REGION"):
        reader.problem("AWS_DEFAULT_REGION: needed to find SECRET_ID, which is no ARN.")
    return region or "us-east-1"


def _way(reader: Reader) -> WebIdentity | Anywhere | Keys | None:
    """Return the first way that is given: a role for the step, Roles Anywhere, an access key."""
    role_arn = reader.matching("AWS_OIDC_ROLE_ARN", ROLE_ARN, "the ARN of a role")
    if role_arn:
        token = reader.plain("BITBUCKET_STEP_OIDC_TOKEN")
        if not token:
            reader.problem(
                "AWS_OIDC_ROLE_ARN: the step has no OIDC token (BITBUCKET_STEP_OIDC_TOKEN); put `oidc: true` into the "
                "step."
            )
        return WebIdentity(role_arn, Secret(token))
    if wants_anywhere(reader):
        return read_anywhere(reader)
    return _keys(reader)


def _keys(reader: Reader) -> Keys | None:
    key_id = reader.matching("AWS_ACCESS_KEY_ID", r"\w{16,128}", "an access key id")
    secret, token = reader.text("AWS_SECRET_ACCESS_KEY"), reader.text("AWS_SESSION_TOKEN")
    role_arn = reader.matching("AWS_ROLE_ARN", ROLE_ARN, "the ARN of a role")
    for name, value in (("AWS_ACCESS_KEY_ID", key_id), ("AWS_SECRET_ACCESS_KEY", secret)):
        if not value and not reader.complained(name):
            reader.problem(f"{name}: needed where AWS_OIDC_ROLE_ARN is not given.")
    if not (key_id and secret):
        return None
    return Keys(KeyPair(key_id, Secret(secret)), Secret(token) if token else None, role_arn)


def _policy(reader: Reader, role_arn: str, region: str, needs: Needs) -> str:
    """Return the policy of the session as compact JSON, or an empty string."""
    text, name = reader.text("AWS_SESSION_POLICY"), "AWS_SESSION_POLICY"
    if not text:
        return ""
    if not role_arn:
        reader.problem(f"{name}: only the session of a role can be narrowed; give AWS_OIDC_ROLE_ARN or AWS_ROLE_ARN.")
        return ""
    if text == "minimal":
        home = Home.of(role_arn, region)
        topic = reader.text("SNS_TOPIC_ARN")
        statements = [*needs(home), *(notice(topic) if topic else [])]
        secrets = any("secretsmanager:" in compact(document([each])) for each in statements)
        policy = compact(document([*statements, *(kms(home) if secrets else [])]))
    else:
        policy = _given(text)
    if not policy:
        reader.problem(f"{name}: must be `minimal`, or a policy of IAM as JSON.")
    elif len(policy) > LONGEST_POLICY:
        reader.problem(
            f"{name}: it has {len(policy):,} characters, and AWS takes {LONGEST_POLICY:,}; "
            "name beginnings of names instead of single secrets."
        )
    return policy


def _given(text: str) -> str:
    """Return a policy without blanks; empty where it is none."""
    try:
        policy = json.loads(text)
    except ValueError:
        return ""
    return compact(policy) if isinstance(policy, dict) and policy.get("Statement") else ""


def _seconds(reader: Reader, way: WebIdentity | Anywhere | Keys | None) -> int:
    text = reader.text("AWS_SESSION_SECONDS")
    chained = isinstance(way, Keys) and bool(way.role_arn) and way.token is not None
    longest = LONGEST_CHAINED if chained else LONGEST
    if not (text.isascii() and text.isdecimal() and SHORTEST <= int(text) <= longest):
        reader.problem(
            f"AWS_SESSION_SECONDS: must be a whole number of seconds from {SHORTEST} to {longest:,}"
            f"{', since a role is assumed by temporary keys' if chained else ''}."
        )
        return LONGEST_CHAINED
    return int(text)
