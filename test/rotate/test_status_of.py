"""What status makes of a facts, from nothing but what was observed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pipe.jobs.rotate.facts import Remembered, RotationFacts
from pipe.jobs.status.rotation import Status, status_of
from pipe.values import LastUse
from test.rotate.test_decide import LOST, NEW, OLD, POLICY, ago, facts, intent, key, rotated, target


def nexts(status: Status) -> list[str]:
    return [entry.next for entry in status.keys]


# A target that Keyturn gave a key which IAM has no more.
GIVEN = replace(target("a", LOST), remembered=Remembered("bot", "arn:the-secret"))


@pytest.mark.parametrize(
    ("seen", "first"),
    [
        (facts(targets=(GIVEN,)), "rotate: bot has no access key"),
        (facts(key(OLD, 5), current=OLD, redo=True), "rotate: the last rotation was left half-done"),
        (rotated(1, untidy=True), "AWSPENDING: nothing is pending any more"),
        (
            facts(key(OLD, 5), key(LOST, 0.0125), current=OLD, evidence=intent(19, OLD, is_open=False),
                  use={LOST: LastUse(None)}),
            "…LOST: made after the announcement of 2026-11-22 11:41 UTC, its secret was lost; never used",
        ),
        (facts(key(OLD, 95), key(NEW, 0), pending=NEW), "…XNEW: made and stored before, not yet seen to work"),
        (
            facts(key(OLD, 5), targets=(target("a", OLD, secret=False),), current=OLD, readable=True),
            "a: holds …XOLD, but not all of its secured variables",
        ),
        (
            rotated(12, use=LastUse(None)),
            "…XOLD: deactivate, due since 2026-11-20: its grace period is over; never used",
        ),
        (rotated(95), "…XNEW: 95 days old; is due, but the key before it has to go first"),
    ],
    ids=["no-key", "redo", "label", "orphan", "pending", "half-written", "overdue", "blocked"],
)  # fmt: skip
def test_what_is_broken_or_overdue_is_a_problem(seen: RotationFacts, first: str) -> None:
    status = status_of(seen, POLICY)
    assert status.problems[0].what == first
    assert f"problem{'s' * (len(status.problems) > 1)}: {first}" in status.sentence


@pytest.mark.parametrize(
    ("seen", "sentence"),
    [
        (facts(), "bot: all is well but for 1 remark: no key yet; the next rotation makes one"),
        (facts(key(OLD, 90), current=OLD), "bot: all is well but for 1 remark: …XOLD rotate, due today"),
        (facts(key(OLD, 30)), "bot: all is well but for 1 remark: …XOLD rotates on 2027-01-21"),
        (rotated(3), "bot: all is well but for 1 remark: …XOLD deactivates on 2026-11-29; …XNEW rotates on 2027-02-17"),
    ],
    ids=["no-key-yet", "due-today", "young", "grace"],
)
def test_what_waits_for_its_day_is_well(seen: RotationFacts, sentence: str) -> None:
    status = status_of(seen, POLICY)
    assert (status.problems, status.sentence) == ((), sentence)


def test_what_rotates_now_has_its_reason_instead_of_a_day() -> None:
    assert nexts(status_of(facts(key(OLD, 30), current=OLD), replace(POLICY, force=True))) == ["rotate: FORCE"]


def test_a_key_in_use_has_the_day_before_which_it_stays() -> None:
    old, _ = status_of(rotated(12, use=LastUse(ago(1), "s3", "eu-central-1")), POLICY).keys
    assert old.blocked
    assert old.next == "postponed; not before 2026-11-24"


def test_a_replaced_key_of_a_rotation_that_is_resumed_has_its_own_fate() -> None:
    seen = facts(key(OLD, 95), key(NEW, 0), targets=(target("a", OLD),), current=OLD, pending=NEW, readable=True)
    old, new = nexts(status_of(seen, POLICY))
    assert old == "deactivates on 2026-12-02"
    assert new.startswith("verify: ")


@pytest.mark.parametrize("active", [True, False])
def test_a_leaked_key_is_shown_as_leaked_and_first_as_long_as_it_is_active(active: bool) -> None:
    status = status_of(rotated(3, active=active, revoked=frozenset({OLD})), POLICY)
    assert status.key_rows()[0][2] == f"leaked, {'active' if active else 'inactive'}"
    assert status.sentence.startswith("…XOLD, which leaked, is still active; bot: ") == active


def test_another_run_is_named_once() -> None:
    status = status_of(facts(key(OLD, 95), key(NEW, 0), intent=intent(2, OLD)), POLICY)
    assert nexts(status) == ["waits for another run"] * 2
    assert status.sentence.count("build 7 of acme/shop") == 1
    assert not status.problems
    assert not any(entry.blocked for entry in status.keys)


@pytest.mark.parametrize("wrong", ["wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "changeme"])
def test_what_is_no_id_is_not_repeated(wrong: str) -> None:
    """It may be the secret, put into the wrong variable."""
    status = status_of(facts(key(OLD, 5), targets=(target("a", wrong),)), POLICY)
    assert wrong not in str(status.as_json()) + str(status.target_rows()) + status.sentence
    assert status.as_json()["targets"] == [{"target": "a", "key": None, "state": "no key of bot"}]


@pytest.mark.parametrize(
    ("uses", "since"),
    [
        ((LastUse(ago(40), "s3"), LastUse(ago(35), "sts")), "2026-10-18"),
        ((LastUse(ago(40), "s3"), LastUse(None)), "2026-10-13"),
        ((LastUse(ago(40), "s3"), LastUse(ago(29), "s3")), None),
        ((LastUse(ago(40), "s3"), None), None),
        ((LastUse(ago(31), "s3"), LastUse(ago(40), "sts")), "2026-10-22"),
    ],
    ids=["both-long-ago", "never-used-but-made-then", "one-lately", "one-unknown", "the-latest-counts"],
)
def test_a_user_whose_keys_nobody_uses_is_shown_as_quiet(
    uses: tuple[LastUse | None, LastUse | None], since: str | None
) -> None:
    use = dict(zip((OLD, NEW), uses, strict=True))
    shown = status_of(facts(key(OLD, 60), key(NEW, 40), current=NEW, use=use), POLICY).as_json()["quiet_since"]
    assert (shown and shown[:10]) == since


def test_the_last_line_says_that_a_user_is_quiet() -> None:
    status = status_of(facts(key(OLD, 50), use={OLD: LastUse(ago(35), "s3")}), POLICY)
    assert status.sentence.endswith("; nobody has used a key of bot since 2026-10-18")


@pytest.mark.parametrize(
    ("after", "days", "active", "said"),
    [
        (100, 5, True, "by these settings a key stays active for 100 days or more"),
        (90, 90, True, ""),
        (85, 91, True, "…XOLD has been active for 91 days"),
        (85, 91, False, ""),
    ],
)
def test_a_key_that_is_active_for_longer_than_auditors_allow_is_told_and_no_problem(
    after: int, days: int, active: bool, said: str
) -> None:
    policy = replace(POLICY, rotate_after=timedelta(days=75), deactivate_after=timedelta(days=after))
    status = status_of(facts(key(OLD, days, active=active), key(NEW, 1), current=NEW, ours=frozenset({OLD})), policy)
    assert status.breach.rpartition("; ")[2] == said
    shown = [str(part) for part in status.tables() if said in str(part)]
    assert bool(said) == any("ROTATE_AFTER_DAYS 75. A replaced key" in part for part in shown)
    assert not any("older than 90" in str(problem) for problem in status.problems)
