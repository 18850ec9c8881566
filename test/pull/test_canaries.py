"""Case 13: no secret of any shape is in output, report or an unsecured variable, in any encoding."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from urllib.parse import quote

import pytest

from pipe.jobs.pull.state_variable import Group, LastSync, SyncedSecret, as_state
from sandbox.wire import Answer, Environ, Fault
from test.exposure import exposed
from test.pull.canaries import SHAPES, canaries, leaves, written
from test.pull.case import Case
from test.support import Result

PLACES = "deployment:staging, repository, workspace"


class Cage:
    """A company with canaries in its Vault and three kinds of targets; `run` listens to everything that is told."""

    def __init__(self, case: Case, folder: Path, each: int = 1) -> None:
        self.case = case
        self.folder = folder
        self.values = canaries(each)
        for path in case.company.secrets:
            case.vault.remove(path)
        for path, values in self.values.items():
            case.vault.put(path, values)
            for value in values.values():
                case.secrets |= leaves(value)
        token = case.world.bitbucket.issue_token("workspace", case.company.repository.workspace)
        case.secrets.add(token.secret)
        case.given |= {
            "TARGETS": PLACES,
            "BITBUCKET_ACCESS_TOKEN": token.secret,
            "DEBUG": "true",
            "ENCODE": "base64",
            "REPORT_DIR": str(folder),
        }

    def run(self, **variables: str) -> Result:
        """Run the pull; `Case.run` has heard nothing in output and unsecured variables, and the report is silent."""
        result = self.case.run(**variables)
        assert result.output.count("\n") > 5
        assert "Traceback" not in result.output
        report = self.folder / "keyturn-pull.json"
        if report.exists():
            text = report.read_text(encoding="utf-8")
            assert exposed(self.case.secrets, text) == []
            report.unlink()
        return result


@pytest.fixture
def cage(case: Case, tmp_path: Path) -> Cage:
    return Cage(case, tmp_path)


def echo(environ: Environ) -> Answer:
    """Refuse a request and repeat what was sent, as a careless server does."""
    body = environ["wsgi.input"].read()
    words = f"Bad request: {body.decode()}"
    said = {"error": {"message": words, "detail": json.loads(body or b"{}")}, "errors": [words]}
    return Answer("400 Bad Request", [("Content-Type", "application/json")], json.dumps(said).encode())


def echo_in_text(environ: Environ) -> Answer:
    """Do the same without JSON."""
    body = b"<html>Bad request: " + environ["wsgi.input"].read() + b"</html>"
    return Answer("400 Bad Request", [("Content-Type", "text/html")], body)


def test_13_canaries_of_every_shape_arrive_whole_and_are_nowhere_else(case: Case, tmp_path: Path) -> None:
    cage = Cage(case, tmp_path, each=4)
    result = cage.run()
    assert result.code == 0, result.output
    assert result.last_line.startswith(f"✔ Wrote {3 * 4 * len(SHAPES)} variables in 3 targets; ")
    wanted = sorted(written(value) for values in cage.values.values() for value in values.values())
    company = cage.case.company
    for scope in (cage.case.staging, company.repository, company.repository.workspace):
        held = cage.case.world.bitbucket.variables(scope)
        assert sorted(variable.value for name, variable in held.items() if name.startswith("CANARY_")) == wanted
    assert cage.run(FORCE="true").code == 0
    assert cage.run(DRY_RUN="true", FORCE="true").code == 0


@pytest.mark.parametrize("answer", [echo, echo_in_text])
@pytest.mark.parametrize("operation", ["POST */variables", "POST auth/*"])
@pytest.mark.sample(2)
def test_13_a_server_that_repeats_what_was_sent(
    cage: Cage, operation: str, answer: Callable[[Environ], Answer]
) -> None:
    cage.case.spoil(Fault(operation, "call-answer", times=0, answer=answer))
    result = cage.run()
    assert result.code in {1, 2}, result.output
    told = "Bad request|Bitbucket refuses|no known reason|not (Vault|Bitbucket)'s"
    assert re.search(told, result.output), result.output


@pytest.mark.parametrize(
    ("operation", "kind", "nth"),
    [
        ("POST */variables", "500-after", 20),
        ("POST */variables", "403", 20),
        ("POST */variables", "cut-after", 20),
        ("GET secret/data/*", "500-after", 4),
    ],
)
@pytest.mark.sample(1)
def test_13_many_requests_spoilt_with_all_canaries_in_hand(cage: Cage, operation: str, kind: str, nth: int) -> None:
    cage.case.spoil(Fault(operation, kind, nth=nth, times=40))
    cage.run()
    cage.case.mend()
    assert cage.run().code == 0


SPOTS = (
    ("POST auth/jwt/login", 1),
    ("GET sys/internal/ui/mounts/*", 1),
    ("SCAN *", 1),
    ("GET secret/data/*", 1),
    ("GET secret/data/*", 2),
    ("POST auth/token/revoke-self", 1),
    ("GET */environments", 1),
    ("GET */variables", 1),
    ("GET */variables", 3),
    ("PUT *", 1),
    ("PUT *", 2),
    ("PUT *", 37),
    ("DELETE *", 1),
)
MOODS = cycle(
    ((1, "403"), (0, "500-after"), (0, "429-hint"), (0, "cut-before"), (0, "cut-after"), (0, "401"), (0, "503-before"))
)


@pytest.mark.parametrize(("operation", "nth"), SPOTS)
@pytest.mark.sample(2)
def test_13_every_request_spoilt(case: Case, tmp_path: Path, operation: str, nth: int) -> None:
    case.given |= {"DEBUG": "true", "REPORT_DIR": str(tmp_path), "PRUNE": "true", "FORCE": "true"}
    case.well()
    case.vault.remove("secret/ci/session")
    for times, kind in (next(MOODS), (0, "call-answer")):
        case.spoil(Fault(operation, kind, nth=nth, times=times, answer=echo))
        result = case.run()
        case.mend()
        assert "Traceback" not in result.output
        assert result.last_line.startswith("✔ " if result.code == 0 else "✖ ")
        for report in tmp_path.iterdir():
            assert exposed(case.secrets, report.read_text(encoding="utf-8")) == []


def test_13_a_value_too_short_to_be_masked_is_warned_of_by_its_name(case: Case) -> None:
    case.put("secret/ci/door", {"pin": "q7§"})
    result = case.well()
    assert "WARNING: DOOR_PIN: secret/ci/door pin: the value is too short to be masked" in result.output
    assert "q7§" not in result.output


SECRET = 'wJalr/XUtn+FEMI"K7&MDENG<bPxRfiCYé😀'


@pytest.mark.parametrize(
    "hide",
    [
        lambda text: text.encode().hex(),
        lambda text: json.dumps({"value": text}),
        lambda text: repr(text.encode()),
        lambda text: base64.b64encode(json.dumps(text).encode()).decode(),
        lambda text: quote(json.dumps(text)),
        lambda text: html.escape(text)[9:],
        lambda text: as_state(LastSync("r", {text: Group("o")})),
        lambda text: as_state(LastSync("r", {"s": Group("o", {"a": SyncedSecret("", {text: ""})})})),
    ],
    ids=["hex", "json", "bytes", "json-in-base64", "json-in-url", "cut", "state", "name-in-state"],
)
def test_the_search_finds_what_it_should(hide: Callable[[str], str]) -> None:
    assert exposed({SECRET}, f"INFO: all is well ({hide(SECRET)}).") == ["wJal"]
    assert exposed({SECRET.replace("w", "x")[:20]}, "INFO: all is well.") == []
