"""What a replication decides, from nothing but what was seen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipe.errors import Denied, Refused
from pipe.jobs.replicate.identity import next_id, tags_of, token_of
from pipe.jobs.replicate.observe import ReplicationFacts, to_read, wanted_of
from pipe.jobs.replicate.plan import LARGEST, decide, step_for
from pipe.jobs.replicate.steps import Copy, Prune, PutBack, ReplicaPlan, Tag
from pipe.plan import Do
from pipe.redact import Secret
from pipe.secrets import Content, Described, Engine, Version
from pipe.selectors import Selector, read_selectors
from pipe.sources.inventory import take_inventory
from pipe.sources.source import FoundSecret, SelectorResult
from pipe.values import Replication

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ORIGIN, OTHER = "https://vault.example ", "https://other.example "
ALL, ONE, TWO = (
    read_selectors(text)[0][0] for text in ("secret/ci/** *", "secret/ci/db password", "secret/ci/db user")
)
WHOLE = read_selectors("secret/ci/db *")[0][0]
POLICY = Replication((), "team/", "", 30, prune=False, adopt=False, fail_on_missing=True, force=False)
PRUNING, KEEPING = POLICY._replace(prune=True), POLICY._replace(fail_on_missing=False)
SECOND = Version(2, "c2")
LACKS = (
    "Nothing was updated. Check the path and the policy; with ON_MISSING: keep the rest is updated, and what it "
    "brought stays unless PRUNE is set."
)
THEIRS = "01234567-89ab-cdef-0123-456789abcdef"


def found(name: str, version: Version | None = SECOND, selector: Selector = ALL, **more: Any) -> FoundSecret:
    return FoundSecret(selector, f"secret/ci/{name}", "secret", **{"engine": Engine.KV2, "version": version, **more})


def replica(of: FoundSecret, *stages: str, keys: tuple[str, ...] = (), origin: str = ORIGIN, **more: Any) -> Described:
    """Return a replica whose version of a secret has these stages, by default AWSCURRENT."""
    token = token_of(of, of.version, keys, origin)
    versions = {token: frozenset(stages or ("AWSCURRENT",)), **more.pop("others", {})}
    return Described("arn", versions, {**tags_of(of, of.version, origin), **more.pop("tags", {})}, changed=NOW, **more)


def facts(*secrets: FoundSecret, replicas: Mapping[str, Described] | None = None, **more: Any) -> ReplicationFacts:
    """Return a world in which a selector for each of the secrets' has found these; `read` are their contents."""
    by: dict[Selector, list[FoundSecret]] = {}
    for each in secrets:
        by.setdefault(each.selector, []).append(each)
    looked = more.pop("looked", tuple(SelectorResult(selector, tuple(some)) for selector, some in by.items()))
    names = {f"team/ci/{name}": each for name, each in (replicas or {}).items()}
    return ReplicationFacts(NOW, ORIGIN, looked, more.pop("read", {}), more.pop("unread", {}), names, "run-1")


def read(values: Mapping[str, Any] | None, *secrets: FoundSecret) -> dict[str, Content]:
    return {each.address: Content(values, each.version) for each in secrets}


def done(plan: ReplicaPlan) -> list[str]:
    return [f"{step.do} {step.on}" for step in plan.actions]


def told(plan: ReplicaPlan) -> list[str]:
    return [f"{'! ' if step.warn else ''}{step.on}: {step.reason}" for step in plan.steps if not step.acts]


def only(plan: ReplicaPlan, kind: type[Any]) -> Any:
    (step,) = [step for step in plan.steps if isinstance(step, kind)]
    return step


def refused(seen: ReplicationFacts, policy: Replication = POLICY) -> tuple[str, ...]:
    with pytest.raises(Refused) as caught:
        decide(seen, policy)
    return tuple(map(str, caught.value.problems))


DB, CACHE = found("db"), found("cache")
VALUES = {"password": "p", "user": "u"}
NAME = "team/ci/db"


