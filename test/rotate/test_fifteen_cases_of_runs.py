"""The fifteen hardest cases of a rotation: its own key, things done by hand, clocks, and secrets on the way out."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path

import boto3
import pytest

from sandbox.wire import Environ, StartResponse, Wsgi
from sandbox.world import SECRET, World
from test.faults.runner import Runner
from test.rotate.case import ID, Case, body_of, signing_with
from test.support import outside, scopes_of, stages


@pytest.mark.parametrize("how", ["cut off", "kept", "leaked"])
def test_12_the_key_that_rotates_itself(case: Case, how: str) -> None:
    production = case.environment("Production")
    case.given.update(signing_with(case.old))
    if how == "cut off":
        case.given["TARGETS"] = "deployment:production"
        case.killed(case.write_of("Production", ID))
        case.world.clock.move(minutes=16)
        torn = case.world.consumer(production)
        assert torn.access_key_id == case.old.access_key_id
        assert not case.world.aws.signs(torn)
        case.well(**signing_with(torn))
        new = case.world.consumer(production)
        assert new != case.old
        assert case.world.aws.signs(new)
        return
    result = case.run(REVOKE=case.old.access_key_id if how == "leaked" else None)
    assert result.code == 0, result.output
    # What has leaked is switched off by the key that has taken its place.
    case.old_is("Inactive" if how == "leaked" else "Active")
    new = case.held
    assert new != case.old
    case.world.clock.move(days=0 if how == "leaked" else 30)
    if how == "kept":
        assert "stays active: this run signs with it" in case.well().last_line
        case.old_is("Active")
    case.world.clock.move(days=0 if how == "leaked" else 4)
    case.well(**signing_with(new), REVOKE=case.old.access_key_id if how == "leaked" else None)
    case.old_is("Inactive")
    assert case.held == new


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("deleted", "does not have; IAM has {old}"),
        ("inactive", "is the current key, but it is inactive. To make it active again: aws iam update-access-key"),
        ("moved back", "is the current key, but it is inactive. To make it active again: aws iam update-access-key"),
        ("malformed", "It must be JSON with AccessKeyId and SecretAccessKey."),
        ("another's", "does not have; IAM has"),
        ("scheduled for deletion", "is scheduled for deletion; restore it"),
    ],
)
@pytest.mark.sample(2)
def test_13_stored_pair_and_reality_disagree(case: Case, what: str, told: str) -> None:
    by_hand = case.world.aws.put_secret(SECRET, body_of(case.old))
    case.replaced(0)
    new = case.held
    by_user = boto3.client(
        "secretsmanager", region_name=case.world.aws.region, endpoint_url=case.world.aws_url,
        aws_access_key_id=case.company.admin.access_key_id,
        aws_secret_access_key=case.company.admin.secret_access_key,
    )  # fmt: skip
    match what:
        case "deleted":
            case.delete(new)
        case "inactive":
            case.set_status(new, "Inactive")
        case "moved back":
            case.set_status(case.old, "Inactive")
            by_user.update_secret_version_stage(
                SecretId=SECRET, VersionStage="AWSCURRENT",
                MoveToVersionId=by_hand, RemoveFromVersionId=stages(case.world)["AWSCURRENT"],
            )  # fmt: skip
        case "malformed":
            case.world.aws.put_secret(SECRET, body_of(new)[:-3])
        case "another's":
            case.world.aws.put_secret(SECRET, body_of(case.company.admin))
        case _:
            by_user.delete_secret(SecretId=SECRET)
    # Not even who insists gets a new key before a person has looked.
    for force in ("false", "true"):
        assert told.format(old=f"…{case.old.access_key_id[-4:]}") in case.refused(FORCE=force)


@pytest.mark.parametrize("shift", [-1000, 1000])
def test_14_clocks(world: World, runner: Runner, shift: int) -> None:
    world.clock.move(days=shift)
    case = Case(world, world.seed(key_age_days=89.9), runner)
    world.aws.refusals = 0
    assert case.well().writes == []
    for days, status in ((0.2, "Active"), (9.9, "Active"), (0.2, "Inactive"), (9.9, "Inactive"), (0.2, None)):
        world.clock.move(days=days)
        case.well()
        case.old_is(status)


@pytest.mark.parametrize("days", ["90/90/110", "90/80/110", "90/100/100", "90/100/95"])
def test_14_clocks_that_run_in_order(case: Case, days: str) -> None:
    names = ("ROTATE_AFTER_DAYS", "DEACTIVATE_AFTER_DAYS", "DELETE_AFTER_DAYS")
    before = outside(case.world, case.company)
    result = case.run(**dict(zip(names, days.split("/"), strict=True)))
    assert (result.code, result.requests) == (1, ())
    assert "✖ Refused, nothing was touched: " in result.last_line
    assert outside(case.world, case.company) == before


def test_14_clocks_of_a_key_that_is_found_late(world: World, runner: Runner) -> None:
    case = Case(world, world.seed(key_age_days=400), runner)
    world.aws.refusals = 0
    for days, status in ((0, "Active"), (9, "Active"), (1, "Inactive"), (9, "Inactive"), (1, None)):
        world.clock.move(days=days)
        case.well()
        case.old_is(status)


class Parrot:
    """A Bitbucket that takes no secret, and repeats in its answer all that it was told."""

    def __init__(self, status: HTTPStatus, how: str) -> None:
        self._status = status
        self._how = how
        self.said = ""

    def before(self, _: World, behind: Wsgi) -> Wsgi:
        """Return what stands before Bitbucket."""

        def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            told = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(told)
            if b'"secured": true' not in told:
                return behind(environ, start_response)
            text = f"{environ['HTTP_AUTHORIZATION']} may not send {told.decode()}"
            if self._how == "base64":
                text = base64.b64encode(text.encode()).decode()
            self.said = text if self._how == "text" else json.dumps({"type": "error", "error": {"message": text}})
            start_response(f"{self._status.value} {self._status.phrase}", [("Content-Type", "application/json")])
            return [self.said.encode()]

        return answer


@pytest.mark.parametrize("how", ["json", "text", "base64"])
@pytest.mark.parametrize("status", [HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN])
@pytest.mark.sample(2)
def test_15_secrets_on_the_way_out(runner: Runner, tmp_path: Path, status: HTTPStatus, how: str) -> None:
    parrot, world = Parrot(status, how), World(lag=0)
    world.start(front=parrot.before)
    try:
        case = Case(world, world.seed(), runner)
        result = case.run(DEBUG="true", REPORT_DIR=str(tmp_path))
        assert result.code == 2, result.output
        assert str(status.value) in result.output
        # The token and the new key's secret were there to be shown.
        assert len(case.leaks(parrot.said)) == 2
        reports = [file.read_text() for file in tmp_path.iterdir()]
        assert len(reports) == 3
        unsecured = [
            variable.value
            for scope in scopes_of(case.company)
            for variable in world.bitbucket.variables(scope).values()
            if not variable.secured
        ]
        assert case.leaks("\n".join([*reports, *unsecured])) == []
        case.old_is("Active")
    finally:
        world.stop()
