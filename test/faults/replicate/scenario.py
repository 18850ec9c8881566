"""What a spoilt replication may never do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from test.faults.judge import Scenario, Spot, Trial, quiet, wires
from test.faults.pull.scenario import costs_the_token
from test.faults.replicate.stage import Picture, Stage
from test.faults.runner import Runner
from test.support import READS_OF_AWS


@dataclass(frozen=True)
class Replicating(Scenario[Stage]):
    """One kind of replication.

    `versioned` tells whether versions can be learned without reading what is in them, `repeats` whether a run writes
    what is there already, since AWS's list does not show it yet.
    """

    versioned: bool = True
    repeats: bool = False
    figures: ClassVar[tuple[str, ...]] = (
        "leaks", "lost", "untrue tags", "untrue words", "tokens left", "needless requests",
    )  # fmt: skip

    def chosen(self, spots: Sequence[Spot]) -> tuple[Spot, ...]:
        """Return of the requests that are alike the first, the second and the last."""
        families: defaultdict[str, list[Spot]] = defaultdict(list)
        for spot in spots:
            families["/".join(spot.operation.split("/")[:2])].append(spot)
        few: list[Spot] = []
        for *others, last in families.values():
            few += [*sorted(others, key=lambda spot: (spot.operation, spot.nth))[:2], last]
        return tuple(few)

    def pause(self, trial: Trial[Stage], runner: Runner) -> None:
        """Let AWS's list become what is there."""
        trial.stage.world.aws.thaw()

    def judge(self, trial: Trial[Stage]) -> None:
        """At no time is a replica worse than it was; a run that ended by itself leaves no token."""
        stage, before, after = trial.stage, _picture(trial.before), _picture(trial.after)
        for lost in stage.lost(before, after):
            trial.blame(f"{lost}\n{trial.result.output}", "lost")
        for untrue in stage.untrue(before, after):
            trial.blame(f"{untrue}\n{trial.result.output}", "untrue tags")
        if trial.result.code is None:
            return
        if stage.vault.tokens():
            if any(costs_the_token(spot, kind) for spot, kind in trial.faults):
                trial.verdict.figures["tokens that end by themselves (named in the design)"] += 1
            else:
                trial.blame(f"a token is left\n{trial.result.output}", "tokens left")
        if trial.result.code == 2 and not self.repeats and before == after:
            trial.blame(f"exit 2, but no replica was changed\n{trial.result.output}", "untrue words")

    def judge_end(self, trial: Trial[Stage], runner: Runner) -> None:
        """One more run has nothing to do."""
        stage, end, tokens = trial.stage, trial.stage.look(), trial.stage.vault.tokens()
        quiet(stage.world)
        idle = runner.run(stage.environ())
        journal = [each for wire in wires(stage.world).values() for each in wire.journal]
        # What was held up in the spoilt run may only come to its end now, without an answer.
        seen = [(each.service, each.operation) for each in journal if each.status]
        writes = [name for service, name in seen if service == "aws" and not name.startswith(_READS)]
        reads = [name for _, name in seen if self.versioned and "/data/" in name]
        if writes or reads:
            trial.blame(f"a further run makes {writes + reads}\n{idle.output}", "needless requests")
        if idle.code != 0 or stage.look() != end:
            trial.blame(f"a further run spoils it: {self.right(stage)}\n{idle.output}", "lost")
        if stage.vault.tokens() != tokens:
            trial.blame(f"a further run leaves a token\n{idle.output}", "tokens left")


_READS = tuple(name for name in READS_OF_AWS if not name.startswith(("secretsmanager.Get", "secretsmanager.BatchGet")))


def _picture(picture: object) -> Picture:
    assert isinstance(picture, dict)
    return picture