def test_a_secret_without_a_replica_is_read_and_written() -> None:
    assert to_read(facts(DB), POLICY) == [DB]
    assert to_read(facts(DB, read=read(VALUES, DB)), POLICY) == []
    step = only(decide(facts(DB, read=read(VALUES, DB)), POLICY), Copy)
    token = token_of(DB, SECOND, (), ORIGIN)
    assert (step.do, step.on, step.version, step.seen) == (Do.WRITE, NAME, token, None)
    assert step.reason == f"{DB.address}: is new there"
    assert json.loads(step.body.reveal()) == VALUES
    assert step.tags == tags_of(DB, SECOND, ORIGIN)


def test_what_is_right_is_neither_read_nor_written_and_told_in_one_line() -> None:
    seen = facts(DB, CACHE, replicas={"db": replica(DB), "cache": replica(CACHE)})
    assert to_read(seen, POLICY) == []
    plan = decide(seen, POLICY)
    assert (done(plan), told(plan)) == ([], ["Secrets Manager: 2 unchanged"])
    again = replace(seen, contents=read(VALUES, DB))
    assert (done(decide(again, POLICY)), told(decide(again, POLICY))) == ([], ["Secrets Manager: 2 unchanged"])


OLD = replace(DB, version=Version(1, "c1"))
BEHIND: dict[str, tuple[Described, Replication, str]] = {
    "newer": (replica(OLD), POLICY, "version 2 is newer"),
    "edited": (
        replica(OLD, "AWSPREVIOUS", others={THEIRS: frozenset({"AWSCURRENT"})}), POLICY,
        "somebody has written another value there",
    ),
    "forced": (replica(DB), POLICY._replace(force=True), "FORCE"),
    "adopted": (
        Described("arn", {THEIRS: frozenset({"AWSCURRENT"})}, {"team": "shop"}), POLICY._replace(adopt=True),
        "it is taken over",
    ),
    "of another Vault": (replica(DB, origin=OTHER), POLICY._replace(adopt=True), "it is taken over"),
    "of another secret": (replica(replace(DB, address="kv/ci/db")), POLICY._replace(adopt=True), "it is taken over"),
    "without tags": (replica(OLD)._replace(tags={}), POLICY, "version 2 is newer"),
    "without a current version": (replica(OLD, "AWSPREVIOUS"), POLICY, "version 2 is newer"),
}  # fmt: skip


@pytest.mark.parametrize("name", BEHIND)
def test_a_replica_that_is_behind_gets_a_version_of_which_everybody_who_sees_the_same_knows_the_id(name: str) -> None:
    seen, policy, why = BEHIND[name]
    assert to_read(facts(DB, replicas={"db": seen}), policy) == [DB]
    step = only(decide(facts(DB, replicas={"db": seen}, read=read(VALUES, DB)), policy), Copy)
    assert (step.do, step.reason) == (Do.WRITE, f"{DB.address}: {why}")
    assert (step.version, step.seen) == (next_id(seen, token_of(DB, SECOND, (), ORIGIN)), seen)
    assert json.loads(step.body.reveal()) == VALUES


def test_a_source_without_versions_is_written_each_time() -> None:
    one = replace(DB, version=None, engine=Engine.KV1)
    seen = facts(one, replicas={"db": replica(DB)}, read=read(VALUES, one))
    plan = decide(seen, POLICY)
    assert only(plan, Copy).reason == f"{DB.address}: has no versions"
    assert decide(seen, POLICY) == plan, "the id is made from the run's, not by chance"
    assert only(decide(replace(seen, run="run-2"), POLICY), Copy).version != only(plan, Copy).version


