"""The world of a replication, and how it looks from outside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from sandbox.aws import SecretView
from sandbox.moment import Moment
from sandbox.vault import Vault
from sandbox.world import REPLICAS, World
from test.exposure import exposed

SOURCE, VERSION = "keyturn:source", "vault-version"

# Every secret that is a replica or could be taken for one, by name.
Picture = Mapping[str, SecretView]


@dataclass(frozen=True)
class Original:
    """A secret of Vault, of which there shall be a replica."""

    path: str
    version: int
    values: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """The replica's name."""
        return REPLICAS + self.path.partition("/")[2]

    def problem(self, replica: SecretView | None) -> str:
        """Return what is wrong with a replica; empty where it is right."""
        if replica is None or replica.deleted:
            return f"{self.name} is not there"
        if not self.is_in(replica):
            return f"{self.name} is not as Vault has it"
        told = (replica.tags.get(SOURCE), replica.tags.get(VERSION))
        return "" if told == (self.path, str(self.version)) else f"{self.name} has the tags of {told}"

    def is_in(self, replica: SecretView) -> bool:
        """Tell whether who reads a replica gets what Vault has now."""
        try:
            return bool(json.loads(current(replica)) == self.values)
        except ValueError:
            return False


@dataclass(frozen=True)
class Stage:
    """A seeded world, what its replicas shall be in the end, and every secret that has been in it.

    `gone` are the replicas that shall wait for their deletion, `foreign` the secrets that are somebody else's and stay
    as they were `at_first`. While the world is as at `listed`, AWS's list was made; it shows nothing newer.
    """

    world: World
    variables: dict[str, str] = field(repr=False)
    wanted: tuple[Original, ...]
    gone: frozenset[str]
    foreign: frozenset[str]
    secrets: frozenset[str] = field(repr=False)
    listed: Moment | None = field(repr=False)
    at_first: Picture = field(repr=False)

    @property
    def vault(self) -> Vault:
        """The company's Vault."""
        assert self.world.vault is not None
        return self.world.vault

    def fresh(self) -> Self:
        """Return the stage for one more try: what a killed run has left in Vault is taken away."""
        for accessor in self.vault.tokens():
            self.vault.ask("POST", "auth/token/revoke-accessor", {"accessor": accessor})
        if self.listed is not None:
            now = self.world.save()
            self.world.restore(self.listed)
            self.world.aws.freeze()
            self.world.restore(now)
        return replace(self)

    def environ(self) -> dict[str, str]:
        """Return the run's variables."""
        return self.variables

    def look(self) -> Picture:
        """Take a picture."""
        names = {original.name for original in self.wanted} | self.gone | self.foreign
        return picture_of(self.world, names)

    def leaks(self, output: str) -> list[str]:
        """Return which secrets the output or what everybody may list shows."""
        tags = [f"{name} {replica.tags} {list(replica.versions)}" for name, replica in self.look().items()]
        return exposed(self.secrets, "\n".join([output, *tags]))

    def lost(self, before: Picture, now: Picture) -> list[str]:
        """Name what nobody can read any more, or who reads it gets neither the old value nor the new one."""
        originals = {original.name: original for original in self.wanted}
        lost = [f"{name} is gone" for name in before if name not in now]
        for name, replica in now.items():
            first, original = before.get(name), originals.get(name)
            if original is not None and replica.deleted and not (first and first.deleted):
                lost.append(f"{name} waits for its deletion")
            if original is not None and original.is_in(replica):
                continue
            if first is None or current(first) != current(replica):
                lost.append(f"{name} holds neither the old value nor the new one")
        return lost

    def untrue(self, before: Picture, now: Picture) -> list[str]:
        """Name the replicas whose tags tell of a version that is not there yet."""
        return [
            f"{original.name} tells of version {original.version}, which it does not hold"
            for original in self.wanted
            if (replica := now.get(original.name)) and not original.is_in(replica)
            # What was somebody else's is told to be ours before it is written.
            if (first := before.get(original.name)) and SOURCE in first.tags
            if first.tags.get(VERSION) != replica.tags.get(VERSION) == str(original.version)
        ]


def picture_of(world: World, names: set[str]) -> Picture:
    """Take a picture of the secrets of these names."""
    views = {name: world.aws.secret(name) for name in sorted(names)}
    return {name: view for name, view in views.items() if view is not None}


def current(replica: SecretView) -> str:
    """Return what who reads a secret gets."""
    version = replica.at("AWSCURRENT")
    return version.body if version else ""


def right(stage: Stage) -> list[str]:
    """Name what is wrong: each replica is exactly what Vault has now, and nothing else has changed."""
    picture = stage.look()
    wrong = [problem for each in stage.wanted if (problem := each.problem(picture.get(each.name)))]
    for name in sorted(stage.gone):
        replica = picture.get(name)
        if replica is None or not replica.deleted or current(replica) != current(stage.at_first[name]):
            wrong.append(f"{name} does not wait for its deletion as it was")
    wrong += [f"{name} is somebody else's and was touched" for name in stage.foreign
              if picture.get(name) != stage.at_first[name]]  # fmt: skip
    return wrong
