"""IAM, Secrets Manager, STS and Bitbucket in memory, below the pipe's own clients: strict, and without a network.

A run asks through a `Line` of its own, which can be cut after any change, held up before any, or spoilt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

from pipe.clients.answer import About, Fields
from pipe.clients.aws import Endpoint
from pipe.clients.aws_errors import meaning_of
from pipe.errors import BadCredentials, Busy, Denied, Missing
from pipe.retry import Deadline
from pipe.values import Identity, KeyPair, Place, Target, TargetKind, Variable
from sandbox.aws.dialect import Refused
from sandbox.aws.secrets import Secret, Version

ACCOUNT, USER, SECRET = "123456789012", "bot", "ci/bot"
ARN = f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:{SECRET}-AbCdEf"
ID, KEY, STATE = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "KEYTURN_AWS_ACCESS_KEY_ID"
MOST_KEYS = 2
THIRD = "asked for a third key"


class Killed(BaseException):
    """The run's process is no more."""


@cache
def secret_of(key_id: str) -> str:
    """Return the secret of a key: made from its id, so that a pair can be judged by looking at it."""
    return hashlib.sha256(key_id.encode()).hexdigest()


@dataclass(frozen=True)
class Key:
    """A key of a user; `made` is whether Keyturn has made it, `used` when it was used last, and by which service."""

    id: str
    created: int
    active: bool = True
    user: str = USER
    made: bool = False
    used: tuple[int, str] | None = None


@dataclass(frozen=True)
class Shown:
    """A variable of a target."""

    value: str
    secured: bool


@dataclass
class Ground:
    """All that there is outside of a run; `now` is in seconds since the epoch, `refusing` and `silent` name targets."""

    now: int
    keys: dict[str, Key] = field(default_factory=dict)
    count: int = 0
    secret: Secret | None = None
    targets: dict[str, dict[str, Shown]] = field(default_factory=dict)
    refusing: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()

    def time(self) -> float:
        """Return the time as the secret wants it."""
        return float(self.now)

    def copy(self) -> Ground:
        """Return the same once more."""
        secret = self.secret
        if secret is not None:
            versions = {each.id: Version(each.id, each.created, each.value, list(each.stages))
                        for each in secret.versions.values()}  # fmt: skip
            secret = Secret(secret.name, secret.arn, secret.created, versions=versions, changed=secret.changed)
        targets = {name: dict(variables) for name, variables in self.targets.items()}
        return Ground(self.now, dict(self.keys), self.count, secret, targets, self.refusing, self.silent)

    def become(self, other: Ground) -> None:
        """Be as another one is."""
        vars(self).update(vars(other.copy()))

    @property
    def exactly(self) -> object:
        """All that there is, as something to compare."""
        secret = self.secret
        return (
            self.now, self.count, self.refusing, self.silent, tuple(self.keys.values()),
            tuple((name, *variables.items()) for name, variables in self.targets.items()),
            secret and (secret.changed, *((v.id, v.created, v.value["SecretString"], *v.stages)
                                          for v in secret.versions.values())),
        )  # fmt: skip

    def add_key(self, *, age: int = 0, user: str = USER, made: bool = False) -> Key:
        """Make a key."""
        self.count += 1
        key = Key(f"AKIA{self.count:016d}", self.now - age, user=user, made=made)
        self.keys[key.id] = key
        return key

    def of_user(self) -> list[Key]:
        """Return the keys of the user whose key is rotated."""
        return [key for key in self.keys.values() if key.user == USER]

    def set_active(self, key_id: str, active: bool) -> None:
        """Switch a key on or off."""
        self.keys[key_id] = replace(self.keys[key_id], active=active)

    def works(self, key_id: str, secret: str) -> bool:
        """Tell whether a pair signs."""
        key = self.keys.get(key_id)
        return key is not None and key.active and secret == secret_of(key_id)

    def held(self, name: str) -> tuple[str, str]:
        """Return the pair that a target holds."""
        variables = self.targets[name]
        return tuple(variables[each].value if each in variables else "" for each in (ID, KEY))  # type: ignore[return-value]

    def hand_over(self, name: str, key_id: str) -> None:
        """Write a pair into a target by hand."""
        self.targets[name][ID] = Shown(key_id, False)
        self.targets[name][KEY] = Shown(secret_of(key_id), True)

    def use(self, key_id: str, service: str) -> None:
        """Note that a key was used now."""
        key = self.keys.get(key_id)
        if key is not None and key.used != (self.now, service):
            self.keys[key_id] = Key(key.id, key.created, key.active, key.user, key.made, (self.now, service))