def test_a_secret_that_waits_for_its_deletion_is_restored_and_written_only_if_it_is_behind() -> None:
    right = replica(DB, deleted=True)
    assert to_read(facts(DB, replicas={"db": right}), POLICY) == []
    for contents in ({}, read(VALUES, DB)):
        step = only(decide(facts(DB, replicas={"db": right}, read=contents), POLICY), Copy)
        assert (step.do, step.body) == (Do.RESTORE, None)
        assert step.reason == f"{DB.address}: waits for its deletion, and is restored"
    previous = replica(DB, "AWSPREVIOUS", others={THEIRS: frozenset({"AWSCURRENT"})}, deleted=True)
    for behind, policy in (
        (replica(OLD, deleted=True), POLICY),
        (previous, POLICY),
        (right, POLICY._replace(force=True)),
    ):
        assert to_read(facts(DB, replicas={"db": behind}), policy) == [DB]
        step = only(decide(facts(DB, replicas={"db": behind}, read=read(VALUES, DB)), policy), Copy)
        assert step.do is Do.RESTORE
        assert json.loads(step.body.reveal()) == VALUES


def test_a_version_that_has_lost_its_stage_to_another_is_put_back() -> None:
    seen = replica(DB, "AWSPREVIOUS", others={THEIRS: frozenset({"AWSCURRENT"})})
    assert to_read(facts(DB, replicas={"db": seen}), POLICY) == []
    plan = decide(facts(DB, replicas={"db": seen}), POLICY)
    step = only(plan, PutBack)
    assert (step.to, step.away_from, step.on) == (token_of(DB, SECOND, (), ORIGIN), THEIRS, NAME)
    assert (done(plan), told(plan)) == ([f"put back {NAME}"], [])
    alone = replica(DB, "AWSPREVIOUS")
    assert only(decide(facts(DB, replicas={"db": alone}), POLICY), PutBack).away_from == ""


def test_tags_that_are_not_those_of_the_version_are_written_and_others_are_let_be() -> None:
    plan = decide(facts(DB, replicas={"db": replica(DB, tags={"vault-version": "1"})}), POLICY)
    assert only(plan, Tag).tags == tags_of(DB, SECOND, ORIGIN)
    assert told(plan) == []
    assert decide(facts(DB, replicas={"db": replica(DB, tags={"team": "shop"})}), POLICY).actions == ()


NOT_OURS: dict[str, tuple[Described, str]] = {
    "somebody's": (Described("arn", {}, {"team": "shop"}), "is there already, and not made by Keyturn. Choose"),
    "of another Vault": (replica(DB, origin=OTHER), "is the replica of another Vault. Choose"),
    "of another mount": (replica(replace(DB, address="kv/ci/db", mount="kv")), "is the replica of kv/ci/db. Choose"),
    "of another by its tag": (replica(DB, tags={"keyturn:source": "kv/ci/db"}), "is the replica of kv/ci/db. Choose"),
    "of another by its id": (
        replica(replace(DB, address="kv/ci/db"))._replace(tags={}),
        "is the replica of another secret. Choose",
    ),
    "only by its tags": (
        Described("arn", {THEIRS: frozenset({"AWSCURRENT"})}, tags_of(DB, SECOND, ORIGIN)),
        "is there already, and not made by Keyturn: it has the tags of a replica, but neither its current version nor "
        "the one before is Keyturn's. Choose",
    ),
    "edited twice": (
        replica(DB, "KEPT", others={THEIRS: frozenset({"AWSCURRENT"}), "x": frozenset({"AWSPREVIOUS"})}),
        "is there already, and not made by Keyturn: it has the tags of a replica, but neither its current version nor "
        "the one before is Keyturn's. Choose",
    ),
    "keys": (
        replica(DB, others={THEIRS: frozenset({"keyturn-published"})}),
        "holds the keys that a rotation keeps there. Choose",
    ),
}


