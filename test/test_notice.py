"""What a notice says, to people and to machines, whatever the run was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipe.access.notify import read_notice
from pipe.errors import Refused
from pipe.notice import LARGEST_BODY, LONGEST_SUBJECT, MANY, notice
from pipe.plan import Do, Failure, Outcome, Plan, Step
from pipe.redact import learn
from pipe.report import Ended
from pipe.settings.reader import Reader
from pipe.values import Build

BUILD = Build("pull", "acme/shop", "17")
WRITE = Step(Do.WRITE, "acme/shop Staging DB_PASSWORD", "version 2")
TOPIC = "arn:aws:sns:us-west-2:123456789012:keyturn"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAXXXXXXXXXXXXTEST", "AWS_SECRET_ACCESS_KEY": "secret-of-a-test"}


def ended(outcome: Outcome[Step], plan: Plan[Step] = Plan(()), last: str = "Wrote it.") -> Ended:  # noqa: B008
    return Ended(outcome.exit_code, last, report=outcome.as_json(plan, last), changed=outcome.changed)


def report_in(body: str) -> Any:
    """Return the report of a notice as its reader finds it."""
    return json.loads(body[body.index("\n{") :])


DONE = ended(Outcome(done=(WRITE,), changed=True))
UNCHANGED = ended(Outcome())
FAILED = ended(Outcome(failures=(Failure(WRITE, "Bitbucket: 403.", "Check BITBUCKET_ACCESS_TOKEN."),)), last="Failed.")
PARTLY = ended(Outcome(done=(WRITE,), failures=(Failure(WRITE, "no", "look"),), undone=(WRITE,), changed=True))


@pytest.mark.parametrize(
    ("when", "worth"),
    [("failure", [FAILED, PARTLY]), ("change", [DONE, FAILED, PARTLY]), ("always", [DONE, UNCHANGED, FAILED, PARTLY])],
)
def test_which_runs_are_worth_a_notice(when: str, worth: list[Ended]) -> None:
    assert [each for each in (DONE, UNCHANGED, FAILED, PARTLY) if each.is_worth(when)] == worth


@pytest.mark.parametrize(
    ("run", "verdict"),
    [(DONE, "done"), (UNCHANGED, "nothing changed"), (FAILED, "failed"), (PARTLY, "partly done")],
)
def test_the_subject_says_what_became_of_which_run(run: Ended, verdict: str) -> None:
    assert notice(run, BUILD).subject == f"Keyturn: pull {verdict}, build 17 of acme/shop"


@pytest.mark.parametrize("repository", ["acme/" + "s" * 200, "acme/schön\nBcc: x", "acme/\x00\u2028☃"])
def test_a_subject_is_one_short_line_of_ascii(repository: str) -> None:
    subject = notice(DONE, Build("pull", repository, "17")).subject
    assert subject.startswith("Keyturn: pull done, build 17 of acme/")
    assert len(subject) <= LONGEST_SUBJECT
    assert all(" " <= char <= "~" for char in subject)


def test_the_body_is_for_people_first_and_then_for_machines() -> None:
    assert notice(PARTLY, BUILD).body.partition("\n\n{")[0].splitlines() == [
        "✖ Wrote it.",
        "",
        "Keyturn, pull, build 17 of acme/shop",
        "https://bitbucket.org/acme/shop/pipelines/results/17",
        "",
        "Failed:",
        "- write acme/shop Staging DB_PASSWORD: no look",
        "",
        "Not done:",
        "- write acme/shop Staging DB_PASSWORD",
        "",
        "Done:",
        "- write acme/shop Staging DB_PASSWORD",
    ]
    assert report_in(notice(PARTLY, BUILD).body) == PARTLY.report


def test_a_report_of_another_shape_is_told_as_far_as_it_is_known() -> None:
    body = notice(
        Ended(1, "deploy-bot: 1 problem", report={"schema": "keyturn/status/1", "problems": ["too old"]}), BUILD
    ).body
    assert "\nProblems:\n- too old\n\n{" in body


@pytest.mark.parametrize("where", [("", ""), ("acme/shop", ""), ("", "17")])
def test_a_run_outside_of_pipelines_has_no_link(where: tuple[str, str]) -> None:
    body = notice(DONE, Build("rotate", *where)).body
    assert "Keyturn, rotate, a run outside of Pipelines\n" in body
    assert "http" not in body


@pytest.mark.parametrize("repository", ["acme/shop/../..", "acme", "a b/c"])
def test_no_link_is_made_of_what_is_no_repository(repository: str) -> None:
    assert "http" not in notice(DONE, Build("pull", repository, "17")).body


def test_of_many_steps_people_are_told_some_and_machines_all() -> None:
    body = notice(ended(Outcome(done=(WRITE,) * 1000, changed=True)), BUILD).body
    assert body.partition("\n\n{")[0].count("write acme/shop Staging DB_PASSWORD") == MANY
    assert f"- and {1000 - MANY} more\n" in body
    assert len(report_in(body)["done"]) == 1000


def test_a_body_that_is_too_long_loses_the_plan_first() -> None:
    steps = tuple(Step(Do.WRITE, f"acme/schöner-laden Staging VARIABLE_{number}", "☃" * 50) for number in range(1500))
    failure = Failure(steps[0], "Bitbucket: 403.", "Check BITBUCKET_ACCESS_TOKEN.")
    run = ended(Outcome(done=steps[1:], failures=(failure,), changed=True), Plan(steps))
    body = notice(run, BUILD).body
    report = report_in(body)
    assert len(body.encode()) <= LARGEST_BODY
    assert "\nThe report is without some of its lists: a message cannot hold it whole.\n\n{" in body
    assert report == {name: value for name, value in run.report.items() if name != "plan"}


def test_a_body_keeps_what_failed_longest_and_fits_in_any_case() -> None:
    steps = tuple(Step(Do.WRITE, "☃" * 300, "why") for _ in range(400))
    failures = tuple(Failure(step, "what", "check") for step in steps[:200])
    body = notice(ended(Outcome(done=steps, failures=failures, undone=steps, changed=True), Plan(steps)), BUILD).body
    report = report_in(body)
    assert len(body.encode()) <= LARGEST_BODY
    assert not {"plan", "done", "not_done"} & report.keys()
    assert len(report["failed"]) == 200
    endless = notice(ended(Outcome(), last="☃" * LARGEST_BODY), BUILD).body
    assert len(endless.encode()) <= LARGEST_BODY


def test_no_secret_that_is_known_is_told() -> None:
    secret = 'hidden "Wört" of a notice'
    learn(secret)
    run = ended(Outcome(failures=(Failure(WRITE, secret, "check"),)), last=f"Failed: {secret}")
    told = notice(run, Build("pull", secret, "17"))
    for form in ("Wört", "W\\u00f6rt", "W?rt", "of a notice"):
        assert form not in told.subject + told.body


def test_what_sns_does_not_take_is_left_out() -> None:
    body = notice(ended(Outcome(failures=(Failure(WRITE, "a\x00b\ud800c\u2028d", "e"),))), BUILD).body
    assert all(char.isprintable() or char == "\n" for char in body)
    assert report_in(body)["failed"][0]["what"].startswith("a")


def test_a_topic_s_region_is_in_its_arn() -> None:
    settings = read_notice(Reader({**KEYS, "SNS_TOPIC_ARN": TOPIC, "AWS_DEFAULT_REGION": "eu-central-1"}))
    assert (settings.topic, settings.when) == (TOPIC, "failure")
    assert settings.aws is not None
    assert settings.aws.region == "us-west-2"


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        (
            {"SNS_TOPIC_ARN": "keyturn"},
            "SNS_TOPIC_ARN: must be the ARN of a standard topic of Amazon SNS, not “keyturn”.",
        ),
        (
            {"SNS_TOPIC_ARN": f"{TOPIC}.fifo"},
            f"SNS_TOPIC_ARN: must be the ARN of a standard topic of Amazon SNS, not “{TOPIC}.fifo”.",
        ),
        ({"NOTIFY_ON": "never"}, "NOTIFY_ON: must be failure or change or always, not “never”."),
        (
            {"SNS_TOPIC_ARN": TOPIC, "AWS_ACCESS_KEY_ID": ""},
            "AWS_ACCESS_KEY_ID: needed together with AWS_SECRET_ACCESS_KEY.",
        ),
    ],
)
def test_what_is_wrong_with_the_settings_of_a_notice(variables: dict[str, str], problem: str) -> None:
    reader = Reader({**KEYS, **variables})
    read_notice(reader)
    assert tuple(map(str, Refused(reader.problems).problems)) == (problem,)


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_ENDPOINT_URL": "http://elsewhere.example"},
        {"AWS_OIDC_ROLE_ARN": "arn:aws:iam::123456789012:role/keyturn"},
        {"AWS_OIDC_ROLE_ARN": "keyturn", "BITBUCKET_STEP_OIDC_TOKEN": "a.b.c"},
        {"AWS_SECRET_ACCESS_KEY": ""},
    ],
)
def test_nobody_is_asked_with_half_of_the_access(variables: dict[str, str]) -> None:
    assert read_notice(Reader({**KEYS, "SNS_TOPIC_ARN": TOPIC, **variables})).aws is None


def test_without_a_topic_nothing_else_is_asked_for() -> None:
    reader = Reader({})
    assert read_notice(reader).topic == ""
    assert reader.problems == []
