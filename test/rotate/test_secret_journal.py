"""What the journal in a secret says after each step of a rotation, and who is told that it is another run's turn."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipe.clients.secret_versions import SecretVersions
from pipe.errors import Busy, Conflict, KeyturnError, Refused, WrongState
from pipe.jobs.rotate.facts import Record
from pipe.jobs.rotate.journal import Entry, Label, version_of, version_of_nth, version_of_replaced
from pipe.jobs.rotate.secret_journal import SecretJournal
from pipe.redact import Secret
from pipe.values import AccessKey, KeyPair, Place, Run
from sandbox.wire import Answer, Fault
from sandbox.world import SECRET, Company, World
from test.clients.test_aws import aws_of
from test.faults.pace import Brisk
from test.support import stages

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OLD, NEW, NEXT = "AKIAXXXXXXXXXXXXXOLD", "AKIAXXXXXXXXXXXXXNEW", "AKIAXXXXXXXXXXXXNEXT"
RUN, OTHER = Run("run-1", "build 17"), Run("run-2", "build 18")


def key(key_id: str, age: float) -> AccessKey:
    return AccessKey(key_id, True, NOW - timedelta(days=age))


KEYS = (key(OLD, 95), key(NEW, 0))


def entry(name: str) -> Entry:
    return Entry(Place(name, f"/{name}"), "ID")


def pair(key_id: str) -> KeyPair:
    return KeyPair(key_id, Secret(f"the secret of {key_id}"))


class Journals:
    """Journals of several runs in the same secret."""

    def __init__(self, world: World, company: Company, secret_id: str = SECRET) -> None:
        self.world, self.secret_id = world, secret_id
        self.versions = SecretVersions(aws_of(world, company.admin), secret_id)

    def one(self, *keys: AccessKey) -> SecretJournal:
        """Return the journal of a run that has looked already."""
        journal = SecretJournal(self.versions, Brisk(), "bot", "123456789012")
        journal.record(keys)
        return journal

    def says(self, *keys: AccessKey) -> Record:
        return SecretJournal(self.versions, Brisk(), "bot", "123456789012").record(keys)

    def rotated(self, replaced: str = "", new: str = OLD) -> SecretJournal:
        """Return the journal of a run that has stored and promoted a key, and ended."""
        journal = self.one()
        assert journal.holds(journal.announce(RUN, NOW, [replaced] if replaced else []))
        if replaced:
            journal.note(Label.REPLACED, [replaced], NOW)
        journal.store(pair(new), NOW)
        journal.promote(new, replaced)
        self.one().note(Label.PENDING, (), NOW)
        journal.close(finished=True)
        return journal

    def read(self, label: str) -> object:
        """Return what the version with a label holds."""
        return json.loads(self.versions.read(stage=label).body)

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
    kept = Record(current=OLD, readable=True, stored=frozenset({OLD}), secret=journals.arn)
    assert journals.says(key(OLD, 0)) == kept
    journal = journals.one(*KEYS)
    intent = journal.announce(RUN, NOW, [OLD])
    assert (journals.says(*KEYS).intent, journal.holds(intent)) == (intent, True)
    journal.store(pair(NEW), NOW)
    both = replace(kept, stored=frozenset({OLD, NEW}))
    assert journals.says(*KEYS) == replace(both, pending=NEW, intent=intent)
    journal.promote(NEW, OLD)
    replaced = replace(both, current=NEW, ours=frozenset({OLD}))
    assert journals.says(*KEYS) == replace(replaced, intent=intent, untidy=True)
    journals.one(*KEYS).note(Label.PENDING, (), NOW)
    journal.close(finished=True)
    assert journals.says(*KEYS) == replaced
    assert stages(journals.world) == {
        "AWSCURRENT": version_of(NEW), "AWSPREVIOUS": version_of(OLD),
        "keyturn-tried": version_of_nth(Label.INTENT, journals.arn, intent.number),
    }  # fmt: skip


def test_a_pair_is_stored_with_whose_it_is(journals: Journals) -> None:
    journals.rotated()
    body = json.loads(journals.versions.read(version=version_of(OLD)).body)
    assert (body["UserName"], body["AccountId"], body["CreateDate"]) == ("bot", "123456789012", "2026-11-22T12:00:00Z")


def test_the_key_that_was_there_before_is_ours_by_its_marker_whoever_has_the_label(journals: Journals) -> None:
    journals.rotated(OLD, NEW)
    assert journals.says(*KEYS).ours == {OLD}
    assert journals.read("keyturn-replaced") == {"Replaced": OLD}
    assert journals.says(key(NEXT, 1), key(NEW, 0)).ours == set(), "and no other key is"
    journals.one().note(Label.REPLACED, [NEXT], NOW)
    assert journals.says(*KEYS).ours == {OLD}, "known by its version's id among all versions"


def test_a_key_is_not_replaced_before_another_one_is_current(journals: Journals) -> None:
    journal = journals.one()
    journal.announce(RUN, NOW, [OLD])
    journal.note(Label.REPLACED, [OLD], NOW)
    assert journals.says(key(OLD, 95)).ours == set()


def test_a_marker_that_was_there_already_gets_its_label_again(journals: Journals) -> None:
    journals.rotated(OLD, NEW)
    journals.one().note(Label.REPLACED, [NEXT], NOW)
    journals.one().note(Label.REPLACED, [OLD], NOW)
    assert stages(journals.world)["keyturn-replaced"] == version_of_replaced(OLD)


def test_nothing_is_tagged(journals: Journals) -> None:
    journals.rotated(OLD, NEW)
    seen = journals.world.aws.secret(SECRET)
    assert seen is not None
    assert seen.tags == {}


def test_a_label_on_a_version_that_somebody_else_has_written_proves_nothing(journals: Journals) -> None:
    journals.rotated()
    for label in ("keyturn-replaced", "keyturn-published"):
        journals.versions.put("d" * 32 + label[-2:], '{"Replaced": "AKIAXXXXXXXXXXXXXNEW"}', label)
    assert journals.says(*KEYS).ours == set()


def test_a_pair_made_by_hand_is_taken_over_with_its_label_and_that_may_be_repeated(journals: Journals) -> None:
    by_hand = journals.world.aws.put_secret(SECRET, json.dumps({"AccessKeyId": OLD, "SecretAccessKey": "by hand"}))
    assert journals.says(*KEYS).by_hand
    for _ in range(2):
        journal = journals.one(*KEYS)
        if journals.says(*KEYS).by_hand:
            journal.take_over(OLD, NOW)
            assert journal.holds(journal.announce(RUN, NOW, [OLD])), "it is still the current key"
    says = journals.says(*KEYS)
    assert (says.current, says.by_hand, says.stored) == (OLD, False, frozenset({OLD}))
    assert stages(journals.world)["AWSPREVIOUS"] == by_hand
    # Somebody puts the label back; the version that is there already gets it again.
    journals.versions.move("AWSCURRENT", to=by_hand, away_from=version_of(OLD))
    journals.one(*KEYS).take_over(OLD, NOW)
    assert not journals.says(*KEYS).by_hand


def test_a_body_that_names_another_key_than_its_version_is_refused(journals: Journals) -> None:
    journals.rotated()
    body = json.dumps({"AccessKeyId": "AKIAXXXXXXXXXXXADMIN", "SecretAccessKey": "the admin's"})
    journals.versions.put(version_of(NEW), body, "AWSPENDING")
    with pytest.raises(Refused, match="is kept for …XNEW names …DMIN"):
        journals.one(*KEYS).pair(NEW)


@pytest.mark.parametrize("page", ["keyturn-revoked", "keyturn-targets"])
def test_a_page_of_the_journal_that_is_the_first_version_of_all_is_no_pair(journals: Journals, page: str) -> None:
    journal = journals.one()
    if page == "keyturn-revoked":
        journal.note(Label.REVOKED, [OLD], NOW)
    else:
        journal.hold([entry("a")])
    assert stages(journals.world)["AWSCURRENT"] == stages(journals.world)[page]
    assert journals.says(*KEYS).current == ""
    assert journal.holds(journal.announce(RUN, NOW, [OLD]))


def test_leaked_keys_are_noted_until_there_are_none(journals: Journals) -> None:
    journals.rotated()
    journals.one().note(Label.REVOKED, [NEW, OLD], NOW)
    says = journals.says(*KEYS)
    assert (says.revoked, says.notes_revoked) == (frozenset({OLD, NEW}), True)
    journals.one(*KEYS).note(Label.REVOKED, [], NOW)
    says = journals.says(*KEYS)
    assert (says.revoked, says.notes_revoked) == (frozenset(), False)


def test_a_key_that_iam_has_no_more_is_known_by_its_whole_id_alone(journals: Journals) -> None:
    journals.rotated(OLD, NEW)
    for name, gone in ((OLD, OLD), (NEXT, ""), ("XOLD", "")):
        journal = SecretJournal(journals.versions, Brisk(), "bot", "123456789012")
        assert journal.record([key(NEW, 0)], [name]).gone == ({gone} - {""})


def test_every_target_that_was_given_a_pair_is_known_also_where_two_runs_add_to_the_list(journals: Journals) -> None:
    journals.rotated()
    first, second = journals.one(), journals.one()
    first.hold([entry("a")])
    second.hold([entry("b")])
    assert journals.one().holders() == (entry("a"), entry("b"))
    assert stages(journals.world)["keyturn-targets"] == version_of_nth(Label.TARGETS, journals.arn, 2)
    third, fourth = journals.one(), journals.one()
    third.hold([entry("c")])
    fourth.hold([entry("d"), entry("a")])
    journals.one().hold([entry("b")])
    assert set(journals.one().holders()) == {entry("a"), entry("b"), entry("c"), entry("d")}
    assert stages(journals.world)["keyturn-targets"] == version_of_nth(Label.TARGETS, journals.arn, 4)
    other = Entry(Place("a", "/a"), "OTHER_ID", "{of the variable}")
    journals.one().hold([other], ["b", "c"])
    assert set(journals.one().holders()) == {entry("a"), other, entry("d")}, "each pair of variables by itself"
    journals.one().hold([replace(other, uuid="")])
    assert set(journals.one().holders()) == {entry("a"), other, entry("d")}, "a uuid is not forgotten"


def test_a_list_of_targets_that_is_too_large_is_an_error(journals: Journals) -> None:
    journals.rotated()
    with pytest.raises(KeyturnError, match="larger than 65,536 bytes"):
        journals.one().hold(entry(f"a target with number {number}") for number in range(2000))


@pytest.mark.parametrize("kind", ["replica", "owned", "rotated"])
def test_a_secret_that_is_not_to_be_written_is_refused(journals: Journals, kind: str) -> None:
    journals.rotated()
    journals.world.moods.turn(f"secret={kind}:{SECRET}")
    with pytest.raises(Refused, match="SECRET_ID: "):
        journals.says(*KEYS)


def test_a_secret_with_hardly_room_for_versions_is_not_begun_with_but_for_a_leak(journals: Journals) -> None:
    journals.rotated()
    for number in range(60):
        journals.versions.put(f"{number:032}", f"body {number}", "theirs")
    now = journals.world.clock.now()
    with pytest.raises(KeyturnError, match="62 versions of ci/deploy-bot are younger than a day"):
        journals.one().announce(RUN, now, [OLD])
    assert journals.one().announce(RUN, now + timedelta(days=1, minutes=1), [OLD]).number == 2
    assert journals.one().announce(OTHER, now, [OLD], urgent=True).number == 3


def test_a_secret_without_room_for_the_labels_is_refused(journals: Journals) -> None:
    journals.rotated()
    carrier = version_of(OLD)
    for number in range(10):
        journals.versions.move(f"theirs-{number}", to=carrier, away_from=None)
    assert journals.says(key(OLD, 0)).current == OLD
    journals.versions.move("theirs-10", to=carrier, away_from=None)
    with pytest.raises(Refused, match="11 labels that are not Keyturn's"):
        journals.says(key(OLD, 0))


def test_a_stored_key_whose_label_was_moved_away_is_pending_if_it_is_newer_than_the_current_one_and_ours_if_not(
    journals: Journals,
) -> None:
    journals.rotated()
    journals.one().store(pair(NEW), NOW)
    journals.one(*KEYS).note(Label.PENDING, (), NOW)
    assert journals.says(*KEYS).pending == NEW
    older = journals.says(key(NEW, 200), key(OLD, 95))
    assert (older.pending, older.ours) == ("", frozenset({NEW}))
    same = journals.says(key(NEW, 95), key(OLD, 95))
    assert (same.pending, same.ours) == ("", frozenset({NEW}))


def test_without_a_current_key_a_stored_one_is_pending(journals: Journals) -> None:
    journals.one().announce(RUN, NOW, [])
    journals.one().store(pair(NEW), NOW)
    journals.one().note(Label.PENDING, (), NOW)
    says = journals.says(key(NEW, 0))
    assert (says.current, says.pending, says.readable) == ("", NEW, False)


def test_a_pending_label_of_a_key_that_iam_has_no_more_is_no_longer_wanted_but_one_of_somebody_else_is_let_be(
    journals: Journals,
) -> None:
    journals.rotated()
    journals.one().store(pair(NEW), NOW)
    assert journals.says(key(OLD, 95)).untidy
    journals.one().note(Label.PENDING, (), NOW)
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


def test_of_two_runs_that_make_the_secret_together_only_one_can_announce(journals: Journals) -> None:
    first, second = journals.one(), journals.one()
    first.make()
    assert first.holds(intent := first.announce(RUN, NOW, [OLD]))
    second.make()
    with pytest.raises(Conflict):
        second.announce(OTHER, NOW, [OLD])
    assert first.holds(intent)


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
        if version_of_nth(Label.INTENT, journals.arn, number) not in stages(journals.world).values():
            journals.world.aws.drop(SECRET, version_of_nth(Label.INTENT, journals.arn, number))
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
    assert stages(journals.world)["AWSCURRENT"] == version_of_nth(Label.INTENT, journals.arn, 1)
    assert journal.holds(intent)
    assert journals.says() == Record(intent=intent, secret=journals.arn)
    assert not journals.one().holds(intent._replace(number=2))


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
        Stuck(aws_of(world, company.admin), SECRET), Brisk(), "bot", "123456789012"
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
    journals.one(*KEYS).promote(NEW, OLD)
    journal.promote(NEW, OLD)
    assert journals.says(*KEYS).current == NEW, "another run has done it, and that is well"
    late = journals.one(*KEYS)
    late.store(pair(NEXT), NOW)
    journals.world.aws.put_secret(SECRET, json.dumps({"AccessKeyId": OLD, "SecretAccessKey": "by hand"}))
    with pytest.raises(Conflict, match="AWSCURRENT was moved by somebody else meanwhile"):
        late.promote(NEXT, NEW)
    assert journals.says(*KEYS).current == OLD


def test_an_answer_of_another_secret_leaves_it_open_whether_a_version_was_written(journals: Journals) -> None:
    journals.rotated()

    def other(answer: Answer) -> Answer:
        return replace(answer, body=answer.body.replace(b":secret:ci/", b":secret:cd/"))

    journals.world.aws.wire.spoil(Fault("secretsmanager.PutSecretValue", "change-after", times=0, change=other))
    with pytest.raises(Busy) as raised:
        journals.one().note(Label.PUBLISHED, [OLD], NOW)
    assert raised.value.unclear


def test_a_moment_is_the_date_at_which_aws_says_that_it_was_noted(journals: Journals) -> None:
    journals.rotated(OLD, NEW)
    journals.one().note(Label.PUBLISHED, [NEW], NOW)
    published = journals.world.clock.now()
    says = journals.says(*KEYS)
    assert says.published is not None
    assert says.published.key_id == NEW
    assert abs(says.published.at - published) < timedelta(seconds=5)
    assert (says.inactive, says.notes_inactive) == (None, False)
    journals.world.clock.move(days=1)
    journals.one().note(Label.INACTIVE, [OLD], NOW)
    off = (KEYS[0]._replace(active=False), KEYS[1])
    says = journals.says(*off)
    assert says.inactive is not None
    assert says.inactive.key_id == OLD
    assert abs(says.inactive.at - published - timedelta(days=1)) < timedelta(seconds=5)
    assert says.published is None, "it is read only where an active key waits for it"
    journals.one(*off).note(Label.INACTIVE, (), NOW)
    assert not journals.says(*off).notes_inactive


def test_an_idle_run_with_one_key_reads_nothing(journals: Journals) -> None:
    journals.rotated(OLD, NEW)
    journals.one().note(Label.PUBLISHED, [NEW], NOW)
    journals.world.aws.wire.forget()
    journals.says(key(NEW, 0))
    assert [seen.operation for seen in journals.world.aws.wire.journal] == ["secretsmanager.DescribeSecret"]


def test_a_store_that_is_repeated_is_done(journals: Journals) -> None:
    journals.rotated()
    journal = journals.one()
    journal.store(pair(NEW), NOW)
    journal.store(pair(NEW), NOW)
    assert journals.says(*KEYS).pending == NEW
    with pytest.raises(Conflict):
        journal.store(KeyPair(NEW, Secret("another secret")), NOW)