@pytest.mark.parametrize("name", NOT_OURS)
@pytest.mark.parametrize("contents", [{}, read(VALUES, DB)], ids=["listed", "read"])
def test_a_secret_that_is_not_ours_is_never_written(name: str, contents: dict[str, Content]) -> None:
    seen, why = NOT_OURS[name]
    (problem,) = refused(facts(DB, replicas={"db": seen}, read=contents))
    assert problem.startswith(f"{DB.address}: {NAME} {why} another AWS_SECRET_PREFIX")
    adopting = POLICY._replace(adopt=True)
    if name == "keys":
        assert refused(facts(DB, replicas={"db": seen}, read=contents), adopting) == (problem,)
    else:
        assert decide(facts(DB, replicas={"db": seen}, read=read(VALUES, DB)), adopting).has(Do.WRITE, Do.TAG)
    inventory = take_inventory(facts(DB), fail_on_missing=True)
    with pytest.raises(Refused):
        step_for(next(wanted_of(facts(DB), inventory, POLICY)), seen, facts(DB), POLICY, Secret("{}"))


def test_names_that_secrets_manager_does_not_take_and_dynamic_secrets_are_refused_together() -> None:
    odd, dynamic = found("ümlaut"), found("role", None, engine=Engine.OTHER)
    assert to_read(facts(dynamic), POLICY) == []
    problems = refused(facts(odd, dynamic, DB))
    assert len(problems) == 2
    assert problems[0].startswith("secret/ci/ümlaut would be replicated to team/ci/ümlaut, but Secrets Manager takes")
    assert problems[1].startswith("SECRETS: “secret/ci/** *”: dynamic secrets are made anew by each reading")


def test_two_secrets_with_one_name_are_refused() -> None:
    other = replace(DB, address="kv/ci/db", mount="kv")
    assert refused(facts(DB, other)) == (f"{NAME} would be the replica of 2 secrets: {DB.address}; kv/ci/db.",)


@pytest.mark.parametrize(("size", "fits"), [(LARGEST - len('{"k":""}'), True), (LARGEST - len('{"k":""}') + 1, False)])
def test_more_than_secrets_manager_takes_is_refused(size: int, fits: bool) -> None:
    seen = facts(DB, read=read({"k": "v" * size}, DB))
    if fits:
        assert done(decide(seen, POLICY)) == [f"write {NAME}"]
    else:
        assert refused(seen) == (f"{DB.address}: it has more than 64 KiB, too much for Secrets Manager.",)


def test_several_selectors_of_one_secret_make_one_replica_of_all_their_keys() -> None:
    one, two = found("db", selector=ONE), found("db", selector=TWO)
    step = only(decide(facts(one, two, read=read({**VALUES, "host": "h"}, one)), POLICY), Copy)
    assert json.loads(step.body.reveal()) == VALUES
    assert step.version == token_of(one, SECOND, ("password", "user"), ORIGIN)
    whole = only(decide(facts(one, DB, read=read({**VALUES, "host": "h"}, one)), POLICY), Copy)
    assert json.loads(whole.body.reveal()) == {**VALUES, "host": "h"}


def test_a_key_that_is_not_there_is_refused_or_left_out() -> None:
    one, two = found("db", selector=ONE), found("db", selector=TWO)
    said = "the secret has no key password; it has user"
    seen = facts(one, two, read=read({"user": "u"}, one))
    assert refused(seen) == (
        f"SECRETS: “{ONE.text}”: {said}. {LACKS}",
    )  # fmt: skip
    plan = decide(seen, KEEPING)
    assert json.loads(only(plan, Copy).body.reveal()) == {"user": "u"}
    assert told(plan) == [f"! {ONE.text}: {said}"]
    none = decide(facts(one, read=read({"user": "u"}, one)), KEEPING)
    assert (done(none), told(none)) == ([], [f"! {ONE.text}: {said}"])
    folder = found("db", selector=read_selectors("secret/ci/** password")[0][0])
    alone = facts(folder, read=read({"user": "u"}, folder))
    assert "1 secret there, none with a key password" in refused(alone)[0]
    beside = replace(folder, address="secret/ci/cache")
    both = facts(folder, beside, read={**read({"user": "u"}, folder), **read(VALUES, beside)})
    assert done(decide(both, POLICY)) == ["write team/ci/cache"]
    # What one selector finds in a folder, another one names.
    seen = facts(folder, two, read=read({"password": "p"}, folder))
    assert "“secret/ci/db user”: the secret has no key user" in refused(seen)[0]