@dataclass
class Line:
    """One run's way to everything.

    It is dead after so many changes, and calls `meanwhile` once before request number `held_up`. `spoil` says what
    becomes of a kind of request: `lost` is done without an answer, `refused` not done.
    """

    ground: Ground
    dies_after: int = -1
    held_up: int = -1
    meanwhile: Callable[[], None] | None = None
    spoil: Mapping[str, str] = field(default_factory=dict)
    pair: KeyPair | None = None
    keeps: list[Ground] | None = None
    asked: int = 0
    kinds: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    verified: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.there = {name: secret_of(self.ground.held(name)[0]) for name in self.ground.targets}

    @property
    def changes(self) -> int:
        """How often something was changed."""
        return len(self.kinds)

    def ask(self) -> None:
        """Look at something."""
        if 0 <= self.dies_after <= self.changes:
            raise Killed
        if self.asked == self.held_up and self.meanwhile is not None:
            call, self.meanwhile = self.meanwhile, None
            call()
        self.asked += 1

    def change(self, what: str, do: Callable[[], Any]) -> Any:
        """Change something."""
        self.ask()
        fate = self.spoil.get(what)
        if fate == "refused":
            raise Denied(f"{what} is refused.", "Check the permission.")
        answer = do()
        self.kinds.append(what)
        self.places.append(self.asked - 1)
        if self.keeps is not None:
            self.keeps.append(self.ground.copy())
        if fate == "lost":
            raise Busy(f"No answer to {what}.", "Run again.", unclear=True)
        return answer


class Signer:
    """AWS as one run sees it; in place of `pipe.clients.aws.Aws`."""

    endpoint = Endpoint("eu-central-1")

    def __init__(self, line: Line, deadline: Deadline) -> None:
        self._line = line
        self._deadline = deadline

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._line.ground.now, UTC)

    def ask(self, action: str, request: Callable[[], Any], check: str, *, attempts: int = 6, **_: Any) -> Fields:
        return self._deadline.retry(lambda: self.ask_once(action, request, check), attempts=attempts)

    def ask_once(self, action: str, request: Callable[[], Any], check: str) -> Fields:
        line = self._line
        line.ask()
        if line.pair is not None:
            if not line.ground.works(line.pair.id, line.pair.secret.reveal()):
                raise meaning_of("InvalidClientTokenId", "The security token is invalid.", action, check)
            line.ground.use(line.pair.id, action.partition(":")[0])
        try:
            return Fields(request(), About("AWS", action, check))
        except Refused as refused:
            raise meaning_of(refused.code, str(refused), action, check) from None

    def pages(self, action: str, call: Callable[..., Any], check: str, **given: Any) -> Iterator[Fields]:
        yield self.ask(action, partial(call, **given), check)

    def client(self, service: str, *, region: str | None = None) -> Any:
        return Iam(self._line) if service == "iam" else SecretsOfAws(self._line)

    def signed_by(self, pair: KeyPair) -> Signer:
        line = Line(self._line.ground, pair=pair, verified=self._line.verified, wrong=self._line.wrong)
        line.ask = self._line.ask  # type: ignore[method-assign]
        line.change = self._line.change  # type: ignore[method-assign]
        return Signer(line, self._deadline)

    def checkers(self, pair: KeyPair) -> list[Callable[[], Identity]]:
        return [partial(self._who, pair)] * 2

    def _who(self, pair: KeyPair) -> Identity:
        self._line.ask()
        ground = self._line.ground
        if not ground.works(pair.id, pair.secret.reveal()):
            raise BadCredentials("AWS does not know the access key.", "Check it.")
        ground.use(pair.id, "sts")
        self._line.verified.add(pair.id)
        user = ground.keys[pair.id].user
        return Identity(f"arn:aws:iam::{ACCOUNT}:user/{user}", ACCOUNT, user, pair.id)


