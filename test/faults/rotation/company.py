"""The world of the fault matrix, and how it looks from outside."""

from __future__ import annotations

import base64
import configparser
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from sandbox.aws import Pair
from sandbox.bitbucket import Scope
from sandbox.world import SECRET, USER, Company, World
from test.exposure import exposed

# Somebody else, whose keys are no business of a rotation's.
OTHER = "somebody-else"
ID, KEY, FILE = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_CREDENTIALS"
# The secrets that a run is given.
GIVEN = (KEY, "BITBUCKET_ACCESS_TOKEN", "BITBUCKET_STEP_OIDC_TOKEN")


@dataclass(frozen=True)
class Picture:
    """Keys, the current pair and targets at one moment, what is others', and not what of the journal may grow."""

    keys: Mapping[str, str]
    current: str
    targets: tuple[Mapping[str, tuple[str, bool]], ...] = field(repr=False)
    others: object = ()


@dataclass
class Stage:
    """A seeded world with its targets, and every secret that has been in it; of `hidden` ones, the id is secured."""

    world: World
    company: Company
    targets: tuple[Scope, ...]
    variables: dict[str, str]
    secrets: set[str] = field(default_factory=set)
    own_key: bool = False
    hidden: frozenset[Scope] = frozenset()
    reads_file: bool = False

    def fresh(self) -> Self:
        """Return the stage for one more try."""
        return replace(self, secrets=set(self.secrets))

    def environ(self) -> dict[str, str]:
        """Return the run's variables; with its own key, those that the first target holds by now."""
        if not self.own_key:
            return self.variables
        pair = self.pair(self.targets[0])
        return {**self.variables, ID: pair.access_key_id, KEY: pair.secret_access_key}

    def look(self) -> Picture:
        """Take a picture, and get to know every secret that is there."""
        keys = {key.id: key.status for key in self.world.aws.keys(USER)}
        secret = self.world.aws.secret(SECRET)
        for version in secret.versions.values() if secret else ():
            self.secrets.add(_secret_of(version.body))
        current = secret.at("AWSCURRENT") if secret else None
        body = current.body if current and _secret_of(current.body) else ""
        targets = tuple(
            {
                variable.key: (variable.value, variable.secured)
                for variable in self.world.bitbucket.variables(target).values()
                if not variable.key.startswith("KEYTURN_")
            }
            for target in self.targets
        )
        for values in targets:
            # An id is none, even where somebody has secured it.
            self.secrets.update(value for name, (value, secured) in values.items() if secured and name != ID)
        self.secrets.discard("")
        return Picture(keys, body, targets, self.others())

    def others(self) -> object:
        """Return what is somebody else's: another user's keys, another secret, and other variables of the targets."""
        keys = [(key.id, key.status) for key in self.world.aws.keys(OTHER)]
        secret = self.world.aws.secret(OTHER)
        versions = [(each.body, tuple(each.stages)) for each in secret.versions.values()] if secret else []
        return keys, versions, [self.world.bitbucket.variables(target).get("LOG_LEVEL") for target in self.targets]

    def pair(self, target: Scope) -> Pair:
        """Return the pair that a consumer of a target gets."""
        held = self.world.bitbucket.variables(target)
        if self.reads_file and FILE in held:
            return _pair_of(base64.b64decode(held[FILE].value).decode())
        return Pair(held[ID].value if ID in held else "", held[KEY].value if KEY in held else "")

    def outages(self) -> list[Scope]:
        """Return the targets whose pair does not sign."""
        return [target for target in self.targets if not self.world.aws.signs(self.pair(target))]

    def mismatched(self, target: Scope) -> bool:
        """Tell whether a target's id is that of a live key, but with another key's secret."""
        pair = self.pair(target)
        live = {key.id for key in self.world.aws.keys(USER) if key.status == "Active"}
        return pair.access_key_id in live and not self.world.aws.signs(pair)

    def leaks(self, output: str) -> list[str]:
        """Return which secrets the output or an unsecured variable shows."""
        self.look()
        unsecured = "\n".join(
            variable.value
            for target in self.targets
            for variable in self.world.bitbucket.variables(target).values()
            if not variable.secured
        )
        given = {self.variables.get(name, "") for name in GIVEN} | {self.company.token.secret}
        given.discard("")
        return exposed(self.secrets | given, output + "\n" + unsecured)


def _pair_of(file: str) -> Pair:
    """Return what AWS's tools read from a credentials file."""
    parser = configparser.ConfigParser()
    parser.read_string(file)
    section = parser["default"]
    return Pair(section["aws_access_key_id"], section["aws_secret_access_key"])


def _secret_of(body: str) -> str:
    try:
        return str(json.loads(body).get("SecretAccessKey", ""))
    except ValueError:
        return ""
