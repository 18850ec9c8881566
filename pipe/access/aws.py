"""Access to AWS: the variables that say how, and one sign-in for all of a run."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipe.errors import KeyturnError, Problem, Refused
from pipe.permissions import Home, Statement, compact, document, keepers, kms, notice
from pipe.redact import Secret
from pipe.report import who
from pipe.retry import Deadline
from pipe.settings.reader import Reader
from pipe.settings.variables import STEP_TOKEN
from pipe.values import Identity, KeyPair

if TYPE_CHECKING:
    from pipe.clients.aws import Aws

log = logging.getLogger("keyturn")

# Why a variable that somebody has made is empty in a step all the same.
WHERE_EMPTY = (
    "Secured variables are empty in pull requests of forks, and a deployment's variables in steps without "
    "`deployment:`."
)
ANCHOR, PROFILE, ROLE, CERTIFICATE, KEY, CHAIN = (
    f"AWS_ROLESANYWHERE_{name}"
    for name in ("TRUST_ANCHOR_ARN", "PROFILE_ARN", "ROLE_ARN", "CERTIFICATE", "PRIVATE_KEY", "CHAIN")
)

# How many seconds a session may last where a role is assumed by temporary keys.
LONGEST_CHAINED = 3_600
# How many characters a session's policy may have.
LONGEST_POLICY = 2_048

# Returns what an action has to be allowed, in an account.
Allowed = Callable[[Home], list[Statement]]


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
class Anywhere:
    """A role of IAM Roles Anywhere, with the anchor and the profile that lead to it.

    `certificate` and `chain`, which may be empty, are PEM; `key` is the certificate's private key.
    """

    trust_anchor: str
    profile: str
    role_arn: str
    certificate: str
    key: Secret
    chain: str


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


def lacks_token(reader: Reader, variable: str, what: str) -> None:
    """Note that a variable asks for the step's token, which is not there."""
    in_pipelines = bool(reader.plain("BITBUCKET_BUILD_NUMBER"))
    where = "" if in_pipelines else " Only a step of Pipelines has such a token."
    reader.problem(variable, what, f"Put `oidc: true` into the step ({STEP_TOKEN}).{where}", lacks=STEP_TOKEN)


def read_aws(reader: Reader, allowed: Allowed) -> AwsAccess:
    """Return how AWS is asked; `allowed` is what the action has to be allowed."""
    region = _region(reader)
    way = _way(reader)
    return AwsAccess(
        region=region,
        endpoint=reader.text("AWS_ENDPOINT_URL") or None,
        way=way,
        # A profile of Roles Anywhere has a policy of its own, and takes no other.
        policy="" if isinstance(way, Anywhere) else _policy(reader, way, region, allowed),
        seconds=_seconds(reader, way),
        allowed_accounts=reader.listed("ALLOWED_AWS_ACCOUNT_IDS"),
    )


def _region(reader: Reader) -> str:
    secret = reader.text("SECRET_ID")
    arn = secret.split(":")
    by_default = arn[3] if len(arn) > 3 else "us-east-1"
    if secret and len(arn) < 4 and not reader.is_given("AWS_DEFAULT_REGION"):
        reader.missing("AWS_DEFAULT_REGION", "needed to find SECRET_ID, which is no ARN")
    return reader.text("AWS_DEFAULT_REGION") or by_default


def _way(reader: Reader) -> WebIdentity | Anywhere | Keys | None:
    """Return the first way that is given: a role for the step, Roles Anywhere, an access key."""
    if reader.is_given("AWS_OIDC_ROLE_ARN"):
        role_arn, token = reader.text("AWS_OIDC_ROLE_ARN"), reader.plain(STEP_TOKEN)
        if not token:
            lacks_token(reader, "AWS_OIDC_ROLE_ARN", "the step has no OIDC token")
        return WebIdentity(role_arn, Secret(token)) if role_arn else None
    if wants_anywhere(reader):
        return _anywhere(reader)
    return _keys(reader)


def _keys(reader: Reader) -> Keys | None:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    given = [name for name in names if reader.is_given(name)]
    if not given:
        reader.missing(
            "AWS_OIDC_ROLE_ARN",
            "no way to sign in to AWS is given",
            f"Give AWS_OIDC_ROLE_ARN, and `oidc: true` to the step, or {' and '.join(names)}. {WHERE_EMPTY}",
        )
    elif len(given) == 1:
        (name,) = set(names) - set(given)
        reader.missing(name, f"needed together with {given[0]}")
    key_id, secret, token = (reader.text(name) for name in (*names, "AWS_SESSION_TOKEN"))
    role_arn = reader.text("AWS_ROLE_ARN")
    if not (key_id and secret):
        return None
    return Keys(KeyPair(key_id, Secret(secret)), Secret(token) if token else None, role_arn)


def wants_anywhere(reader: Reader) -> bool:
    """Tell whether anything of IAM Roles Anywhere is given but the key, which steps have that do not ask for it."""
    return any(map(reader.is_given, (ANCHOR, PROFILE, ROLE, CERTIFICATE, CHAIN)))


