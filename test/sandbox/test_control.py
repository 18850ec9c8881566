from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from sandbox.control import Control
from sandbox.world import World


class Remote:
    """The sandbox as somebody with curl has it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.company = world.seed()
        self.session = requests.Session()

    def ask(self, method: str, name: str, **form: str) -> requests.Response:
        return self.session.request(method, f"{self.world.bitbucket_url}/_sandbox/{name}", data=form, timeout=10)

    def state(self) -> Any:
        return self.ask("GET", "state").json()

    def environments(self) -> requests.Response:
        """Ask Bitbucket for something that the wire notes."""
        url = f"{self.world.bitbucket_url}/2.0/repositories/acme/shop/environments"
        return self.session.get(url, headers=self.company.token.headers, timeout=10)


@pytest.fixture
def remote() -> Iterator[Remote]:
    world = World(lag=0).start(front=Control)
    control = Remote(world)
    try:
        yield control
    finally:
        control.session.close()
        world.stop()


def test_the_state_names_the_services_and_a_run_s_command_has_its_variables(remote: Remote) -> None:
    state = remote.state()
    assert state["services"] == {"bitbucket": remote.world.bitbucket_url, "aws": remote.world.aws_url}
    assert state["clock"][:10] == f"{remote.world.clock.now():%Y-%m-%d}"
    command = remote.ask("GET", "run/rotate-by-keys").text
    for name, value in remote.world.variables(remote.company).items():
        assert f"{name}={shlex.quote(value)}" in command
    command = remote.ask("GET", "run/rotate?REVOKE=ABCD&DRY_RUN=true").text
    assert "REVOKE=ABCD" in command
    assert "DRY_RUN=true" in command
    assert remote.ask("GET", "run/rotate?revoke=ABCD").json()["error"].startswith("revoke is unknown; there is image")
    assert remote.ask("GET", "run/pull").json() == {"error": "this world has no Vault"}


def test_the_wire_does_not_see_the_control_and_bitbucket_is_behind_it(remote: Remote) -> None:
    assert remote.environments().status_code == 200
    assert remote.state()["requests"] == {"bitbucket": 1, "aws": 0}
    assert remote.ask("GET", "journal").json() == [
        {
            "service": "bitbucket",
            "operation": "GET /2.0/repositories/acme/shop/environments",
            "occurrence": 1,
            "status": 200,
        }
    ]


def test_the_clock_moves_by_every_unit(remote: Remote) -> None:
    before = remote.world.clock.now()
    assert remote.ask("POST", "clock", days="2", hours="1.5", minutes="-30", seconds="1").status_code == 200
    moved = remote.world.clock.now() - before
    assert moved.days == 2
    assert 3601 <= moved.seconds < 3700


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"days": "soon"}, "days must be a number"),
        ({"days": "nan"}, "days must be a number"),
        ({"days": "inf"}, "days must be a number"),
        ({"days": "1e300"}, "that is further than dates reach"),
        ({"days": "-9e5"}, "that is further than dates reach"),
        ({"weeks": "1"}, "weeks is unknown; there is days, hours, minutes, seconds"),
    ],
)
def test_a_clock_that_cannot_be_is_refused_and_stays(remote: Remote, form: dict[str, str], error: str) -> None:
    day = remote.state()["clock"][:10]
    answer = remote.ask("POST", "clock", **form)
    assert (answer.status_code, answer.json()) == (400, {"error": error})
    assert remote.state()["clock"][:10] == day


def test_a_fault_strikes_the_request_that_it_counts_to_and_can_be_mended(remote: Remote) -> None:
    fault = {"service": "bitbucket", "operation": "GET *", "kind": "500-before", "nth": "2", "times": "0"}
    assert remote.ask("POST", "faults", **fault).status_code == 201
    assert [remote.environments().status_code for _ in range(3)] == [200, 500, 500]
    assert remote.state()["faults"]["bitbucket"][0]["nth"] == 2
    remote.ask("DELETE", "faults")
    assert remote.environments().status_code == 200
    assert remote.state()["faults"] == {"bitbucket": [], "aws": []}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"service": "gitlab"}, "service must be one of aws, bitbucket"),
        ({"operation": ""}, "operation is needed"),
        ({"kind": "call-before"}, "kind must be one of 401, "),
        ({"nth": "0"}, "nth must be a number, 1 at least"),
        ({"times": "1.5"}, "times must be a whole number"),
        ({"seconds": "-1"}, "seconds must be a number, 0 at least"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(remote: Remote, change: dict[str, str], error: str) -> None:
    answer = remote.ask("POST", "faults", **{"service": "aws", "operation": "*", "kind": "slow", **change})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(error)
    assert remote.state()["faults"]["aws"] == []


def test_the_check_tells_which_pair_does_not_sign(remote: Remote) -> None:
    key = remote.company.old_key.access_key_id
    good = remote.ask("GET", "check")
    assert (good.status_code, good.json()) == (
        200, {name: {"key": key, "signs": True} for name in ("Staging", "Production")},
    )  # fmt: skip
    staging = remote.company.environments["Staging"]
    remote.world.bitbucket.set_variable(staging, "AWS_SECRET_ACCESS_KEY", "another", secured=True)
    bad = remote.ask("GET", "check")
    assert bad.status_code == 409
    assert {name: found["signs"] for name, found in bad.json().items()} == {"Staging": False, "Production": True}


def test_a_reset_makes_the_company_anew_and_runs_have_its_new_variables(remote: Remote) -> None:
    remote.world.bitbucket.remove_environment(remote.company.environments["Production"])
    remote.ask("POST", "clock", days="20")
    assert remote.ask("POST", "reset").status_code == 200
    assert remote.state()["clock"][:10] == f"{datetime.now(UTC):%Y-%m-%d}"
    assert remote.company.token.secret not in remote.ask("GET", "run/rotate").text
    assert list(remote.ask("GET", "check").json()) == ["Staging", "Production"]
    assert remote.ask("GET", "journal").json() == []


def test_unknown_names_and_methods_say_what_there_is(remote: Remote) -> None:
    unknown = remote.ask("POST", "nothing", days="1")
    assert unknown.status_code == 404
    assert "POST /_sandbox/clock" in unknown.json()["error"]
    wrong = remote.ask("GET", "faults")
    assert (wrong.status_code, wrong.json()) == (405, {"error": "/_sandbox/faults takes POST and DELETE"})
