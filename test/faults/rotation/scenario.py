"""What a spoilt rotation may never do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from test.faults.judge import REFUSALS, Scenario, Spot, Trial
from test.faults.rotation.company import ID, Picture, Stage
from test.faults.runner import Result, Runner


@dataclass(frozen=True)
class Rotation(Scenario[Stage]):
    """One kind of rotation.

    `restorable` tells whether somebody knows the secret that the targets hold before, so that it can be put back.
    """

    restorable: bool = True
    figures: ClassVar[tuple[str, ...]] = ("outages", "leaks", "lost", "orphans", "untrue words", "of others")

    def finished(self, result: Result) -> bool:
        # Unknown is not unused: nothing is switched off, and that is said.
        return "does not tell its last use" not in result.output

    def figure_of(self, wrong: str) -> str:
        return "orphans" if wrong.startswith("the keys") else "lost"

    def pause(self, trial: Trial[Stage], runner: Runner) -> None:
        """Let an announcement end that nobody has taken back, and a key that is lost become so old that it may go.

        Without a secret in Secrets Manager it goes in two runs, a day apart.
        """
        stage, unreached = trial.stage, any(spot.service == "aws" for spot, _ in trial.faults)
        before, after = trial.before, trial.after
        assert isinstance(before, Picture)
        assert isinstance(after, Picture)
        held = {values[ID][0] for values in after.targets}
        lost = {key_id for key_id in after.keys if key_id not in before.keys} - held
        # Where answers are stale, they show an announcement that is over by then.
        unclosed = unreached and "quarter of an hour" in trial.result.output
        if trial.result.code is None or lost or unclosed or stage.world.moods.stale:
            stage.world.clock.move(minutes=16)
        if lost and not stage.variables.get("SECRET_ID"):
            assert runner.run(stage.environ()).code == 1
            stage.world.clock.move(days=1)

    def mended(self, trial: Trial[Stage]) -> bool:
        """A left-over key, which nobody had, may be gone or inactive."""
        before, after = trial.before, trial.after
        assert isinstance(before, Picture)
        assert isinstance(after, Picture)
        held = {key_id: status for key_id, status in before.keys.items() if after.keys.get(key_id) == status}
        fewer = len(before.keys) - len(held) == 1 and set(after.keys) <= set(before.keys)
        same = replace(after, keys=before.keys) == before
        return "left-over key" in trial.result.last_line and fewer and same

    def judge(self, trial: Trial[Stage]) -> None:
        """Each target's pair signs; it may be mismatched only between the two writes, or where nobody knew the old one.

        For those who read the credentials file there is no such moment.
        """
        stage = trial.stage
        self._judge_others(trial)
        for target in stage.outages():
            between = any(self._between_writes(stage, spot, kind) for spot, kind in trial.faults)
            if stage.mismatched(target) and between and not stage.reads_file:
                trial.verdict.figures["mismatched pairs (named in the design)"] += 1
            else:
                trial.blame(f"{target} does not sign\n{trial.result.output}", "outages")

    def judge_end(self, trial: Trial[Stage], runner: Runner) -> None:
        """What is others' is as it was."""
        self._judge_others(trial)

    def _judge_others(self, trial: Trial[Stage]) -> None:
        assert isinstance(trial.before, Picture)
        if trial.stage.others() != trial.before.others:
            trial.blame(f"touched what is somebody else's\n{trial.result.output}", "of others")

    def _between_writes(self, stage: Stage, spot: Spot, kind: str) -> bool:
        """Tell whether a fault strikes the second write for good, or kills between a target's two writes."""
        if spot.service != "bitbucket" or not spot.operation.startswith(("PUT", "POST")):
            return False
        if kind.startswith("kill"):
            return True
        return not self.restorable and kind in REFUSALS and _is_id(stage, spot)


def _is_id(stage: Stage, spot: Spot) -> bool:
    ids = [stage.world.bitbucket.variables(target)[ID].uuid for target in stage.targets]
    return any(uuid in spot.operation for uuid in ids)
