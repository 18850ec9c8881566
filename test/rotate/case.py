"""One company, and quick runs of the pipe in it, each of them listened to for secrets."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import timedelta

from sandbox.aws import Pair
from sandbox.aws.keys import iam
from sandbox.bitbucket import Environment
from sandbox.wire import Fault
from sandbox.world import USER, Company, World
from test.exposure import exposed
from test.faults.pace import PATIENT
from test.faults.runner import Runner
from test.support import Result, consumers, outside, stages, statuses

ID, KEY = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
KILLED = -9
PARTLY = "✖ Partly done"


def signing_with(pair: Pair) -> dict[str, str | None]:
    """Return the variables of a run whose keys belong to the very user whose key is rotated."""
    return {ID: pair.access_key_id, KEY: pair.secret_access_key, "IAM_USER_NAME": None}


def body_of(pair: Pair) -> str:
    """Return a pair as somebody stores it by hand."""
    return json.dumps({"AccessKeyId": pair.access_key_id, "SecretAccessKey": pair.secret_access_key})


class Case:
    """A company whose key is due; `given` holds variables that all of its runs get."""

    def __init__(self, world: World, company: Company, runner: Runner) -> None:
        self.world = world
        self.company = company
        self.runner = runner
        self.old = company.old_key
        self.given: dict[str, str | None] = {}
        self._secrets = {company.admin.secret_access_key, company.token.secret}
        self.mend()

    @property
    def held(self) -> Pair:
        """The pair that every target holds, which signs."""
        (pair,) = consumers(self.world, self.company)
        assert self.world.aws.signs(pair)
        return pair

    @property
    def keys(self) -> dict[str, str]:
        """Whether each key is active: the old one, the new one that every target holds, and any other by its id."""
        names = {pair.access_key_id: "new" for pair in consumers(self.world, self.company)}
        names[self.old.access_key_id] = "old"
        return {names.get(key.id, key.id): key.status for key in self.world.aws.keys(USER)}

    @property
    def broken(self) -> set[Pair]:
        """The targets' pairs that do not sign."""
        return {pair for pair in consumers(self.world, self.company) if not self.world.aws.signs(pair)}

    def rotated(self, result: Result) -> None:
        """See that a run ended with the old key and a new one that every target holds."""
        assert result.code == 0, result.output
        assert result.last_line.startswith("✔ ")
        assert self.held != self.old
        assert self.keys == {"old": "Active", "new": "Active"}
        assert not {"AWSPENDING", "keyturn-intent"} & set(stages(self.world))

    def replaced(self, days: float) -> None:
        """Rotate, and let so many days pass."""
        self.well()
        self.world.clock.move(days=days)

    def old_is(self, status: str | None) -> None:
        """See that the old key is in this state, or gone, and that the targets' pairs sign."""
        assert statuses(self.world).get(self.old.access_key_id) == status
        assert self.broken == set()

    def environment(self, name: str) -> Environment:
        return self.company.environments[name]

    def write_of(self, name: str, key: str) -> str:
        """Return the operation that writes a variable of an environment."""
        return f"PUT */variables/{self.world.bitbucket.variables(self.environment(name))[key].uuid}"

    def run(self, **variables: str | None) -> Result:
        """Run the pipe; whatever becomes of it, it shows no secret."""
        return self.run_by(self.runner, variables)

    def run_by(self, runner: Runner, variables: Mapping[str, str | None], patience: float = PATIENT) -> Result:
        """Run the pipe by another runner, or with less patience."""
        given = {**self.world.variables(self.company), **self.given, **variables}
        journals = (self.world.aws.wire.journal, self.world.bitbucket.wire.journal)
        before = [len(journal) for journal in journals]
        ended = runner.run({name: value for name, value in given.items() if value is not None}, patience)
        seen = [seen for journal, start in zip(journals, before, strict=True) for seen in journal[start:]]
        assert self.leaks(ended.output) == []
        code = KILLED if ended.code is None else ended.code
        return Result(code, ended.output, tuple(sorted(seen, key=lambda each: each.at)))

    def well(self, **variables: str | None) -> Result:
        """Run the pipe, which must succeed."""
        result = self.run(**variables)
        assert result.code == 0, result.output
        return result

    def refused(self, **variables: str | None) -> str:
        """Run the pipe, which must refuse and touch nothing; return what it says."""
        before = outside(self.world, self.company)
        result = self.run(**variables)
        assert result.code == 1, result.output
        assert result.last_line.startswith("✖ Refused, nothing was touched: "), result.output
        assert result.asked("iam.CreateAccessKey") == []
        assert outside(self.world, self.company) == before
        return " ".join(result.problems)

    def killed(self, operation: str, kind: str = "call-before", nth: int = 1) -> None:
        """Run the pipe and kill it before or after a request was carried out."""
        self.spoil(Fault(operation, kind, nth=nth, call=self.runner.kill))
        assert self.run().code == KILLED
        self.mend()

    def leaks(self, text: str) -> list[str]:
        """Return the beginnings of all secrets ever heard of that a text shows."""
        return exposed(self._secrets, text)

    def asked_so_far(self, operation: str) -> int:
        """Return how often AWS has been asked for something, by answered requests and by those given up."""
        wire = self.world.aws.wire
        while wire.in_flight:
            time.sleep(0.01)
        return sum(seen.operation == operation for seen in wire.journal)

    def spoil(self, *faults: Fault) -> None:
        for wire in (self.world.aws.wire, self.world.bitbucket.wire):
            wire.spoil(*faults)

    def mend(self) -> None:
        """End all faults, and go on listening."""
        for wire in (self.world.aws.wire, self.world.bitbucket.wire):
            wire.mend()
        self.spoil(Fault("*", "call", times=0, call=self._listen))

    def set_status(self, pair: Pair, status: str) -> None:
        """Make a key active or inactive by hand."""
        iam().update_access_key(USER, pair.access_key_id, status)

    def delete(self, pair: Pair) -> None:
        """Delete a key by hand."""
        iam().delete_access_key(pair.access_key_id, USER)

    def used(self, pair: Pair, **ago: float) -> None:
        """Let somebody have used a key so long ago."""
        self.world.aws.use(pair, self.world.clock.now() - timedelta(**ago))

    def _listen(self) -> None:
        self._secrets |= {key.secret_access_key for key in list(iam().access_keys.values())}