def test_the_replica_of_a_secret_without_its_keys_is_left_over() -> None:
    one = found("db", selector=ONE)
    seen = facts(one, replicas={"db": replica(replace(one, version=Version(1, "c1")), keys=("password",))})
    plan = decide(replace(seen, contents=read({"user": "u"}, one)), KEEPING._replace(prune=True))
    assert done(plan) == [f"prune {NAME}"]


def test_a_secret_of_which_nothing_is_left_in_a_folder_is_an_empty_replica() -> None:
    assert json.loads(only(decide(facts(DB, read=read({}, DB)), POLICY), Copy).body.reveal()) == {}


def test_a_selector_that_finds_nothing_is_refused_or_named() -> None:
    nothing = facts(looked=(SelectorResult(ALL),))
    assert refused(nothing)[0].startswith("SECRETS: “secret/ci/** *”: nothing is there.")
    assert told(decide(nothing, KEEPING)) == ["! secret/ci/** *: nothing is there"]
    for looked in (
        SelectorResult(ALL, problem=Denied("No.", "Check.")),
        SelectorResult(ALL, failed={DB.address: Denied("No.", "Check.")}),
    ):
        plan = decide(facts(looked=(looked,)), POLICY)
        assert (told(plan), [failure.what for failure in plan.failures]) == ([], ["No."])


def test_what_is_gone_or_will_be_soon_is_told_and_refused_where_it_was_named() -> None:
    gone, soon = Version(2, "c2", NOW), Version(2, "c2", NOW + timedelta(hours=3))
    assert told(decide(facts(found("db", gone), read={}), POLICY)) == [
        f"! {DB.address}: its current version is deleted"
    ]
    for selector in (ONE, WHOLE):
        named = facts(found("db", gone, selector))
        assert "its current version is deleted" in refused(named)[0]
        assert told(decide(named, KEEPING)) == [f"! {selector.text}: its current version is deleted"]
    for selector in (ALL, ONE):
        one = found("db", soon, selector)
        keys = () if selector is ALL else ("password",)
        plan = decide(facts(one, replicas={"db": replica(one, keys=keys)}), POLICY)
        assert told(plan) == [
            f"! {DB.address}: it will be deleted on 2026-11-22 15:00 UTC", "Secrets Manager: 1 unchanged",
        ]  # fmt: skip


def test_a_secret_that_could_not_be_read_is_neither_written_nor_pruned() -> None:
    seen = facts(
        DB, CACHE, replicas={"db": replica(OLD), "cache": replica(CACHE)}, unread={DB.address: Denied("No.", "Check.")}
    )
    plan = decide(seen, PRUNING)
    assert (done(plan), [failure.what for failure in plan.failures]) == ([], ["No."])


LEFT = {"db": replica(DB), "cache": replica(CACHE)}


def test_what_has_no_source_any_more_is_kept_and_named_or_with_prune_deleted() -> None:
    seen = facts(DB, replicas=LEFT)
    plan = decide(seen, POLICY)
    kept = "! team/ci/cache: the source is not there any more; set PRUNE: true to delete it"
    assert (done(plan), kept in told(plan)) == ([], True)
    plan = decide(seen, PRUNING)
    assert done(plan) == ["prune team/ci/cache"]
    assert only(plan, Prune).reason == "the source is not there any more; it can be restored for 30 days"


def test_what_a_selector_brought_that_has_left_secrets_is_kept_and_named() -> None:
    former = replica(found("cache", selector=read_selectors("secret/old/** *")[0][0]))
    for policy in (POLICY, PRUNING):
        plan = decide(facts(DB, replicas={**LEFT, "cache": former}), policy)
        kept = "! team/ci/cache: kept: brought by a selector that is not among SECRETS"
        assert (done(plan), told(plan)) == ([], ["Secrets Manager: 1 unchanged", kept])


