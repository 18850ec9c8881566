"""Access to AWS: the variables that say how."""

from collections.abc import Callable
from typing import NamedTuple

from pipe.permissions import Home, Statement, compact, document, keepers, kms, notice
from pipe.redact import Secret
from pipe.settings.reader import Reader
from pipe.settings.variables import STEP_TOKEN
from pipe.values import KeyPair

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


class Keys(NamedTuple):
    """An access key, with a token where it is temporary, and the role to assume by it, if any."""

    pair: KeyPair
    token: Secret | None = None
    role_arn: str = ""


class WebIdentity(NamedTuple):
    """A role, and the step's OIDC token that may assume it."""

    role_arn: str
    token: Secret


class Anywhere(NamedTuple):
    """A role of IAM Roles Anywhere, with the anchor and the profile that lead to it.

    `certificate` and `chain`, which may be empty, are PEM; `key` is the certificate's private key.
    """

    trust_anchor: str
    profile: str
    role_arn: str
    certificate: str
    key: Secret
    chain: str


class AwsAccess(NamedTuple):
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
