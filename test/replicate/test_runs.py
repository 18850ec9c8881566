"""Two replications at once: all is right in the end, and neither reports an error that is none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox.wire import Fault
from sandbox.world import REPLICAS
from test.faults.runner import Runner
from test.replicate.case import Case
from test.support import Result


def unrest(case: Case) -> None:
    """Let there be something to do of every kind."""
    case.put("secret/ci/database", {"password": "the-next-password"})
    case.put("secret/ci/fresh", {"password": "the-fresh-password"})
    case.edit("ci/chat")
    case.edit("ci/search")
    case.store.delete(REPLICAS + "ci/errors", 7)
    case.store.tag(REPLICAS + "ci/redis", {"vault-version": "none"})
    case.vault.remove("secret/ci/session")
    case.company.secrets["secret/ci/fresh"] = {}


def both_well(case: Case, *results: Result) -> None:
    told = "\n---\n".join(result.output for result in results)
    assert [result.code for result in results] == [0] * len(results), told
    assert not any(result.problems for result in results), told
    case.mend()
    case.well()
    case.assert_right()
    case.idle()


@pytest.mark.parametrize("attempt", range(2))
@pytest.mark.sample(1)
def test_two_runs_that_start_together(case: Case, second: Runner, attempt: int) -> None:
    case.given["PRUNE"] = "true"
    case.well()
    unrest(case)
    with ThreadPoolExecutor(2) as pool:
        both_well(case, *pool.map(lambda one: case.run_by(one, {}), (case.runner, second)))


LOOKS = ["SCAN *", "GET secret/data/*", "sts.*", "secretsmanager.ListSecrets"]
WRITES = [
    f"secretsmanager.{each}"
    for each in ("CreateSecret", "PutSecretValue", "TagResource", "RestoreSecret", "UpdateSecretVersionStage",
                 "DeleteSecret")
]  # fmt: skip


@pytest.mark.parametrize(
    ("operation", "newer"), [*((each, True) for each in (*LOOKS, *WRITES)), *((each, False) for each in WRITES)]
)
@pytest.mark.sample(2)
def test_a_whole_run_in_the_middle_of_another(case: Case, second: Runner, operation: str, newer: bool) -> None:
    case.given["PRUNE"] = "true"
    case.well()
    unrest(case)
    others: list[Result] = []

    def other() -> None:
        if newer:
            for name in ("database", "fresh", "chat", "search", "errors", "redis"):
                case.put(f"secret/ci/{name}", {"password": f"the-newest-of-{name}"})
        others.append(case.run_by(second, {}))

    case.spoil(Fault(operation, "call", call=other))
    first = case.run_by(case.runner, {})
    both_well(case, first, *others)
    assert len(others) == 1


def test_a_first_run_in_the_middle_of_a_first_run(case: Case, second: Runner) -> None:
    others: list[Result] = []
    case.spoil(Fault("secretsmanager.CreateSecret", "call", nth=3, call=lambda: others.append(case.run_by(second, {}))))
    first = case.run_by(case.runner, {})
    both_well(case, first, *others)


def test_an_edit_by_hand_between_looking_and_writing(kept: Case) -> None:
    def edit() -> None:
        kept.edit("ci/database")

    kept.put("secret/ci/database", {"password": "the-next-password"})
    kept.spoil(Fault("secretsmanager.PutSecretValue", "call", call=edit))
    both_well(kept, kept.run_by(kept.runner, {}))