class Iam:
    """boto3's client of IAM."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._ground = line.ground

    def list_access_keys(self, **_: Any) -> Any:
        return {
            "AccessKeyMetadata": [
                {
                    "UserName": USER, "AccessKeyId": key.id, "Status": "Active" if key.active else "Inactive",
                    "CreateDate": datetime.fromtimestamp(key.created, UTC),
                }
                for key in self._ground.of_user()
            ]
        }  # fmt: skip

    def create_access_key(self, **_: Any) -> Any:
        key = self._line.change("create", self._create)
        made = {"UserName": USER, "AccessKeyId": key.id, "Status": "Active", "SecretAccessKey": secret_of(key.id)}
        return {"AccessKey": made}

    def _create(self) -> Key:
        if len(self._ground.of_user()) >= MOST_KEYS:
            self._line.wrong.append(THIRD)
            raise Refused("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2", 409)
        return self._ground.add_key(made=True)

    def update_access_key(self, *, AccessKeyId: str, Status: str, **_: Any) -> Any:  # noqa: N803 - boto3's names
        self._line.change("switch", lambda: self._ground.set_active(self._known(AccessKeyId).id, Status == "Active"))
        return {}

    def delete_access_key(self, *, AccessKeyId: str, **_: Any) -> Any:  # noqa: N803
        self._line.change("delete", lambda: self._ground.keys.pop(self._known(AccessKeyId).id))
        return {}

    def get_access_key_last_used(self, *, AccessKeyId: str) -> Any:  # noqa: N803
        if "last use" in self._line.spoil:
            raise Refused("AccessDenied", "User is not authorized to perform: iam:GetAccessKeyLastUsed", 403)
        used = self._known(AccessKeyId).used
        if used is None:
            return {"AccessKeyLastUsed": {"ServiceName": "N/A", "Region": "N/A"}}
        at = datetime.fromtimestamp(used[0], UTC)
        return {"AccessKeyLastUsed": {"LastUsedDate": at, "ServiceName": used[1], "Region": "eu-central-1"}}

    def _known(self, key_id: str) -> Key:
        key = self._ground.keys.get(key_id)
        if key is None or key.user != USER:
            raise Refused("NoSuchEntity", f"The Access Key with id {key_id} cannot be found.", 404)
        return key


class SecretsOfAws:
    """boto3's client of Secrets Manager, with one secret as strict as the sandbox's."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._ground = line.ground

    def describe_secret(self, **_: Any) -> Any:
        secret = self._found()
        return {"ARN": secret.arn, "Name": secret.name, "VersionIdsToStages": secret.staged()}

    def list_secret_version_ids(self, **_: Any) -> Any:
        versions = self._found().versions.values()
        return {"Versions": [{"VersionId": each.id, "CreatedDate": self._date(each)} for each in versions]}

    def get_secret_value(self, *, VersionId: str | None = None, VersionStage: str | None = None, **_: Any) -> Any:  # noqa: N803
        version = self._found().version(VersionId, VersionStage)
        return {"ARN": ARN, "VersionId": version.id, **version.value, "CreatedDate": self._date(version)}

    def create_secret(self, *, Name: str) -> Any:  # noqa: N803
        self._line.change("make secret", partial(self._create, Name))
        return {"ARN": ARN}

    def _create(self, name: str) -> None:
        if self._ground.secret is not None:
            raise Refused("ResourceExistsException", f"The operation failed because the secret {name} already exists.")
        self._ground.secret = Secret(name, ARN, self._ground.now)

    def put_secret_value(
        self, *, ClientRequestToken: str, SecretString: str, VersionStages: list[str], **_: Any  # noqa: N803
    ) -> Any:  # fmt: skip
        what = "store" if VersionStages == ["AWSPENDING"] else "put"
        given = (ClientRequestToken, {"SecretString": SecretString}, VersionStages, self._ground)
        version = self._line.change(what, lambda: self._found().put(*given))  # type: ignore[arg-type]
        return {"ARN": ARN, "VersionId": version.id, "VersionStages": list(version.stages)}

    def update_secret_version_stage(
        self,
        *,
        VersionStage: str,  # noqa: N803
        RemoveFromVersionId: str | None = None,  # noqa: N803
        MoveToVersionId: str | None = None,  # noqa: N803
        **_: Any,
    ) -> Any:
        given = (VersionStage, RemoveFromVersionId, MoveToVersionId, self._ground)
        self._line.change("move", lambda: self._found().relabel(*given))  # type: ignore[arg-type]
        return {"ARN": ARN}

    def _found(self) -> Secret:
        if self._ground.secret is None:
            raise Refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        return self._ground.secret

    @staticmethod
    def _date(version: Version) -> datetime:
        return datetime.fromtimestamp(version.created, UTC)


