"""What the journal in a secret says after each step of a rotation, and who is told that it is another run's turn."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipe.actions.rotate.journal import version_of, version_of_intent
from pipe.actions.rotate.secret_journal import SecretJournal
from pipe.actions.rotate.world import Noted, Record
from pipe.clients.secretsmanager import SecretVersions
from pipe.errors import Conflict, KeyturnError, Refused, WrongState
from pipe.patience import Patience
from pipe.redact import Secret
from pipe.values import AccessKey, KeyPair, Run
from sandbox.world import SECRET, Company, World
from test.clients.test_aws import aws_of
from test.support import stages

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OLD, NEW, NEXT = "AKIAXXXXXXXXXXXXXOLD", "AKIAXXXXXXXXXXXXXNEW", "AKIAXXXXXXXXXXXXNEXT"
RUN, OTHER = Run("run-1", "build 17"), Run("run-2", "build 18")


def key(key_id: str, age: float) -> AccessKey:
    return AccessKey(key_id, True, NOW - timedelta(days=age))


KEYS = (key(OLD, 95), key(NEW, 0))


def pair(key_id: str) -> KeyPair:
    return KeyPair(key_id, Secret(f"the secret of {key_id}"))


class Journals:
    """Journals of several runs in the same secret."""

    def __init__(self, world: World, company: Company, secret_id: str = SECRET) -> None:
        self.world, self.secret_id = world, secret_id
        self.versions = SecretVersions(aws_of(world, company.admin), secret_id)

    def one(self, *keys: AccessKey) -> SecretJournal:
        """Return the journal of a run that has looked already."""
        journal = SecretJournal(self.versions, Patience(pace=0.01), "bot", "123456789012")
        journal.record(keys)
        return journal

    def says(self, *keys: AccessKey) -> Record:
        return SecretJournal(self.versions, Patience(pace=0.01), "bot", "123456789012").record(keys)

    def rotated(self, replaced: str = "", new: str = OLD) -> SecretJournal:
        """Return the journal of a run that has stored and promoted a key, and ended."""
        journal = self.one()
        assert journal.holds(journal.announce(RUN, NOW, [replaced] if replaced else []))
        journal.store(pair(new), NOW)
        journal.promote(new, replaced, NOW)
        self.one().tidy()
        journal.close(finished=True)
        return journal

    @property
    def arn(self) -> str:
        seen = self.world.aws.secret(self.secret_id)
        assert seen is not None
        return seen.arn


@pytest.fixture
def journals(world: World, company: Company) -> Journals:
    return Journals(world, company)


def test_a_secret_that_is_not_there_says_nothing_and_one_named_by_its_arn_is_refused(
    world: World, company: Company, journals: Journals
) -> None:
    assert journals.says(*KEYS) == Record()
    assert journals.one().evidence() is None
    arn = f"arn:aws:secretsmanager:{world.aws.region}:123456789012:secret:{SECRET}-AbCdEf"
    with pytest.raises(Refused, match="there is no secret"):
        Journals(world, company, arn).says()


def test_a_secret_that_waits_for_its_deletion_is_refused(world: World, company: Company, journals: Journals) -> None:
    world.aws.put_secret(SECRET, "{}")
    aws_of(world, company.admin).client("secretsmanager").delete_secret(SecretId=SECRET)
    with pytest.raises(Refused, match=f"{SECRET} is scheduled for deletion"):
        journals.says()


def test_a_key_is_pending_once_it_is_stored_and_current_once_it_is_promoted(journals: Journals) -> None:
    journals.rotated()
    assert journals.says(key(OLD, 0)) == Record(current=OLD, readable=True)
    journal = journals.one(*KEYS)
    intent = journal.announce(RUN, NOW, [OLD])
    assert (journals.says(*KEYS).intent, journal.holds(intent)) == (intent, True)
    journal.store(pair(NEW), NOW)
    assert journals.says(*KEYS) == Record(current=OLD, readable=True, pending=NEW, intent=intent)
    journal.promote(NEW, OLD, NOW)
    assert journals.says(*KEYS) == Record(
        current=NEW, readable=True, ours=frozenset({OLD}), intent=intent, untidy=True
    )  # fmt: skip
    journals.one(*KEYS).tidy()
    journal.close(finished=True)
    assert journals.says(*KEYS) == Record(current=NEW, readable=True, ours=frozenset({OLD}))
    assert stages(journals.world) == {"AWSCURRENT": version_of(NEW), "AWSPREVIOUS": version_of(OLD)}


def test_a_pair_is_stored_with_whose_it_is(journals: Journals) -> None:
    journals.rotated()
    body = json.loads(journals.versions.read(version_of(OLD)))
    assert (body["UserName"], body["AccountId"], body["CreateDate"]) == ("bot", "123456789012", "2026-11-22T12:00:00Z")


def test_the_key_that_was_replaced_is_ours_by_its_tag_even_where_no_version_of_it_is_left(journals: Journals) -> None:
    journals.rotated(OLD, NEW)
    assert journals.says(*KEYS).ours == {OLD}
    assert journals.says(key(NEXT, 1), key(NEW, 0)).ours == {OLD}, "and no other key is"


def test_a_first_rotation_of_all_replaces_nothing(journals: Journals) -> None:
    journals.rotated()
    seen = journals.world.aws.secret(SECRET)
    assert seen is not None
    assert set(seen.tags) == {"keyturn:verified"}
    assert seen.tags["keyturn:verified"] == f"{OLD} 2026-11-22T12:00:00Z"


def test_a_stored_key_whose_label_was_moved_away_is_pending_if_it_is_newer_than_the_current_one_and_ours_if_not(
    journals: Journals,
) -> None:
    journals.rotated()
    journals.one().store(pair(NEW), NOW)
    journals.one(*KEYS).tidy()
    assert journals.says(*KEYS).pending == NEW
    older = journals.says(key(NEW, 200), key(OLD, 95))
    assert (older.pending, older.ours) == ("", frozenset({NEW}))
    same = journals.says(key(NEW, 95), key(OLD, 95))
    assert (same.pending, same.ours) == ("", frozenset({NEW}))


def test_without_a_current_key_a_stored_one_is_pending(journals: Journals) -> None:
    journals.one().announce(RUN, NOW, [])
    journals.one().store(pair(NEW), NOW)
    journals.one().tidy()
    says = journals.says(key(NEW, 0))
    assert (says.current, says.pending, says.readable) == ("", NEW, False)


def test_a_pending_label_of_a_key_that_iam_has_no_more_is_no_longer_wanted_but_one_of_somebody_else_is_let_be(
    journals: Journals,
) -> None:
    journals.rotated()
    journals.one().store(pair(NEW), NOW)
    assert journals.says(key(OLD, 95)).untidy
    journals.one().tidy()
    assert not journals.says(key(OLD, 95)).untidy
    journals.versions.put("f" * 32, '{"AccessKeyId": "AKIAB", "SecretAccessKey": "s"}', "AWSPENDING")
    assert not journals.says(key(OLD, 95)).untidy
    journals.versions.put("e" * 32, "somebody's own", "AWSPENDING")
    assert not journals.says(key(OLD, 95)).untidy


def test_a_pair_that_somebody_has_stored_by_hand_is_current_and_can_be_published(journals: Journals) -> None:
    journals.world.aws.put_secret(SECRET, json.dumps({"AccessKeyId": OLD, "SecretAccessKey": "by hand"}))
    journal = journals.one(*KEYS)
    assert journals.says(*KEYS).current == OLD
    held = journal.pair(OLD)
    assert held is not None
    assert (held.id, held.secret.reveal()) == (OLD, "by hand")
    journals.world.aws.put_secret(SECRET, "no pair")
    with pytest.raises(Refused, match="is not a pair"):
        journals.says(*KEYS)


def test_a_pair_is_read_from_its_own_version_and_unknown_where_there_is_none(journals: Journals) -> None:
    journals.rotated()
    held = journals.one().pair(OLD)
    assert held is not None
    assert held.secret.reveal() == f"the secret of {OLD}"
    assert journals.one().pair(NEW) is None


def test_only_one_of_two_runs_can_announce_and_each_announcement_has_a_larger_number(journals: Journals) -> None:
    first, second = journals.one(), journals.one()
    assert first.announce(RUN, NOW, [OLD]).number == 1
    with pytest.raises(Conflict):
        second.announce(OTHER, NOW, [OLD])
    first.close(finished=False)
    third = journals.one().announce(OTHER, NOW, [OLD])
    assert third.number == 2
    assert journals.says().intent == third


def test_an_announcement_that_is_too_old_is_taken_over(journals: Journals) -> None:
    journals.one().announce(RUN, NOW, [OLD])
    journal = journals.one()
    intent = journal.announce(OTHER, NOW + timedelta(hours=1), [OLD])
    assert (intent.number, intent.run, journals.says().intent) == (2, OTHER.id, intent)
    assert journal.holds(intent)


def test_a_number_is_not_given_again_for_an_announcement_that_aws_has_dropped(journals: Journals) -> None:
    for _ in range(3):
        journal = journals.one()
        journal.announce(RUN, NOW, [])
        journal.close(finished=True)
    for number in (1, 2):
        if version_of_intent(journals.arn, number) not in stages(journals.world).values():
            journals.world.aws.drop(SECRET, version_of_intent(journals.arn, number))
    assert journals.one().announce(RUN, NOW, []).number == 4


def test_the_latest_announcement_is_known_once_it_is_closed(journals: Journals) -> None:
    for keys, run in (([OLD], RUN), ([OLD, NEW], OTHER)):
        journal = journals.one()
        journal.announce(run, NOW, keys)
        journal.close(finished=True)
    evidence = journals.one().evidence()
    assert evidence is not None
    assert (evidence.number, evidence.run, evidence.build) == (2, OTHER.id, OTHER.build)
    assert (evidence.keys, evidence.open, evidence.at) == (frozenset({OLD, NEW}), False, NOW)
    assert journals.says().intent is None


def test_a_secret_without_any_announcement_has_no_evidence(journals: Journals) -> None:
    journals.world.aws.put_secret(SECRET, json.dumps({"AccessKeyId": OLD, "SecretAccessKey": "by hand"}))
    assert journals.one(*KEYS).evidence() is None


def test_the_turn_is_lost_when_another_run_announces_or_the_current_key_changes(journals: Journals) -> None:
    journals.rotated()
    journal = journals.one(*KEYS)
    intent = journal.announce(RUN, NOW, [OLD])
    assert journal.holds(intent)
    other = journals.one(*KEYS)
    taken = other.announce(OTHER, NOW, [OLD])
    assert not journal.holds(intent)
    assert other.holds(taken)
    journals.world.aws.put_secret(SECRET, json.dumps({"AccessKeyId": OLD, "SecretAccessKey": "by hand"}))
    assert not other.holds(taken)


def test_the_very_first_announcement_becomes_current_and_is_held_all_the_same(journals: Journals) -> None:
    journal = journals.one()
    intent = journal.announce(RUN, NOW, [])
    assert stages(journals.world)["AWSCURRENT"] == version_of_intent(journals.arn, 1)
    assert journal.holds(intent)
    assert journals.says() == Record(intent=intent)
    assert not journals.one().holds(replace(intent, number=2))


def test_a_run_closes_its_own_announcement_and_no_other(journals: Journals) -> None:
    first = journals.one()
    first.announce(RUN, NOW, [])
    second = journals.one()
    taken = second.announce(OTHER, NOW, [])
    first.close(finished=True)
    assert journals.says().intent == taken
    journals.one().close(finished=True)
    assert journals.says().intent == taken
    second.close(finished=True)
    assert journals.says().intent is None
    second.close(finished=True)


class Stuck(SecretVersions):
    """The versions of a secret whose labels cannot be moved, whatever AWS says they carry."""

    def move(self, stage: str, *, to: str | None, away_from: str | None) -> None:
        raise WrongState("The label cannot be moved.", "Check.")


def test_a_label_that_stays_where_it_is_is_an_error_and_one_that_has_gone_is_none(
    world: World, company: Company, journals: Journals
) -> None:
    journal = SecretJournal(
        Stuck(aws_of(world, company.admin), SECRET), Patience(pace=0.01), "bot", "123456789012"
    )  # fmt: skip
    journal.record(())
    journal.announce(RUN, NOW, [])
    with pytest.raises(KeyturnError, match="keyturn-intent could not be removed: The label cannot be moved"):
        journal.close(finished=True)
    journals.one().announce(OTHER, NOW, [])
    journal.close(finished=True)


def test_a_key_is_promoted_only_in_the_place_of_the_one_that_was_current(journals: Journals) -> None:
    journals.rotated()
    journal = journals.one(*KEYS)
    journal.store(pair(NEW), NOW)
    journals.one(*KEYS).promote(NEW, OLD, NOW)
    journal.promote(NEW, OLD, NOW)
    assert journals.says(*KEYS).current == NEW, "another run has done it, and that is well"
    late = journals.one(*KEYS)
    late.store(pair(NEXT), NOW)
    journals.world.aws.put_secret(SECRET, json.dumps({"AccessKeyId": OLD, "SecretAccessKey": "by hand"}))
    with pytest.raises(Conflict, match="AWSCURRENT was moved by somebody else meanwhile"):
        late.promote(NEXT, NEW, NOW)
    assert journals.says(*KEYS).current == OLD


def test_moments_are_remembered_beside_each_other(journals: Journals) -> None:
    journals.rotated()
    journals.one().remember(published=Noted(OLD, NOW))
    journals.one().remember(inactive=Noted(NEW, NOW + timedelta(days=1)))
    says = journals.says(key(OLD, 0))
    assert (says.published, says.inactive) == (Noted(OLD, NOW), Noted(NEW, NOW + timedelta(days=1)))


def test_a_store_that_is_repeated_is_done(journals: Journals) -> None:
    journals.rotated()
    journal = journals.one()
    journal.store(pair(NEW), NOW)
    journal.store(pair(NEW), NOW)
    assert journals.says(*KEYS).pending == NEW
    with pytest.raises(Conflict):
        journal.store(KeyPair(NEW, Secret("another secret")), NOW)