OTHERS: dict[str, Described] = {
    "another Vault's": replica(CACHE, origin=OTHER),
    "only by its tags": Described("arn", {THEIRS: frozenset({"AWSCURRENT"})}, tags_of(CACHE, SECOND, ORIGIN)),
    "another secret's": replica(CACHE, tags={"keyturn:source": "secret/ci/other"}),
    "another selector's by its id": replica(replace(CACHE, address="secret/x/cache")),
    "a rotation's": replica(CACHE, others={THEIRS: frozenset({"keyturn-targets"})}),
    "another Vault's by its tags": replica(CACHE, tags={"keyturn:replica": "other/tag"}),
    "nobody's": Described("arn", {}, {}),
    "one that waits for its deletion": replica(CACHE, deleted=True),
}


@pytest.mark.parametrize("name", OTHERS)
def test_nothing_goes_but_what_this_selector_has_brought_before(name: str) -> None:
    plan = decide(facts(DB, replicas={**LEFT, "cache": OTHERS[name]}), PRUNING)
    assert (done(plan), told(plan)) == ([], ["Secrets Manager: 1 unchanged"])


def test_nothing_goes_where_not_all_could_be_looked_at() -> None:
    denied = Denied("No.", "Check.")
    problem = facts(replicas=LEFT, looked=(SelectorResult(ALL, (DB,), problem=denied),))
    assert done(decide(problem, PRUNING)) == []
    assert any("not all secrets could be looked at" in line for line in told(decide(problem, PRUNING)))
    assert told(decide(problem, POLICY)) == ["Secrets Manager: 1 unchanged"], "it may still be there"
    failed = facts(replicas=LEFT, looked=(SelectorResult(ALL, (DB,), {CACHE.address: denied}),))
    assert told(decide(failed, PRUNING)) == ["Secrets Manager: 1 unchanged"], "it may still be there"
    nothing = facts(replicas=LEFT, looked=(SelectorResult(ALL),))
    assert done(decide(nothing, PRUNING._replace(fail_on_missing=False))) == []


def test_more_than_five_and_more_than_a_fifth_never_go_in_one_run() -> None:
    some = {f"n{number}": replica(found(f"n{number}")) for number in range(6)}
    plan = decide(facts(DB, replicas={**some, **LEFT}), PRUNING)
    assert done(plan) == []
    assert plan.unmet
    said = "not deleted: 7 of 8 of all replicas would go; PRUNE: 7 allows exactly that many in one run"
    assert any(said in line for line in told(plan))
    assert len(done(decide(facts(DB, replicas={**some, **LEFT}), PRUNING._replace(prune_count=7)))) == 7
    for other in (6, 8):
        plan = decide(facts(DB, replicas={**some, **LEFT}), PRUNING._replace(prune_count=other))
        assert (done(plan), plan.unmet) == ([], True)


@pytest.mark.parametrize(("dry_run", "number"), [(True, 8), (False, 7)])
def test_the_number_that_lets_replicas_go_counts_none_that_goes_in_this_run(dry_run: bool, number: int) -> None:
    (app,) = read_selectors("secret/ci/app/** *")[0]
    others = [found(f"n{each}") for each in range(40)]
    left, *gone = (found(f"app/n{each}", selector=app) for each in range(8))
    there = {each.address.removeprefix("secret/ci/"): replica(each) for each in (*others, DB, left, *gone)}
    seen = facts(DB, left, *others, replicas={**there, "cache": replica(CACHE)})
    plan = decide(replace(seen, dry_run=dry_run), PRUNING)
    assert done(plan) == ["prune team/ci/cache"]
    said = f"not deleted: 7 of 8 of “{app.text}” would go; PRUNE: {number} allows exactly that many in one run"
    assert any(said in line for line in told(plan))