class Places:
    """Bitbucket as one run sees it; in place of `pipe.clients.bitbucket.Bitbucket`."""

    exhausted = False
    scopes: frozenset[str] = frozenset()

    def __init__(self, line: Line) -> None:
        self._line = line
        self._ground = line.ground

    def begin(self, place: Place) -> None:
        """Let everything be begun: no rate limit is near."""

    def writing(self, place: Place, writes: int) -> AbstractContextManager[None]:
        """Let everything be begun, as above."""
        return nullcontext()

    def look(self, target: Target) -> tuple[Place, dict[str, Variable]]:
        place = place_of(target.environment)
        return place, self.variables(place)

    def variables(self, place: Place) -> dict[str, Variable]:
        name = name_of(place)
        self._reach(name)
        shown = self._ground.targets[name]
        return {key: _variable(name, key, each) for key, each in shown.items()}

    def is_gone(self, place: Place) -> bool:
        return name_of(place) not in self._ground.targets

    def write(self, place: Place, key: str, value: str, known: Variable | None, *, secured: bool) -> Variable:
        name = name_of(place)
        self._reach(name)
        if name in self._ground.refusing:
            raise Denied(f"{key} in {place.label} is refused.", "Check the token.")
        if key == KEY:
            self._judge(name, value)
        kind = {ID: "write id", KEY: "write secret"}.get(key, "write state")
        shown = Shown(value, secured)
        self._line.change(kind, lambda: self._ground.targets[name].__setitem__(key, shown))
        return _variable(name, key, shown)

    def create(self, place: Place, key: str, value: str, **_: Any) -> Variable:
        """Create a variable; return the one that is there where somebody was first."""
        return self.variables(place).get(key) or self.write(place, key, value, None, secured=False)

    def _judge(self, name: str, secret: str) -> None:
        """See that nobody is given a pair that this run has not seen to work, but the one that was there."""
        known = {secret_of(key_id) for key_id in self._line.verified}
        if secret not in {*known, self._line.there[name]}:
            self._line.wrong.append(f"{name} is given a pair that this run has not seen to work")

    def _reach(self, name: str) -> None:
        self._line.ask()
        if name not in self._ground.targets:
            raise Missing(f"There is no environment {name}.", "Check TARGETS.")
        if name in self._ground.silent:
            raise Busy(f"Bitbucket does not answer about {name}.", "Run again later.")


def target_of(name: str) -> Target:
    """Return a target as the settings name it."""
    return Target(TargetKind.DEPLOYMENT, "acme", "shop", name)


def place_of(name: str) -> Place:
    """Return the place that a target is."""
    return Place(f"acme/shop {name}", f"/acme/shop/{name}/variables")


def name_of(place: Place) -> str:
    """Return the name of the target at a place."""
    return place.path.split("/")[3]


def _variable(name: str, key: str, shown: Shown) -> Variable:
    return Variable(f"{{{name}-{key}}}", key, None if shown.secured else shown.value, shown.secured)
