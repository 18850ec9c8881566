"""What a spoilt pull may never do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from test.faults.judge import REFUSALS, WRONG, Scenario, Spot, Trial, quiet, wires
from test.faults.pull.stage import Picture, Stage
from test.faults.runner import Runner

LOGIN, REVOKE = "POST auth/jwt/login", "POST auth/token/revoke-self"
_WRITES = ("POST ", "PUT ", "DELETE ")


@dataclass(frozen=True)
class Pulling(Scenario[Stage]):
    """One kind of pull.

    `versioned` tells whether a further run has nothing to do, `repeats` whether a run writes values that the targets
    hold already, since nobody can tell that they do.
    """

    versioned: bool = True
    repeats: bool = False
    figures: ClassVar[tuple[str, ...]] = (
        "leaks", "lost", "untrue states", "untrue words", "tokens left", "needless requests",
    )  # fmt: skip

    def chosen(self, spots: Sequence[Spot]) -> tuple[Spot, ...]:
        """Return the requests without those that are like others: of a family the first, the second and the last.

        A family is what goes to one folder; of writes to a target, the last one is that of its state. The others go
        side by side, so that they are put in order by their names.
        """
        families: defaultdict[str, list[Spot]] = defaultdict(list)
        for spot in spots:
            families[spot.operation.rpartition("/")[0] or spot.operation].append(spot)
        few: list[Spot] = []
        for *others, last in families.values():
            ordered = sorted(others, key=lambda spot: (spot.operation, spot.nth))
            few += [*ordered[:2], last]
        return tuple(few)

    def judge(self, trial: Trial[Stage]) -> None:
        """A run that ended by itself leaves no token, and says no more and no less than it did."""
        if trial.result.code is None:
            return
        if trial.stage.vault.tokens():
            if any(costs_the_token(spot, kind) for spot, kind in trial.faults):
                trial.verdict.figures["tokens that end by themselves (named in the design)"] += 1
            else:
                trial.blame(f"a token is left\n{trial.result.output}", "tokens left")
        if trial.result.code == 2 and not self.repeats and trial.before == trial.after:
            trial.blame(f"exit 2, but no variable was changed\n{trial.result.output}", "untrue words")

    def judge_end(self, trial: Trial[Stage], runner: Runner) -> None:
        """What the states claimed in between was so, and one more run has nothing to do."""
        stage, end, between = trial.stage, trial.stage.look(), trial.after
        assert isinstance(between, Picture)
        for scope in stage.targets:
            for untrue in stage.claims(between, scope, end.remembered(scope)):
                trial.blame(f"{scope.name} claims that {untrue}\n{trial.result.output}", "untrue states")
        before = stage.vault.tokens()
        quiet(stage.world)
        idle = runner.run(stage.environ())
        journal = [each for wire in wires(stage.world).values() for each in wire.journal]
        # What was held up in the spoilt run may only come to its end now, without an answer.
        seen = [(each.service, each.operation) for each in journal if each.status]
        writes = [operation for service, operation in seen if service == "bitbucket" and operation.startswith(_WRITES)]
        reads = [operation for _, operation in seen if "/data/" in operation or operation.endswith("GetSecretValue")]
        if self.versioned and (writes or reads):
            trial.blame(f"a further run makes {writes + reads}\n{idle.output}", "needless requests")
        if idle.code != 0 or self.right(stage):
            trial.blame(f"a further run spoils it: {self.right(stage)}\n{idle.output}", "lost")
        if stage.vault.tokens() != before:
            trial.blame("a further run leaves a token", "tokens left")


def costs_the_token(spot: Spot, kind: str) -> bool:
    """Tell whether a fault takes the token from the run, or the right to revoke it."""
    if spot.operation == LOGIN:
        return kind.endswith("-after") or kind.startswith(WRONG)
    return spot.operation == REVOKE and kind in REFUSALS