def test_what_is_taken_away_from_a_wildcard_is_kept_and_named() -> None:
    (wild,) = read_selectors("secret/ci/** *; !secret/ci/cache")[0]
    looked = SelectorResult(wild, (found("db", selector=wild),), without=wild.without)
    plan = decide(facts(replicas=LEFT, looked=(looked,)), PRUNING)
    assert done(plan) == []
    assert "! team/ci/cache: kept: “!” takes its secret away from the wildcard" in told(plan)


def test_steps_of_one_kind_stand_together() -> None:
    secrets = [found(name) for name in "abcdef"]
    by = {each.address[-1]: each for each in secrets}
    seen = facts(
        *secrets,
        replicas={
            "a": replica(by["a"], tags={"vault-version": "1"}),
            "b": replica(by["b"], "AWSPREVIOUS"),
            "c": replica(by["c"], deleted=True),
            "f": replica(by["f"], tags={"vault-version": "1"}),
            "x": replica(found("x")),
        },
        read=read(VALUES, by["d"], by["e"]),
    )
    assert done(decide(seen, PRUNING)) == [
        f"{do} team/ci/{name}"
        for do, name in (("write", "d"), ("write", "e"), ("restore", "c"), ("put back", "b"), ("tag", "a"),
                         ("tag", "f"), ("prune", "x"))
    ]  # fmt: skip


def test_what_a_secret_lacks_is_told_by_the_selectors_that_name_it_and_once() -> None:
    db, cache = (found(name, selector=read_selectors(f"secret/ci/{name} user")[0][0]) for name in ("db", "cache"))
    (problem,) = refused(facts(db, cache, read=read({"user": "u"}, cache) | read({"password": "p"}, db)))
    assert "“secret/ci/db user”: the secret has no key user" in problem
    folder = read_selectors("secret/ci/** user")[0][0]
    nothing = facts(looked=(SelectorResult(folder),))
    assert refused(nothing) == (f"SECRETS: “secret/ci/** user”: nothing is there. {LACKS}",)
    theirs = found("db", selector=folder)
    foreign = Described("arn", {THEIRS: frozenset({"AWSCURRENT"})}, {})
    (problem,) = refused(facts(theirs, replicas={"db": foreign}, read=read({"user": "u"}, theirs)))
    assert "not made by Keyturn" in problem
    (problem,) = refused(facts(theirs, read=read({"user": "u" * LARGEST}, theirs)))
    assert "more than 64 KiB" in problem


def test_too_many_of_one_selector_never_go_however_many_replicas_there_are() -> None:
    (few, many) = read_selectors("secret/ci/** *; secret/x/** *")[0]
    gone = {f"n{number}": replica(found(f"n{number}", selector=few)) for number in range(7)}
    rest = [replace(found(f"m{number}", selector=many), address=f"secret/x/m{number}") for number in range(90)]
    seen = facts(DB, *rest, replicas={**gone, **LEFT})
    more = {f"team/x/m{number}": replica(each) for number, each in enumerate(rest)}
    plan = decide(replace(seen, replicas={**seen.replicas, **more}), PRUNING)
    assert (done(plan), plan.unmet) == ([], True)
    assert any("8 of 9 of “secret/ci/** *” would go" in line for line in told(plan))


@pytest.mark.parametrize(
    ("path", "source", "goes"),
    [
        ("secret/data/ci", "secret/ci/cache", True),
        ("secret/data/ci", "secret/data/ci/cache", True),
        ("secret/data/ci/data", "secret/ci/data/cache", True),
        ("secret/data/ci/data", "secret/ci/cache", False),
        ("secret/ci", "secret/cicero/cache", False),
    ],
)
def test_what_a_selector_written_as_the_api_has_it_has_brought_may_go_and_nothing_beside_it(
    path: str, source: str, goes: bool
) -> None:
    (wild,) = read_selectors(f"{path}/** *")[0]
    left = replace(found("cache", selector=wild), address=source)
    seen = facts(
        replace(DB, selector=wild), replicas={"db": replica(replace(DB, selector=wild)), "cache": replica(left)}
    )
    assert done(decide(seen, PRUNING)) == (["prune team/ci/cache"] if goes else [])
