"""ACTION=doctor with WRITE_PROBE: what it says beside what is so, and that nothing of it stays."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pipe.clients.bitbucket import Bitbucket
from pipe.clients.bitbucket_api import Api
from pipe.clients.bitbucket_auth import bearer
from pipe.errors import Refused
from pipe.jobs.doctor.assumptions import FACTS, MARK, ProbeFacts, Verdict, as_json, check_probe, is_called_so, name_of
from pipe.jobs.doctor.diagnosis import State
from pipe.jobs.doctor.write_probe import write_probe
from pipe.jobs.registry import read_settings
from pipe.redact import Secret
from pipe.retry import Deadline
from pipe.values import Target, TargetKind
from sandbox.bitbucket.state import Variable
from sandbox.moods import MOODS
from sandbox.wire import Fault
from sandbox.world import Company, World
from test.doctor.says import NAMES, SAYS
from test.faults.pace import PACE
from test.faults.runner import Result, Runner
from test.support import ROOT

# The requests of a probe where nothing is otherwise. Before them, an environment is found, and the doctor looks at it.
REQUESTS = 19
FOUND, LOOKED = 1, 2

SPOILT = (
    "500-before", "500-after", "503-after", "cut-before", "cut-after", "403", "401", "429-hint", "html-200",
    "html-200-after", "html-503-after", "text-503",
)  # fmt: skip


class Probing:
    """A production environment that is probed, and what it held before."""

    def __init__(self, world: World, company: Company, runner: Runner, folder: Path) -> None:
        self.world = world
        self.environment = company.environments["Production"]
        self._company = company
        self._runner = runner
        self._folder = folder
        self._before = self._held()

    def _held(self) -> dict[str, Variable]:
        return self.world.bitbucket.variables(self.environment)

    @property
    def left(self) -> set[str]:
        """The variables that were not there before; all others are as they were."""
        held = self._held()
        assert {key: held.get(key) for key in self._before} == self._before
        return held.keys() - self._before.keys()

    def here(self) -> ProbeFacts:
        """Probe from within this process."""
        deadline = Deadline(pace=PACE)
        url, token = f"{self.world.bitbucket_url}/2.0", bearer(Secret(self._company.token.secret))
        target = Target(TargetKind.DEPLOYMENT, "acme", "shop", self.environment.name)
        return write_probe(Bitbucket(Api(url, token, "THE_VARIABLE", deadline)), target, deadline)

    def doctor(self, **changes: str) -> tuple[Result, dict[str, Any]]:
        """Run the doctor as a process; return how it ended, and its report, nothing of it where it was killed."""
        path = self._folder / "keyturn-doctor.json"
        path.unlink(missing_ok=True)
        given = {
            "ACTION": "doctor", "SETUP_ACTIONS": "rotate", "WRITE_PROBE": "true", "COLUMNS": "200",
            "TARGETS": f"acme/shop:deployment:{self.environment.name}",
            "BITBUCKET_API_URL": f"{self.world.bitbucket_url}/2.0", "REPORT_DIR": str(self._folder),
            "BITBUCKET_ACCESS_TOKEN": self._company.token.secret, **changes,
        }  # fmt: skip
        result = self._runner.run(given)
        return result, json.loads(path.read_text()) if path.exists() else {}


@pytest.fixture
def probing(world: World, company: Company, runner: Runner, tmp_path: Path) -> Iterator[Probing]:
    yield Probing(world, company, runner, tmp_path)
    world.moods.clear()


def otherwise(facts: ProbeFacts) -> dict[str, str]:
    """Return what is otherwise than assumed, and hold the report to its schema."""
    report = as_json(facts)
    schema = json.loads((ROOT / "docs" / "doctor.schema.json").read_text())
    jsonschema.validate(report, schema["properties"]["probe"])
    assert [each["name"] for each in report["facts"]] == NAMES
    for word in ("acme", "shop", "production", MARK):
        assert word not in json.dumps({**report, "removed": [], "left": []}).lower()
    return {each["name"]: each["found"] for each in report["facts"] if each["verdict"] != Verdict.ASSUMED}


@pytest.mark.parametrize("mood", SAYS)
@pytest.mark.sample(6)
def test_what_is_otherwise_is_said_and_nothing_else(probing: Probing, mood: str) -> None:
    probing.world.moods.turn(mood)
    facts = probing.here()
    assert otherwise(facts) == SAYS[mood]
    assert probing.left == set()
    assert (facts.problem, facts.left, facts.removed) == (None, [], [])
    told = {check.what: check for check in check_probe(facts)}
    for name, found in SAYS[mood].items():
        assert told[name].why == f"otherwise: {found}"
        assert told[name].todo, "it is said what that means"
    assert all(told[name].state is State.GOOD for name in NAMES if name not in SAYS[mood])


def test_every_mood_of_bitbucket_s_is_probed() -> None:
    moods = [mood for mood in MOODS if mood.service == "bitbucket"]
    assert all(any(mood.fits(each) for each in SAYS) for mood in moods)


def test_a_token_that_may_only_read_is_told_at_once(probing: Probing) -> None:
    token = probing.world.bitbucket.issue_token("repository", probing._company.repository, scopes=["pipeline"])
    result, report = probing.doctor(BITBUCKET_ACCESS_TOKEN=token.secret)
    bad = [check["what"] for check in report["checks"] if check["area"] == "write probe" and check["state"] == "bad"]
    assert bad == ["create"], result.output
    assert result.last_line.startswith("✖ ")
    assert probing.left == set()


def test_the_whole_is_shown_and_can_be_given_to_others(probing: Probing) -> None:
    result, report = probing.doctor()
    jsonschema.validate(report, json.loads((ROOT / "docs" / "doctor.schema.json").read_text()))
    assert [each["verdict"] for each in report["probe"]["facts"]] == ["as assumed"] * len(FACTS)
    assert report["probe"]["requests"] == REQUESTS
    assert len(probing.world.bitbucket.wire.journal) == LOOKED + REQUESTS
    assert f"{MARK} " not in result.output
    assert probing.left == set()


def test_what_cannot_be_told_from_the_answer_is_found_in_the_list_and_deleted(probing: Probing) -> None:
    probing.world.moods.turn("wrong=bitbucket:POST */variables:/uuid:absent")
    facts = probing.here()
    assert otherwise(facts)["create"] == "it is taken (201), but it has no uuid"
    assert (probing.left, facts.left) == (set(), [])


def test_a_dry_run_shows_the_requests_and_makes_none(probing: Probing) -> None:
    result, report = probing.doctor(DRY_RUN="true")
    assert "probe" not in report
    shown = "".join(result.output.split())
    assert all("".join(fact.asks.split()) in shown for fact in FACTS)
    assert {seen.operation.split()[0] for seen in probing.world.bitbucket.wire.journal} == {"GET"}


@pytest.mark.parametrize("action", ["rotate", "pull", "replicate", "status", "setup"])
def test_no_other_action_takes_it(action: str) -> None:
    with pytest.raises(Refused) as refused:
        read_settings({"ACTION": action, "WRITE_PROBE": "true"})
    assert "WRITE_PROBE: is for ACTION: doctor alone" in str([str(each) for each in refused.value.problems])


@pytest.mark.parametrize("lag", ["lag=0", "lag=0.1"])
@pytest.mark.parametrize(
    ("nth", "when"), list(itertools.product(range(LOOKED + 1, LOOKED + REQUESTS + 1), ("before", "after")))
)
@pytest.mark.sample(3)
def test_what_a_kill_leaves_is_named_and_deleted_by_the_next_probe(
    probing: Probing, lag: str, nth: int, when: str
) -> None:
    probing.world.moods.turn(lag)
    wire = probing.world.bitbucket.wire
    wire.spoil(Fault("*", f"call-{when}", nth=nth, call=probing._runner.kill))
    assert probing.doctor()[0].code is None
    wire.mend()
    wire.settle()
    left = probing.left
    assert all(is_called_so(key) for key in left)
    if lag == "lag=0":
        _, report = probing.doctor(WRITE_PROBE="false")
        told = " ".join(check["why"] for check in report["checks"])
        assert all(key in told for key in left), "the doctor names them without a probe, too"
    _, report = probing.doctor()
    assert set(report["probe"]["removed"]) == left
    assert probing.left == set()


@pytest.mark.parametrize("nth", range(LOOKED + 1, LOOKED + REQUESTS + 1))
@pytest.mark.sample(3)
def test_told_to_stop_it_deletes_what_it_has_made(probing: Probing, nth: int) -> None:
    probing.world.bitbucket.wire.spoil(Fault("*", "call", nth=nth, call=probing._runner.terminate))
    result, report = probing.doctor()
    assert probing.left == set()
    assert result.code == 1
    if nth < LOOKED + REQUESTS:
        assert "write probe, ended early: The run was told to stop." in result.last_line + str(report["problems"])


@pytest.mark.parametrize(
    ("nth", "kind"),
    [(nth, kind) for nth in range(FOUND + 1, FOUND + REQUESTS + 1) for kind in SPOILT],
)
@pytest.mark.sample(5)
def test_whatever_fails_nothing_is_left_that_is_not_named(probing: Probing, nth: int, kind: str) -> None:
    probing.world.bitbucket.wire.spoil(Fault("*", kind, nth=nth))
    facts = probing.here()
    assert probing.left <= set(facts.left)
    probing.world.bitbucket.wire.mend()
    left = probing.left
    again = probing.here()
    assert set(again.removed) == left
    assert probing.left == set()


def test_only_what_has_a_probe_s_proof_is_deleted(probing: Probing) -> None:
    bitbucket, random = probing.world.bitbucket, "0123abcd"
    mine = name_of(random)
    held: Mapping[str, tuple[str, bool]] = {
        mine: (f"{MARK} {random} 1", False),
        name_of("0123abce"): ("", True),
        name_of("0123abcf"): ("somebody's", False),
        "KEYTURN_PROBE_0123abcd_00000000": (f"{MARK} {random} 1", False),
        "KEYTURN_PROBE": (f"{MARK} {random} 1", False),
    }
    for key, (value, secured) in held.items():
        bitbucket.set_variable(probing.environment, key, value, secured)
    facts = probing.here()
    assert set(facts.removed) == {mine, name_of("0123abce")}
    assert probing.left == held.keys() - set(facts.removed)
    assert re.fullmatch(r"KEYTURN_PROBE_[0-9a-f]{8}_[0-9a-f]{8}", mine)
