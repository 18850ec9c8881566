"""One company with a Vault, and quick runs of a pull in it, each of them listened to for secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.bitbucket import Scope
from sandbox.wire import Fault, Wire
from sandbox.world import Company, World
from test.exposure import exposed
from test.faults.runner import Runner
from test.support import Result, scopes_of

KILLED = -9
STATE = "KEYTURN_STATE"


class Case:
    """A company whose Vault has twelve secrets; `given` holds variables that all of its runs get."""

    def __init__(self, world: World, company: Company, runner: Runner) -> None:
        assert world.vault is not None
        self.world = world
        self.vault = world.vault
        self.company = company
        self.runner = runner
        self.given: dict[str, str | None] = {}
        self.secrets = {company.token.secret}
        self.heard(company.secrets)
        self.mend()
        self.forget()

    @property
    def wires(self) -> tuple[Wire, ...]:
        return self.vault.wire, self.world.bitbucket.wire

    @property
    def staging(self) -> Scope:
        return self.company.environments["Staging"]

    @property
    def production(self) -> Scope:
        return self.company.environments["Production"]

    def put(self, path: str, values: Mapping[str, Any]) -> None:
        """Write a secret into Vault, by the path that the CLI has."""
        self.vault.put(path, values)
        self.heard({path: values})

    def heard(self, secrets: Mapping[str, Mapping[str, Any]]) -> None:
        """Listen for these values, too; short ones are ordinary words."""
        for values in secrets.values():
            texts = {value if isinstance(value, str) else json.dumps(value) for value in values.values()}
            self.secrets |= {text for text in texts if len(text) >= 8}

    def held(self, scope: Scope) -> dict[str, str]:
        """Return what a step gets from a target: its variables' real values, but for the state."""
        return {key: variable.value for key, variable in self.world.bitbucket.variables(scope).items() if key != STATE}

    def run(self, **variables: str | None) -> Result:
        """Run the pull; whatever becomes of it, neither its output nor an unsecured variable shows a secret."""
        return self.run_by(self.runner, variables)

    def run_by(self, runner: Runner, variables: Mapping[str, str | None]) -> Result:
        """Run the pull by another runner."""
        given = {**self.world.pull_variables(self.company), **self.given, **variables}
        self.secrets.add(str(given.get("BITBUCKET_STEP_OIDC_TOKEN") or self.company.token.secret))
        before = [len(wire.journal) for wire in self.wires]
        ended = runner.run({name: value for name, value in given.items() if value is not None})
        seen = [each for wire, start in zip(self.wires, before, strict=True) for each in wire.journal[start:]]
        if given.get("SECURED") != "false":
            assert exposed(self.secrets, "\n".join([ended.output, *self.unsecured()])) == []
        else:
            assert exposed(self.secrets, ended.output) == []
        code = KILLED if ended.code is None else ended.code
        return Result(code, ended.output, tuple(sorted(seen, key=lambda each: each.at)))

    def unsecured(self) -> list[str]:
        """Return the values that everybody can read."""
        return [
            variable.value
            for scope in scopes_of(self.company)
            for variable in self.world.bitbucket.variables(scope).values()
            if not variable.secured
        ]

    def well(self, **variables: str | None) -> Result:
        """Run the pull, which must succeed."""
        result = self.run(**variables)
        assert result.code == 0, result.output
        assert result.last_line.startswith("✔ "), result.output
        return result

    def unmet(self, **variables: str | None) -> Result:
        """Run the pull, which does what it can, and says what of that which was asked for is not done."""
        result = self.run(**variables)
        assert result.code == 2, result.output
        assert "not all that was asked for is done: " in result.last_line, result.output
        return result

    def idle(self, **variables: str | None) -> Result:
        """Run the pull, which must have nothing to do: no write, and no content read."""
        result = self.well(**variables)
        assert result.writes == [], result.output
        assert self.reads(result) == [], result.output
        return result

    def refused(self, **variables: str | None) -> str:
        """Run the pull, which must refuse and write nothing; return its problems."""
        before = [self.world.bitbucket.variables(scope) for scope in scopes_of(self.company)]
        result = self.run(**variables)
        assert result.code == 1, result.output
        assert result.last_line.startswith("✖ Refused, nothing was touched: "), result.output
        assert result.writes == []
        assert [self.world.bitbucket.variables(scope) for scope in scopes_of(self.company)] == before
        return "\n".join(result.problems)

    def reads(self, result: Result) -> list[str]:
        """Return the requests of a run that read contents."""
        return [each for each in result.asked("GET ") if "/data/" in each]

    def written(self, result: Result) -> int:
        """Return how many variables, states left out, a run wrote or tried to write."""
        states = {
            variables[STATE].uuid
            for scope in scopes_of(self.company)
            if STATE in (variables := self.world.bitbucket.variables(scope))
        }
        writes = [each for each in result.writes if not any(uuid in each for uuid in states)]
        return len(writes)

    def spoil(self, *faults: Fault) -> None:
        for wire in self.wires:
            wire.spoil(*faults)

    def mend(self) -> None:
        for wire in self.wires:
            wire.mend()

    def forget(self) -> None:
        for wire in self.wires:
            wire.forget()
        self.vault.forget_audit()