def _anywhere(reader: Reader) -> Anywhere:
    """Return what is given of IAM Roles Anywhere; whether a certificate is what it should be is seen at sign-in."""
    for name in (ANCHOR, PROFILE, ROLE, CERTIFICATE, KEY):
        if not reader.is_given(name):
            reader.missing(name, "needed, since other variables of IAM Roles Anywhere are given")
    anchor, profile, role = reader.text(ANCHOR), reader.text(PROFILE), reader.text(ROLE)
    if anchor and profile and anchor.split(":")[:5] != profile.split(":")[:5]:
        reader.problem(PROFILE, f"must be of the same account and region as {ANCHOR}")
    if anchor and role and anchor.split(":")[1] != role.split(":")[1]:
        reader.problem(ROLE, f"must be of the same partition of AWS as {ANCHOR}")
    if reader.is_given("AWS_SESSION_POLICY"):
        advice = "Put it into the profile, as its session policy."
        reader.problem("AWS_SESSION_POLICY", "IAM Roles Anywhere takes none", advice)
    return Anywhere(anchor, profile, role, reader.text(CERTIFICATE), Secret(reader.text(KEY)), reader.text(CHAIN))


def _policy(reader: Reader, way: WebIdentity | Anywhere | Keys | None, region: str, allowed: Allowed) -> str:
    """Return the policy of the session as compact JSON, or an empty string."""
    name = "AWS_SESSION_POLICY"
    given = reader.value(name)
    if not given or way is None:
        return ""
    if not way.role_arn:
        reader.problem(
            name,
            "only the session of a role can be narrowed",
            "Give AWS_OIDC_ROLE_ARN or AWS_ROLE_ARN, or leave it out.",
        )
        return ""
    if given == "minimal":
        home = Home.of(way.role_arn, region)
        topic = reader.text("SNS_TOPIC_ARN")
        statements = [*allowed(home), *(notice(topic) if topic else [])]
        services = keepers(statements)
        given = document([*statements, *(kms(home, services=services) if services else [])])
    policy = compact(given)
    if len(policy) > LONGEST_POLICY:
        reader.problem(
            name,
            f"it has {len(policy):,} characters, and AWS takes {LONGEST_POLICY:,}",
            "Name beginnings of names instead of single secrets.",
        )
    return policy


def _seconds(reader: Reader, way: WebIdentity | Anywhere | Keys | None) -> int:
    name = "AWS_SESSION_SECONDS"
    seconds = reader.number(name) or LONGEST_CHAINED
    if seconds > LONGEST_CHAINED and isinstance(way, Keys) and way.role_arn and way.token is not None:
        reader.problem(
            name, f"must be at most {LONGEST_CHAINED:,}, not {seconds:,}, since a role is assumed by temporary keys"
        )
    return seconds


class AwsSession:
    """The sign-in that the settings name; what has failed is not tried again."""

    def __init__(self, access: AwsAccess, session_name: str, deadline: Deadline) -> None:
        self.access = access
        self._session_name = session_name
        self._deadline = deadline
        # Who enters asks who has signed in, which signs in.
        self._lock = threading.RLock()
        self._aws: Aws | None = None
        self._identity: Identity | None = None
        self._admitted = False
        self._failed: KeyturnError | None = None

    def sign_in(self) -> Aws:
        """Return the session, whoever that is; raises Refused and ServiceError."""
        with self._lock:
            if self._aws is None:
                # AWS's library takes as long to import as all else; what does not ask AWS does not pay for it.
                from pipe.access.aws_sign_in import sign_in  # noqa: PLC0415 - see above

                self._aws = sign_in(self.access, self._session_name, self._deadline)
            return self._aws

    def identity(self) -> Identity:
        """Return who has signed in, whoever that is; raises Refused and ServiceError."""
        with self._lock:
            if self._identity is None:
                self._identity = self.sign_in().identity()
            return self._identity

    def enter(self) -> Aws:
        """Return the session, once it is said who one is and that this is allowed; raises Refused and ServiceError."""
        with self._lock:
            if self._failed is not None:
                raise self._failed
            try:
                if not self._admitted:
                    self.admit(self.identity())
            except KeyturnError as error:
                self._failed = error
                raise
            return self.sign_in()

    def admit(self, caller: Identity) -> None:
        """Say who has signed in; raises Refused for an account's root, and for one that is not among those allowed."""
        log.info("%s.", who(caller, self.access.region))
        why = objection(self.access, caller)
        if why:
            raise Refused([why])
        self._admitted = True


def objection(access: AwsAccess, caller: Identity) -> Problem | None:
    """Return why somebody who has signed in must not go on; None where nothing is against it."""
    if caller.arn.endswith(":root"):
        return Problem(
            "AWS_ACCESS_KEY_ID",
            "this is the key of the account's root user, who can do everything and cannot be narrowed",
            "Delete it (AWS Console, Security credentials), and give a role or a user of its own.",
        )
    if access.allowed_accounts and caller.account not in access.allowed_accounts:
        allowed = ", ".join(access.allowed_accounts)
        return Problem(
            "ALLOWED_AWS_ACCOUNT_IDS",
            f"these credentials belong to account {caller.account}, which is not among them: {allowed}",
        )
    return None
