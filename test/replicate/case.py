"""One company whose Vault is replicated into its AWS, and quick runs of that, listened to for secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sandbox.aws.secrets import Secret
from sandbox.wire import Wire
from sandbox.world import REGION, REPLICAS
from test.exposure import exposed
from test.faults.runner import PACE, Runner
from test.pull.case import KILLED
from test.pull.case import Case as PullCase
from test.support import Result


class Case(PullCase):
    """A company whose Vault has twelve secrets, of which AWS has no replica yet."""

    @property
    def wires(self) -> tuple[Wire, Wire]:
        return self.vault.wire, self.world.aws.wire

    def run_by(self, runner: Runner, variables: Mapping[str, str | None], pace: float = PACE) -> Result:
        """Run the replication by another runner, or at another pace."""
        given = {**self.world.replicate_variables(self.company), **self.given, **variables}
        self.secrets.add(str(given.get("BITBUCKET_STEP_OIDC_TOKEN") or self.company.token.secret))
        before = [len(wire.journal) for wire in self.wires]
        ended = runner.run({name: value for name, value in given.items() if value is not None}, pace)
        seen = [each for wire, start in zip(self.wires, before, strict=True) for each in wire.journal[start:]]
        assert exposed(self.secrets, ended.output) == []
        code = KILLED if ended.code is None else ended.code
        return Result(code, ended.output, tuple(sorted(seen, key=lambda each: each.at)))

    def replica(self, path: str) -> Secret | None:
        """Return the replica of a secret below secret/."""
        return self.world.aws.secret(REPLICAS + path)

    def held(self, path: str) -> dict[str, object]:  # type: ignore[override]
        """Return what somebody who reads a replica gets."""
        replica = self.replica(path)
        assert replica is not None
        current = replica.at("AWSCURRENT")
        assert current is not None
        body: dict[str, object] = json.loads(current.body)
        return body
