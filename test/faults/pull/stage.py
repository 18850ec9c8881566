"""The world of a pull, and how it looks from outside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from pipe.jobs.pull.state_variable import LastSync, last_sync_of, uuid_digest
from sandbox.bitbucket import Environment, Scope, Variable
from sandbox.vault import Vault
from sandbox.world import Company, World
from test.exposure import exposed
from test.support import scopes_of

STATE = "KEYTURN_STATE"

# OpenBao's and Vault's client tokens; nobody but the run knows its own.
_TOKEN = re.compile(r"\b(?:hv)?[sb]\.[A-Za-z0-9_-]{20,}")

Held = Mapping[str, Variable]


@dataclass(frozen=True)
class Picture:
    """Every variable of every scope at one moment; the states, which may tell of attempts, are kept apart."""

    held: Mapping[str, Held] = field(repr=False)
    states: Mapping[str, Variable] = field(repr=False, compare=False)

    def remembered(self, scope: Scope) -> LastSync:
        """Return what a target remembers."""
        state = self.states.get(scope.uuid)
        return last_sync_of(state.value if state else None)


@dataclass(frozen=True)
class Stage:
    """A seeded world with two targets, what they shall hold in the end, and every secret that has been in it.

    `gone` are the variables that shall not be there any more; `at_first` is how all looked when it was prepared.
    """

    world: World
    company: Company
    variables: dict[str, str] = field(repr=False)
    wanted: Mapping[str, str] = field(repr=False)
    gone: frozenset[str]
    secrets: frozenset[str] = field(repr=False)
    at_first: Picture

    @property
    def vault(self) -> Vault:
        """The company's Vault."""
        assert self.world.vault is not None
        return self.world.vault

    @property
    def targets(self) -> tuple[Environment, ...]:
        """The two targets."""
        return tuple(self.company.environments[name] for name in ("Staging", "Production"))

    @property
    def ours(self) -> frozenset[str]:
        """The variables that the pull may touch."""
        return frozenset(self.wanted) | self.gone

    def fresh(self) -> Self:
        """Return the stage for one more try: what a killed run has left in Vault is taken away."""
        for accessor in self.vault.tokens():
            self.vault.ask("POST", "auth/token/revoke-accessor", {"accessor": accessor})
        return replace(self)

    def with_wanted(self, name: str, value: str) -> Self:
        """Return the stage with one more variable that the targets shall hold."""
        return replace(self, wanted={**self.wanted, name: value})

    def environ(self) -> dict[str, str]:
        """Return the run's variables."""
        return self.variables

    def look(self) -> Picture:
        """Take a picture."""
        return picture_of(self.world, self.company)

    def leaks(self, output: str) -> list[str]:
        """Return which secrets the output or an unsecured variable shows."""
        shelves = [*self.look().held.values(), self.look().states]
        unsecured = [each.value for shelf in shelves for each in shelf.values() if not each.secured]
        return exposed(self.secrets, "\n".join([output, *unsecured])) + _TOKEN.findall(output)

    def claims(self, picture: Picture, scope: Scope, truth: LastSync) -> list[str]:
        """Return what a target claims in a picture although it is not so; `truth` is what is remembered when all is.

        A stamp that will be true in the end says: these variables hold this version, and the secret gives no others.
        """
        remembered, held = picture.remembered(scope), picture.held[scope.uuid]
        untrue = [f"{name} is Keyturn's" for name in remembered.names - self.ours]
        for text, group in remembered.groups.items():
            for address, entry in group.entries.items():
                final = truth.entry(text, address)
                if final is None or not entry.stamp or entry.stamp != final.stamp:
                    continue
                if entry.names.keys() != final.names.keys():
                    untrue.append(f"{address} gives {', '.join(entry.names)}")
                untrue += [f"{name} is current" for name in entry.names if not self._current(held, name, entry.names)]
        return untrue

    def _current(self, held: Held, name: str, digests: Mapping[str, str]) -> bool:
        """Tell whether a variable is as it shall be, or is another one than that of which something is claimed."""
        variable = held.get(name)
        if variable is None or uuid_digest(variable.uuid) != digests[name]:
            return True
        return variable.value == self.wanted.get(name)


def picture_of(world: World, company: Company) -> Picture:
    """Take a picture."""
    shelves = {scope.uuid: world.bitbucket.variables(scope) for scope in scopes_of(company)}
    states = {uuid: shelf.pop(STATE) for uuid, shelf in shelves.items() if STATE in shelf}
    return Picture(shelves, states)


def right(stage: Stage) -> list[str]:
    """Name what is wrong: both targets hold exactly what Vault holds now, secured, and nothing else has changed."""
    picture, wrong = stage.look(), []
    targets = {scope.uuid: scope for scope in stage.targets}
    for uuid, before in stage.at_first.held.items():
        now, ours = picture.held[uuid], stage.ours if uuid in targets else frozenset()
        others = {name: variable for name, variable in now.items() if name not in ours}
        if others != {name: variable for name, variable in before.items() if name not in ours}:
            wrong.append(f"other variables of {uuid} are not as they were")
        remade = [name for name in ours & now.keys() & before.keys() if now[name].uuid != before[name].uuid]
        wrong += [f"{name} was deleted and made anew" for name in remade]
    for uuid, scope in targets.items():
        held = {name: variable for name, variable in picture.held[uuid].items() if name in stage.ours}
        values = {name: variable.value for name, variable in held.items()}
        wrong += [
            f"{scope.name} {name} is not as Vault has it"
            for name in sorted(values.keys() | stage.wanted.keys())
            if values.get(name) != stage.wanted.get(name)
        ]
        wrong += [f"{scope.name} {name} is not secured" for name, variable in held.items() if not variable.secured]
        state = picture.states.get(uuid)
        if state is None or state.secured or not picture.remembered(scope).readable:
            wrong.append(f"{scope.name} has no state that can be read")
    return wrong
