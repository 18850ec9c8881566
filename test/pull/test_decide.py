"""What a pull decides, from nothing but what was seen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from pipe.errors import Denied, Refused
from pipe.jobs.pull.capacity import LARGEST_STATE, LARGEST_STEP
from pipe.jobs.pull.carry_out import after_partial_write
from pipe.jobs.pull.observe import PullFacts, to_read
from pipe.jobs.pull.overview import overview
from pipe.jobs.pull.plan import BATCH, decide
from pipe.jobs.pull.state_variable import (
    Group,
    LastSync,
    SyncedSecret,
    TargetState,
    as_state,
    origin_digest,
    stamp_of,
    uuid_digest,
)
from pipe.jobs.pull.steps import Prune, PullOutcome, PullPlan, Remember, Write
from pipe.jobs.rotate.state import with_notes
from pipe.plan import Do, Step
from pipe.secrets import Content, Engine, Lease, Version
from pipe.selectors import Selector, read_selectors
from pipe.sources.source import FoundSecret, SelectorResult
from pipe.values import Place, Pull, Target, TargetKind, Variable

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ORIGIN = "https://vault.example "
STATE = "KEYTURN_STATE"
POLICY = Pull((), secured=True, prune=False, fail_on_missing=True, force=False, encode=False, trim=False,
              state_variable=STATE)  # fmt: skip
PRUNING = POLICY._replace(prune=True)
KEEPING = POLICY._replace(fail_on_missing=False)
ALL, ONE = (read_selectors(text)[0][0] for text in ("secret/ci/** *", "secret/ci/db password"))
LONG = "a-value-long-enough"
MARK = "AAAA"
LACKS = (
    "Nothing was updated. Check the path and the policy; with ON_MISSING: keep the rest is updated, and what it "
    "brought stays unless PRUNE is set."
)


SECOND = Version(2, "c2")


def found(name: str, version: Version | None = SECOND, selector: Selector = ALL, **more: Any) -> FoundSecret:
    return FoundSecret(selector, f"secret/ci/{name}", "secret", Engine.KV2, below=name, version=version, **more)


def variable(name: str, value: str | None = None, *, secured: bool = True, uuid: str = "") -> Variable:
    return Variable(uuid or f"{{{name}}}", name, value, secured)


def entry(each: FoundSecret, *names: str, policy: Pull = POLICY) -> SyncedSecret:
    """Return what a target remembers of a secret whose variables are as `variable` makes them."""
    return SyncedSecret(stamp_of(each, ORIGIN, policy), {name: uuid_digest(f"{{{name}}}") for name in names})


def remembered(entries: Mapping[str, SyncedSecret], selector: str = ALL.text, origin: str = ORIGIN) -> LastSync:
    digest = origin_digest(origin)
    return LastSync("run", {selector: Group(digest, entries)})


def target(
    before: LastSync | None = None, *variables: Variable, name: str = "a", named: Target | None = None
) -> TargetState:
    """Return a target that remembers this in its state variable; None for one without any."""
    state = None if before is None else variable(STATE, as_state(before), secured=False)
    held = {each.key: each for each in (*variables, *([state] if state else []))}
    return TargetState(Place(name, f"/{name}"), held, state, before or LastSync(), named)


def facts(*targets: TargetState, secrets: Mapping[FoundSecret, Content | None] | None = None, **more: Any) -> PullFacts:
    """Return a world in which one selector for each of the secrets' has found these, with what was read of them."""
    secrets = secrets or {}
    by: dict[Selector, list[FoundSecret]] = {}
    for each in secrets:
        by.setdefault(each.selector, []).append(each)
    looked = more.pop("looked", tuple(SelectorResult(selector, tuple(some)) for selector, some in by.items()))
    contents = {each.address: content for each, content in secrets.items() if content is not None}
    return PullFacts(NOW, ORIGIN, looked, contents, more.pop("unread", {}), targets)


def read(**values: Any) -> Content:
    return Content(values, Version(2, "c2"))


def done(plan: PullPlan) -> list[str]:
    return [f"{step.do} {step.on}" for step in plan.actions]


def told(plan: PullPlan) -> list[str]:
    return [f"{'! ' if step.warn else ''}{step.on}: {step.reason}" for step in plan.steps if not step.acts]


def of(plan: PullPlan, kind: type[Any]) -> list[Any]:
    return [step for step in plan.steps if isinstance(step, kind)]


def refused(seen: PullFacts, policy: Pull = POLICY) -> tuple[str, ...]:
    with pytest.raises(Refused) as caught:
        decide(seen, policy)
    return tuple(map(str, caught.value.problems))


DB, CACHE = found("db"), found("cache")
KEPT = target(remembered({DB.address: entry(DB, "DB_PASSWORD")}), variable("DB_PASSWORD"))


def test_a_new_secret_is_written_to_every_target_and_then_remembered() -> None:
    plan = decide(
        facts(target(name="a"), target(name="b"), secrets={DB: read(password=LONG, user="shop-user")}), POLICY
    )
    assert done(plan) == [
        "write a: DB_PASSWORD", "write a: DB_USER", "write b: DB_PASSWORD", "write b: DB_USER",
        "remember a", "remember b",
    ]  # fmt: skip
    write = of(plan, Write)[0]
    assert (write.name, write.text.reveal(), write.known, write.source) == ("DB_PASSWORD", LONG, None, DB.address)
    assert (write.reason, write.warn, write.place.label) == (f"{DB.address}: version 2 is new here", False, "a")
    remembers = of(plan, Remember)[0].remembers
    new = SyncedSecret(stamp_of(DB, ORIGIN, POLICY), {"DB_PASSWORD": "", "DB_USER": ""}, (), "2", date(2026, 11, 22))
    assert remembers.groups == {ALL.text: Group(origin_digest(ORIGIN), {DB.address: new})}


def test_what_is_unchanged_is_neither_read_nor_written_and_told_in_one_line() -> None:
    seen = facts(KEPT, secrets={DB: None})
    assert to_read(seen, POLICY) == ()
    plan = decide(seen, POLICY)
    assert (done(plan), told(plan)) == ([], ["a: 1 variable unchanged"])
    both = target(remembered({DB.address: entry(DB, "X", "Y")}), variable("X"), variable("Y"))
    assert told(decide(facts(both, secrets={DB: None}), POLICY)) == ["a: 2 variables unchanged"]


OTHERS: dict[str, tuple[TargetState, Pull]] = {
    "made anew": (replace(KEPT, variables={"DB_PASSWORD": variable("DB_PASSWORD", uuid="{other}")}), POLICY),
    "deleted": (replace(KEPT, variables={}), POLICY),
    "unsecured": (replace(KEPT, variables={"DB_PASSWORD": variable("DB_PASSWORD", "x", secured=False)}), POLICY),
    "secured": (KEPT, POLICY._replace(secured=False)),
    "forced": (KEPT, POLICY._replace(force=True)),
    "encoded": (KEPT, POLICY._replace(encode=True)),
    "trimmed": (KEPT, POLICY._replace(trim=True)),
    "not remembered": (target(None, variable("DB_PASSWORD")), POLICY),
    "another version": (
        target(remembered({DB.address: entry(found("db", Version(1, "c1")), "DB_PASSWORD")}), variable("DB_PASSWORD")),
        POLICY,
    ),
}
WHY = {
    "made anew": "somebody has made it anew", "deleted": "somebody has deleted it", "forced": "FORCE",
    "unsecured": "it is not secured: its value can be seen", "secured": "it is secured, and SECURED is false",
    "not remembered": "version 2 is new here", "another version": "version 2 is newer",
    "encoded": "version 2 is newer", "trimmed": "version 2 is newer",
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_all_else_is_read_and_written_and_the_reason_is_told(name: str) -> None:
    behind, policy = OTHERS[name]
    seen = facts(KEPT, behind, secrets={DB: None})
    assert to_read(seen, policy) == (DB,)
    (write,) = of(decide(facts(behind, secrets={DB: read(password=LONG)}), policy), Write)
    assert write.reason == f"{DB.address}: {WHY[name]}"
    assert write.known == behind.variables.get("DB_PASSWORD")
    assert write.warn is (name == "unsecured")
    (remember,) = of(decide(facts(behind, secrets={DB: read(password=LONG)}), policy), Remember)
    assert remember.remembers.groups[ALL.text].entries[DB.address].names == {"DB_PASSWORD": ""}, "until it is written"


def test_what_was_read_or_could_not_be_read_is_not_read_once_more() -> None:
    new = target()
    assert to_read(facts(new, secrets={DB: read(), CACHE: None}), POLICY) == (CACHE,)
    assert to_read(facts(new, secrets={DB: None}, unread={DB.address: Denied("No.", "Check.")}), POLICY) == ()
    gone = found("db", Version(2, "c2", deleted_at=NOW))
    assert to_read(facts(new, secrets={gone: None}), POLICY) == ()
    assert to_read(facts(new, secrets={DB: None, found("db", selector=ONE): None}), POLICY) == (DB,)


def test_only_the_variables_that_differ_are_written_of_a_secret_that_was_read() -> None:
    before = remembered({DB.address: entry(DB, "DB_PASSWORD", "DB_USER")})
    plan = decide(facts(target(before, variable("DB_USER")), secrets={DB: read(password=LONG, user=LONG)}), POLICY)
    assert [write.name for write in of(plan, Write)] == ["DB_PASSWORD"]
    assert told(plan) == ["a: 1 variable unchanged"]
    (remember,) = of(plan, Remember)
    (now,) = remember.remembers.groups[ALL.text].entries.values()
    assert now.names == {"DB_PASSWORD": "", "DB_USER": uuid_digest("{DB_USER}")}


@pytest.mark.parametrize(
    ("secured", "known", "writes"), [(False, LONG, 0), (False, "other", 1), (False, None, 1), (True, LONG, 1)]
)
def test_an_unsecured_variable_that_shows_the_value_already_is_right(
    secured: bool, known: str | None, writes: int
) -> None:
    policy = POLICY._replace(secured=secured)
    old = found("db", Version(1, "c1"))
    before = remembered({DB.address: entry(old, "DB_PASSWORD", policy=policy)})
    held = target(before, variable("DB_PASSWORD", known, secured=False))
    assert len(of(decide(facts(held, secrets={DB: read(password=LONG)}), policy), Write)) == writes
    assert all(
        write.warn is secured for write in of(decide(facts(held, secrets={DB: read(password=LONG)}), policy), Write)
    )
    stranger = target(remembered({}), variable("DB_PASSWORD", known, secured=False))
    assert len(of(decide(facts(stranger, secrets={DB: read(password=LONG)}), policy), Write)) == 1


def test_a_secret_without_versions_is_written_each_time_and_its_lease_is_told() -> None:
    first = found("db", None)
    content = Content({"password": LONG})
    before = remembered({DB.address: SyncedSecret("", {"DB_PASSWORD": uuid_digest("{DB_PASSWORD}")})})
    held = target(before, variable("DB_PASSWORD"))
    (write,) = of(decide(facts(held, secrets={first: content}), POLICY), Write)
    assert write.reason == f"{DB.address}: KV version 2 has no versions"
    for renewable, words in ((True, "renewable"), (False, "not renewable")):
        leased = replace(content, lease=Lease("id", 60, renewable))
        (write,) = of(decide(facts(held, secrets={first: leased}), POLICY), Write)
        assert write.reason == f"{DB.address}: a lease of 60 s, {words}"


def test_a_dynamic_secret_that_a_dry_run_did_not_read_is_named_and_still_remembered() -> None:
    dynamic = replace(found("db", None), engine=Engine.OTHER)
    before = remembered({DB.address: SyncedSecret("", {"DB_PASSWORD": uuid_digest("{DB_PASSWORD}")})})
    for held in (target(before, variable("DB_PASSWORD")), target()):
        plan = decide(facts(held, secrets={dynamic: None}), PRUNING)
        assert (done(plan), told(plan)) == ([], [f"{DB.address}: dynamic: read anew by each run, but by no dry one"])


def test_a_variable_that_several_selectors_bring_is_written_once() -> None:
    again, other = found("db", selector=ONE), found("db", selector=replace(ONE, name="OTHER"))
    values = read(password=LONG, user=LONG)
    plan = decide(facts(target(), secrets={DB: values, again: values, other: values}), POLICY)
    assert sorted(write.name for write in of(plan, Write)) == ["DB_PASSWORD", "DB_USER", "OTHER"]


GONE = remembered({DB.address: entry(DB, "DB_PASSWORD"), CACHE.address: entry(CACHE, "CACHE_URL", "CACHE_USER")})
LEFT = target(GONE, *map(variable, ("DB_PASSWORD", "CACHE_URL", "CACHE_USER")))


def test_what_nothing_brings_any_more_is_kept_and_named_or_with_prune_deleted() -> None:
    seen = facts(LEFT, secrets={DB: None})
    plan = decide(seen, POLICY)
    assert done(plan) == []
    assert told(plan) == [
        f"! a: CACHE_URL, CACHE_USER: {CACHE.address} is not there any more; set PRUNE: true to delete it",
        "a: 1 variable unchanged",
    ]
    plan = decide(seen, PRUNING)
    assert done(plan) == ["prune a: CACHE_URL", "prune a: CACHE_USER", "remember a"]
    assert [(step.name, step.known, step.reason) for step in of(plan, Prune)] == [
        (name, variable(name), f"{CACHE.address} is not there any more") for name in ("CACHE_URL", "CACHE_USER")
    ]
    (remember,) = of(plan, Remember)
    left = after_partial_write(remember.remembers, LEFT, {}, {"CACHE_URL", "CACHE_USER"})
    assert set(left.groups[ALL.text].entries) == {DB.address}


def test_what_is_shown_after_a_run_lacks_what_it_has_deleted() -> None:
    seen = facts(LEFT, secrets={DB: None})
    plan = decide(seen, PRUNING)
    ended = PullOutcome(done=plan.actions, changed=True)
    assert [each.name for store in overview(seen, PRUNING, ended).stores for each in store.held] == ["DB_PASSWORD"]


def test_one_left_over_is_told_without_the_like() -> None:
    one = target(remembered({DB.address: entry(DB, "DB_PASSWORD"), CACHE.address: entry(CACHE, "CACHE_URL")}),
                 variable("DB_PASSWORD"), variable("CACHE_URL"))  # fmt: skip
    said = f"! a: CACHE_URL: {CACHE.address} is not there any more; set PRUNE: true to delete it"
    assert said in told(decide(facts(one, secrets={DB: None}), POLICY))


def test_several_secrets_that_are_gone_are_counted() -> None:
    other = found("other")
    entries = {DB.address: entry(DB, "DB_PASSWORD"), CACHE.address: entry(CACHE, "CACHE_URL", "CACHE_USER"),
               other.address: entry(other, "OTHER")}  # fmt: skip
    held = target(remembered(entries), *map(variable, ("DB_PASSWORD", "CACHE_URL", "CACHE_USER", "OTHER")))
    said = f"{CACHE.address} is not there any more, and 1 more secret; set PRUNE: true to delete it"
    assert f"! a: CACHE_URL, CACHE_USER, OTHER: {said}" in told(decide(facts(held, secrets={DB: None}), POLICY))


def test_what_is_gone_is_told_by_what_became_of_it() -> None:
    deleted = found("cache", Version(2, "c2", deleted_at=NOW))
    plan = decide(facts(LEFT, secrets={DB: None, deleted: None}), PRUNING)
    assert {step.reason for step in of(plan, Prune)} == {f"{CACHE.address} is deleted"}
    assert f"! {CACHE.address}: its current version is deleted" in told(plan)


def test_a_key_that_a_secret_gives_no_more_is_left_over() -> None:
    cache = found("cache", Version(3, "c3"))
    plan = decide(facts(LEFT, secrets={DB: None, cache: Content({"url": LONG}, Version(3, "c3"))}), PRUNING)
    assert [(step.name, step.reason) for step in of(plan, Prune)] == [
        ("CACHE_USER", f"{CACHE.address} gives it no more")
    ]
    kept = decide(facts(LEFT, secrets={DB: None, cache: Content({"url": LONG}, Version(3, "c3"))}), POLICY)
    (remember,) = of(kept, Remember)
    entries = remember.remembers.groups[ALL.text].entries
    assert entries[f"~{CACHE.address}"].names == {"CACHE_USER": uuid_digest("{CACHE_USER}")}
    assert entries[CACHE.address].names == {"CACHE_URL": uuid_digest("{CACHE_URL}")} or entries[
        CACHE.address
    ].names == {"CACHE_URL": ""}


@pytest.mark.parametrize("unsure", ["problem", "failed", "unread"])
def test_what_could_not_be_looked_at_is_remembered_as_it_was_and_nothing_goes(unsure: str) -> None:
    denied = Denied("No.", "Check.")
    looked = {
        "problem": SelectorResult(ALL, (DB,), problem=denied),
        "failed": SelectorResult(ALL, (DB,), {CACHE.address: denied}),
        "unread": SelectorResult(ALL, (DB, found("cache", Version(3, "c3")))),
    }[unsure]
    unread = {CACHE.address: denied} if unsure == "unread" else {}
    plan = decide(facts(LEFT, secrets={DB: None}, looked=(looked,), unread=unread), PRUNING)
    assert (done(plan), told(plan)) == ([], ["a: 1 variable unchanged"])
    assert [failure.what for failure in plan.failures] == ["No."]


def test_what_another_origin_brought_is_never_deleted() -> None:
    theirs = target(
        remembered({CACHE.address: entry(CACHE, "CACHE_URL")}, origin="https://other "), variable("CACHE_URL")
    )
    assert of(decide(facts(theirs, secrets={DB: read(password=LONG)}), PRUNING), Prune) == []


def test_a_variable_that_somebody_has_made_anew_is_never_deleted() -> None:
    theirs = replace(LEFT, variables={**LEFT.variables, "CACHE_URL": variable("CACHE_URL", uuid="{other}")})
    assert [step.name for step in of(decide(facts(theirs, secrets={DB: None}), PRUNING), Prune)] == ["CACHE_USER"]


def test_a_variable_that_another_selector_brings_now_is_not_left_over() -> None:
    moved = read_selectors("secret/ci/cache url | CACHE_URL")[0][0]
    new = found("cache", Version(3, "c3"), moved)
    plan = decide(facts(LEFT, secrets={DB: None, new: Content({"url": LONG}, Version(3, "c3"))}), PRUNING)
    assert done(plan) == ["write a: CACHE_URL", "prune a: CACHE_USER", "remember a"]


OF_X = uuid_digest("{X}")


def test_what_selectors_of_other_runs_brought_stays_and_is_named() -> None:
    other = {"secret/x *": Group("there", {"secret/x": SyncedSecret(MARK, {"X": OF_X, "DB_PASSWORD": MARK})}),
             "secret/y *": Group("there", {"secret/y": SyncedSecret(MARK, {"DB_PASSWORD": MARK})}),
             "secret/z *": Group("there", {"secret/z": SyncedSecret(MARK, {})})}  # fmt: skip
    held = target(LastSync("run", groups=other), variable("X"))
    plan = decide(facts(held, secrets={DB: read(password=LONG)}), PRUNING)
    kept = (
        "! a: X: kept: brought by “secret/x *”, which is not among SECRETS; unless another run does, nobody renews it: "
        "delete it in Bitbucket if nobody uses it"
    )
    assert kept in told(plan)
    assert told(decide(facts(held, secrets={DB: read(password=LONG)}), POLICY)) == [kept]
    (remember,) = of(plan, Remember)
    groups = remember.remembers.groups
    assert groups["secret/x *"].entries["secret/x"].names == {"X": OF_X}, "what this run brings is this run's"
    assert "secret/y *" not in groups
    assert groups["secret/z *"].entries == {"secret/z": SyncedSecret(MARK, {})}, (
        "it has no keys, and is not read each time"
    )
    without = target(LastSync("run", groups=other))
    assert told(decide(facts(without, secrets={DB: read(password=LONG)}), POLICY)) == [], "somebody has deleted it"


def test_a_state_that_cannot_be_read_is_written_anew_and_nothing_goes() -> None:
    broken = replace(LEFT, last_sync=LastSync(readable=False), state=variable(STATE, "{", secured=False))
    plan = decide(facts(broken, secrets={DB: read(password=LONG)}), PRUNING)
    assert done(plan) == ["write a: DB_PASSWORD", "remember a"]
    assert plan.unmet, "what was asked for is not done"
    assert "! a: nothing is pruned, since what was written before cannot be told" in told(plan)
    assert told(decide(facts(broken, secrets={DB: read(password=LONG)}), POLICY)) == []
    (write,) = of(plan, Write)
    assert write.reason == f"{DB.address}: what was written before cannot be told"
    (remember,) = of(plan, Remember)
    assert remember.remembers.readable
    assert done(decide(facts(broken, secrets={found("db", None): None}), PRUNING)) == ["remember a"]


@pytest.mark.parametrize(
    ("changes", "news"),
    [({}, False), ({"state": variable(STATE, "x", secured=True)}, True)],
)
def test_a_target_without_writes_remembers_only_what_is_news(changes: dict[str, Any], news: bool) -> None:
    plan = decide(facts(replace(KEPT, **changes), secrets={DB: None}), POLICY)
    assert done(plan) == (["remember a"] if news else [])


def test_a_target_that_gets_nothing_gets_no_state() -> None:
    gone = found("db", Version(2, "c2", deleted_at=NOW))
    assert decide(facts(target(), secrets={gone: None}), KEEPING).actions == ()


def test_a_selector_that_finds_nothing_is_refused_or_named() -> None:
    nothing = facts(target(), looked=(SelectorResult(ALL),))
    said = f"SECRETS: “secret/ci/** *”: nothing is there. {LACKS}"
    assert refused(nothing) == (said,)
    assert told(decide(nothing, KEEPING)) == ["! secret/ci/** *: nothing is there"]
    for looked in (
        SelectorResult(ALL, problem=Denied("No.", "Check.")),
        SelectorResult(ALL, failed={DB.address: Denied("No.", "Check.")}),
    ):
        assert told(decide(facts(target(), looked=(looked,)), POLICY)) == []


def test_a_secret_that_is_named_and_is_gone_is_refused_or_named_and_in_a_folder_named() -> None:
    gone = Version(2, "c2", destroyed=True)
    named = facts(target(), secrets={found("db", gone, ONE): None})
    assert "its current version is destroyed and cannot come back" in refused(named)[0]
    assert told(decide(named, KEEPING)) == [
        "! secret/ci/db password: its current version is destroyed and cannot come back"
    ]
    folder = facts(target(), secrets={found("db", gone): None, CACHE: read()})
    assert told(decide(folder, POLICY)) == [f"! {DB.address}: its current version is destroyed and cannot come back"]


def test_a_secret_that_will_be_deleted_soon_is_told() -> None:
    soon = found("db", Version(2, "c2", NOW + timedelta(hours=3)))
    assert f"! {DB.address}: it will be deleted on 2026-11-22 15:00 UTC" in told(
        decide(facts(KEPT, secrets={soon: None}), POLICY)
    )


def test_a_key_that_is_not_there_is_refused_where_it_was_named_and_left_out_in_a_folder() -> None:
    named = facts(target(), secrets={found("db", selector=ONE): read(user=LONG)})
    assert refused(named) == (
        f"SECRETS: “secret/ci/db password”: the secret has no key password; it has user. {LACKS}",
    )
    assert told(decide(named, KEEPING)) == ["! secret/ci/db password: the secret has no key password; it has user"]
    folder = read_selectors("secret/ci/** password")[0][0]
    some = {found("db", selector=folder): read(user=LONG), found("cache", selector=folder): read(password=LONG)}
    assert [write.name for write in of(decide(facts(target(), secrets=some), POLICY), Write)] == ["CACHE_PASSWORD"]


def test_a_secret_that_is_no_object_has_no_keys() -> None:
    text = Content({}, Version(2, "c2"), whole="plain-text-secret")
    (problem,) = refused(facts(target(), secrets={found("db", selector=ONE): text}))
    assert (
        problem == f"{DB.address}: the secret is no JSON object and has no keys; leave the key out to take all of it."
    )
    assert told(decide(facts(target(), secrets={DB: text}), POLICY)) == [
        f"! {DB.address}: it is no JSON object and has no keys; a selector without a key takes it"
    ]
    whole = read_selectors("ci/db | WHOLE", "secretsmanager")[0][0]
    (write,) = of(decide(facts(target(), secrets={found("db", selector=whole): text}), POLICY), Write)
    assert (write.name, write.text.reveal()) == ("WHOLE", "plain-text-secret")


def test_every_problem_with_values_and_names_is_told_at_once() -> None:
    problems = refused(facts(target(), secrets={DB: read(password="two\nlines", path=LONG), CACHE: read(url="a\0b")}))
    assert len(problems) == 2
    assert "more than one line" in problems[0]
    assert "a NUL character" in problems[1]


def test_two_secrets_that_give_one_name_are_refused_even_where_one_was_not_read() -> None:
    other = replace(DB, address="secret/ci/sub/db")
    before = remembered({DB.address: entry(DB, "DB_PASSWORD")})
    held = target(before, variable("DB_PASSWORD"))
    (problem,) = refused(facts(held, secrets={DB: None, other: read(password=LONG)}))
    assert "DB_PASSWORD" in problem
    assert DB.address in problem
    assert other.address in problem


def test_short_values_are_warned_of_and_base64_is_told() -> None:
    plan = decide(
        facts(target(), secrets={DB: read(password="abc", key="two\nlines-of-it")}), POLICY._replace(encode=True)
    )
    assert told(plan) == [
        f"! DB_PASSWORD: {DB.address} password: the value is too short to be masked in Pipelines' logs"
    ]
    assert [write.reason for write in of(plan, Write)] == [
        f"{DB.address}: version 2 is new here", f"{DB.address}: version 2 is new here; as base64",
    ]  # fmt: skip


def many(count: int, size: int = 8) -> Content:
    return Content({f"k{number:04}": "v" * size for number in range(count)}, Version(2, "c2"))


def test_after_each_batch_its_targets_remember_what_was_written() -> None:
    plan = decide(facts(target(name="a"), target(name="b"), secrets={DB: many(BATCH // 2 + 50)}), POLICY)
    remembers = [(number, step.on) for number, step in enumerate(plan.actions) if step.do is Do.REMEMBER]
    assert remembers == [(BATCH, "a"), (BATCH + 1, "b"), (BATCH + 102, "b")]


@pytest.mark.parametrize(("count", "warned"), [(400, False), (401, True)])
def test_more_than_eight_hundred_writes_are_warned_of_since_they_take_an_hour(count: int, warned: bool) -> None:
    plan = decide(facts(target(name="a"), target(name="b"), secrets={DB: many(count)}), POLICY)
    first = plan.steps[0]
    text = "802 variables are to be written, and it takes a thousand requests an hour; the next runs do the rest"
    assert (first == Step(Do.WARN, "Bitbucket", text, warn=True)) is (first.on == "Bitbucket") is warned


@pytest.mark.parametrize(("more", "fits"), [(0, True), (1, False)])
def test_a_target_that_could_not_hold_all_is_refused_with_the_largest(more: int, fits: bool) -> None:
    secrets = {DB: Content({f"k{number}": "v" * 10_000 for number in range(10)}, Version(2, "c2"))}
    one = decide(facts(target(None, variable("OTHER", "x", secured=False)), secrets=secrets), POLICY)
    (remember,) = of(one, Remember)
    state = len(as_state(remember.remembers))
    used = state + sum(len(step.name) + 10_000 for step in of(one, Write))
    filler = variable("OTHER", "x" * (LARGEST_STEP - used - len("OTHER") + more), secured=False)
    seen = facts(target(None, filler), secrets=secrets)
    if fits:
        assert len(of(decide(seen, POLICY), Write)) == 10
    else:
        (problem,) = refused(seen)
        assert f"would have {LARGEST_STEP + 1} characters. Keyturn's own limit is {LARGEST_STEP}" in problem
        assert "The largest are DB_K0, DB_K1, DB_K2, DB_K3, DB_K4." in problem


def test_a_state_that_would_be_too_large_is_refused() -> None:
    some = {found(f"n{number}", Version(number, f"{number * number}")): many(3) for number in range(1000)}
    (problem,) = refused(facts(target(), secrets=some))
    assert problem.startswith(f"a: what {STATE} has to remember takes ")
    assert f"Keyturn's own limit for a variable is {LARGEST_STATE}" in problem


SHOP, STAGE, LIVE, OTHER_SHOP, ALL_OF = (
    Target(TargetKind.REPOSITORY, "acme", "shop"),
    Target(TargetKind.DEPLOYMENT, "acme", "shop", "staging"),
    Target(TargetKind.DEPLOYMENT, "acme", "shop", "live"),
    Target(TargetKind.DEPLOYMENT, "acme", "billing", "live"),
    Target(TargetKind.WORKSPACE, "acme"),
)


@pytest.mark.parametrize(
    ("full", "refused_ones"),
    [
        # 60,000 characters each; only what one step sees together counts.
        ((STAGE, LIVE), ()),
        ((SHOP, OTHER_SHOP), ()),
        ((SHOP, STAGE), ("shop", "staging")),
        ((SHOP, STAGE, LIVE, OTHER_SHOP), ("shop", "staging", "live")),
        ((ALL_OF, OTHER_SHOP, STAGE), ("workspace", "billing", "staging")),
    ],
    ids=["two environments", "two repositories", "both", "one of two repositories", "workspace"],
)
def test_the_characters_that_one_step_sees_of_several_targets_count_together(
    full: tuple[Target, ...], refused_ones: tuple[str, ...]
) -> None:
    names = {SHOP: "shop", STAGE: "staging", LIVE: "live", OTHER_SHOP: "billing", ALL_OF: "workspace"}
    filler = variable("OTHER", "x" * 60_000, secured=False)
    seen = facts(*(target(None, filler, name=names[each], named=each) for each in full), secrets={DB: read(key=LONG)})
    if len(refused_ones) == len(full):
        assert "all variables that a step sees together" in refused(seen)[0]
        return
    plan = decide(seen, POLICY)
    assert tuple(failure.step.on for failure in plan.failures) == refused_ones
    assert not any(failure.step.vital for failure in plan.failures)
    assert {write.place.label for write in of(plan, Write)} == {names[each] for each in full} - set(refused_ones)


def test_targets_in_which_nothing_changes_are_not_refused_for_what_is_there() -> None:
    filler = variable("OTHER", "x" * 120_000, secured=False)
    full = replace(KEPT, variables={**KEPT.variables, "OTHER": filler})
    assert decide(facts(full, secrets={DB: None}), POLICY).failures == ()


def named_by(text: str) -> tuple[Selector, ...]:
    return read_selectors(text)[0]


def alone(name: str, selector: Selector) -> FoundSecret:
    """Return a secret whose selector names it by itself."""
    return replace(found(name, selector=selector), below="")


def test_a_wildcard_does_not_bring_a_name_that_programs_obey() -> None:
    (wild,) = named_by("secret/ci/db *")
    values = {"ld_preload": "/tmp/evil.so", "env": "production", "password": LONG, "docker-password": LONG}
    first = decide(facts(target(), secrets={alone("db", wild): read(**values)}), POLICY)
    assert [write.name for write in of(first, Write)] == ["PASSWORD", "DOCKER_PASSWORD"]
    assert first.unmet
    said = [line for line in told(first) if "obey" in line]
    assert [line.partition(":")[0] for line in said] == ["! ENV", "! LD_PRELOAD"]
    assert "A selector of its own that ends in | ENV brings it" in said[0]
    # The next run reads nothing, and says so still.
    (remember,) = of(first, Remember)
    names = {"PASSWORD": uuid_digest("{PASSWORD}"), "DOCKER_PASSWORD": uuid_digest("{DOCKER_PASSWORD}")}
    (entry_now,) = remember.remembers.groups[wild.text].entries.values()
    before = LastSync("run", {wild.text: Group(origin_digest(ORIGIN), {DB.address: entry_now._replace(names=names)})})
    held = target(before, variable("PASSWORD"), variable("DOCKER_PASSWORD"))
    again = facts(held, secrets={alone("db", wild): None})
    assert to_read(again, POLICY) == ()
    second = decide(again, POLICY)
    assert (second.actions, second.unmet) == ((), True)
    assert [line for line in told(second) if "obey" in line] == said


def test_a_selector_of_its_own_brings_such_a_name_and_then_the_wildcard_does_not() -> None:
    wild, own = named_by("secret/ci/db *; secret/ci/other word | ENV")
    secrets = {alone("db", wild): read(env="by-the-wildcard"), alone("other", own): read(word=LONG)}
    plan = decide(facts(target(), secrets=secrets), POLICY)
    assert [(write.name, write.text.reveal()) for write in of(plan, Write)] == [("ENV", LONG)]
    assert not plan.unmet
    # A key that is named brings it as well.
    (key,) = named_by("secret/ci/db env")
    plan = decide(facts(target(), secrets={alone("db", key): read(env=LONG)}), POLICY)
    assert ([write.name for write in of(plan, Write)], plan.unmet) == (["ENV"], False)


ROTATED = variable("KEYTURN_BOT_ID", with_notes(None, User="bot", Variables=["BOT_ID", "BOT_SECRET"]), secured=False)


@pytest.mark.parametrize(
    ("state", "selector", "key", "name"),
    [
        (ROTATED, "secret/ci/db *", "bot-secret", "BOT_SECRET"),
        (ROTATED, "secret/ci/db key | BOT_ID", "key", "BOT_ID"),
        (variable("KEYTURN_AWS_ACCESS_KEY_ID", "{", secured=False), "secret/ci/db *", "aws-secret-access-key",
         "AWS_SECRET_ACCESS_KEY"),
        (variable("KEYTURN_AWS_ACCESS_KEY_ID"), "secret/ci/db key | AWS_ACCESS_KEY_ID", "key", "AWS_ACCESS_KEY_ID"),
    ],
    ids=["wildcard", "named", "unreadable", "secured"],
)  # fmt: skip
def test_what_a_rotation_keeps_in_a_target_is_not_written_over(
    state: Variable, selector: str, key: str, name: str
) -> None:
    (own,) = named_by(selector)
    secrets = {alone("db", own): read(**{key: LONG})}
    (problem,) = refused(facts(target(None, state), target(name="b"), secrets=secrets))
    assert problem.startswith(f"a: secret/ci/db would write over {name}, which a rotation keeps there ({state.key} ")
    assert decide(facts(target(name="b"), secrets={alone("db", own): read(other=LONG, key=LONG)}), POLICY)


def test_a_state_that_is_no_rotations_keeps_nothing() -> None:
    probe = variable("KEYTURN_PROBE_1234", "x", secured=False)
    other = variable("KEYTURN_STATE", as_state(LastSync()), secured=False)
    (own,) = named_by("secret/ci/db *")
    secrets = {alone("db", own): read(state=LONG, probe_1234=LONG)}
    assert len(of(decide(facts(target(None, probe, other), secrets=secrets), POLICY), Write)) == 2


def test_what_is_taken_away_from_a_wildcard_is_kept_and_named_and_never_pruned() -> None:
    (wild,) = named_by("secret/ci/** *; !secret/ci/cache")
    looked = SelectorResult(wild, (found("db", selector=wild),), without=wild.without)
    plan = decide(facts(LEFT, looked=(looked,)), PRUNING)
    assert done(plan) == [], "and it is still remembered"
    assert "! a: CACHE_URL, CACHE_USER: kept: “!” takes its secret away from the wildcard" in told(plan)
    assert "! !secret/ci/cache: it takes nothing away, since nothing is there; for everything below a folder, write " \
        "!secret/ci/cache/**" in told(plan)  # fmt: skip


def bulk(*names: str) -> TargetState:
    before = remembered({CACHE.address: entry(CACHE, *names), DB.address: entry(DB, "DB_PASSWORD")})
    return target(before, *map(variable, (*names, "DB_PASSWORD")))


def test_too_many_of_a_target_are_not_pruned_and_their_number_in_all_targets_allows_them() -> None:
    names = [f"CACHE_{number}" for number in range(7)]
    seen = facts(bulk(*names), replace(bulk(*names[:3]), place=Place("b", "/b")), secrets={DB: None})
    for dry_run, number in ((True, 10), (False, 7)):
        plan = decide(replace(seen, dry_run=dry_run), PRUNING)
        assert ({step.place.label for step in of(plan, Prune)}, plan.unmet) == ({"b"}, True)
        said = f"not deleted: 7 of 8 there would go; PRUNE: {number} allows exactly that many in one run"
        assert any(said in line for line in told(plan)), "what went in this run does not count in the next one"
    assert len(of(decide(seen, PRUNING._replace(prune_count=10)), Prune)) == 10


@pytest.mark.parametrize("left", [6, 8])
def test_a_number_that_is_left_in_a_schedule_deletes_nothing_else(left: int) -> None:
    names = [f"CACHE_{number}" for number in range(left)]
    plan = decide(facts(bulk(*names), secrets={DB: None}), PRUNING._replace(prune_count=7))
    assert (of(plan, Prune), plan.unmet) == ([], True)
    said = {6: "6 of 7 there would go; PRUNE: 6 allows", 8: "8 would go in this run, and PRUNE says 7"}
    assert any(f"not deleted: {said[left]}" in line for line in told(plan))
    few = decide(facts(bulk(*names[:5]), secrets={DB: None}), PRUNING._replace(prune_count=7))
    assert (len(of(few, Prune)), few.unmet) == (5, False)
    assert decide(facts(KEPT, secrets={DB: None}), PRUNING._replace(prune_count=7)).unmet is False


def test_the_same_is_decided_of_the_same() -> None:
    seen = facts(LEFT, target(name="b"), secrets={DB: read(password=LONG, env="x" * 9), found("db", None): None})
    assert decide(seen, PRUNING) == decide(seen, PRUNING)


def test_a_target_that_could_not_be_looked_at_is_a_failure_of_its_own() -> None:
    seen = replace(facts(target(), secrets={DB: read(password=LONG)}), refused=(("b", Denied("No.", "Check.")),))
    plan = decide(seen, POLICY)
    assert done(plan) == ["write a: DB_PASSWORD", "remember a"]
    assert [(failure.step.on, failure.what) for failure in plan.failures] == [("b", "No.")]


def test_what_another_address_gave_before_is_named_once() -> None:
    theirs = target(
        remembered({CACHE.address: entry(CACHE, "CACHE_URL", "DB_PASSWORD")}, origin="https://other "),
        variable("CACHE_URL"),
    )
    plan = decide(facts(theirs, secrets={DB: read(password=LONG)}), PRUNING)
    assert "! a: CACHE_URL: kept, and not looked after any more: another address gave it before" in told(plan)


def test_what_is_taken_away_and_is_not_keyturns_any_more_is_forgotten() -> None:
    (wild,) = named_by("secret/ci/** *; !secret/ci/cache")
    looked = SelectorResult(wild, (found("db", selector=wild),), without=wild.without, met=wild.without)
    theirs = replace(LEFT, variables={"DB_PASSWORD": variable("DB_PASSWORD")})
    (remember,) = of(decide(facts(theirs, looked=(looked,)), POLICY), Remember)
    assert set(remember.remembers.groups[ALL.text].entries) == {DB.address}


def test_what_a_secret_gave_once_is_told_so_after_the_secret_is_gone_as_well() -> None:
    before = remembered({DB.address: entry(DB, "DB_PASSWORD"), f"~{CACHE.address}": entry(CACHE, "CACHE_USER")})
    held = target(before, variable("DB_PASSWORD"), variable("CACHE_USER"))
    (step,) = of(decide(facts(held, secrets={DB: None}), PRUNING), Prune)
    assert step.reason == f"{CACHE.address} gives it no more"


def test_since_when_a_target_has_a_version_is_kept_as_long_as_it_is_that_version() -> None:
    day, today = date(2026, 1, 2), NOW.date()
    old, none = found("db", Version(1, "c1")), found("db", None)
    for before, now, since in ((DB, DB, day), (old, DB, today), (none, none, today), (None, DB, today)):
        synced = {DB.address: entry(before, "DB_PASSWORD")._replace(since=day)} if before else {}
        held = target(remembered(synced), variable("DB_PASSWORD", uuid="{other}"))
        content = Content({"password": LONG}, now.version)
        (remember,) = of(decide(facts(held, secrets={now: content}), POLICY), Remember)
        assert remember.remembers.groups[ALL.text].entries[DB.address].since == since


def test_what_is_pruned_makes_room_and_what_stands_beside_a_change_counts() -> None:
    value = {"key": "v" * 20_000}
    full = variable("CACHE_URL", "x" * 100_000, secured=False)
    held = replace(LEFT, variables={**LEFT.variables, "CACHE_URL": full})
    new = found("db", Version(3, "c3"))
    assert of(decide(facts(held, secrets={new: Content(value, new.version)}), PRUNING), Write)
    there = replace(KEPT, variables={**KEPT.variables, "O": variable("O", "x" * 60_000, secured=False)}, target=SHOP)
    beside = target(None, variable("O", "x" * 60_000, secured=False), name="b", named=STAGE)
    (problem,) = refused(facts(there, beside, secrets={DB: read(password=LONG)}))
    assert problem.startswith("a and b: all variables that a step sees together")


def test_too_many_of_one_selector_are_not_pruned_however_much_else_the_target_has() -> None:
    names = [f"CACHE_{number}" for number in range(7)]
    own, other = named_by("secret/ci/cache * | CACHE_; secret/x/** *")
    many = [f"X_{number}" for number in range(90)]
    stamp = stamp_of(replace(DB, selector=other), ORIGIN, POLICY)
    uuids = {name: uuid_digest(f"{{{name}}}") for name in (*names, *many)}
    groups = {
        own.text: Group(origin_digest(ORIGIN), {
            CACHE.address: SyncedSecret(MARK, {name: uuids[name] for name in names}),
        }),
        other.text: Group(origin_digest(ORIGIN), {
            DB.address: SyncedSecret(stamp, {name: uuids[name] for name in many}),
        }),
    }  # fmt: skip
    held = target(LastSync("run", groups), *map(variable, (*names, *many)))
    cache = alone("cache", own)
    seen = facts(held, secrets={cache: Content({"new": LONG}, Version(3, "c3")), replace(DB, selector=other): None})
    plan = decide(seen, PRUNING)
    assert (of(plan, Prune), plan.unmet) == ([], True)
    assert any("7 of 8 of “secret/ci/cache * | CACHE_” would go" in line for line in told(plan))


def test_a_key_in_a_whole_folder_that_no_secret_there_has_is_missing() -> None:
    (folder,), (wild,) = named_by("secret/ci/** word"), named_by("secret/x/** *")
    db, cache, other = (found(name, selector=each) for name, each in (("db", folder), ("cache", folder), ("x", wild)))
    lacking = {db: read(user=LONG), cache: read(url=LONG), other: read(url=LONG)}
    said = "SECRETS: “secret/ci/** word”: 2 secrets there, none with a key word. "
    (problem,) = refused(facts(target(), secrets=lacking))
    assert problem.startswith(said)
    assert "! secret/ci/** word: 2 secrets there, none with a key word" in told(
        decide(facts(target(), secrets=lacking), KEEPING)
    )
    denied = Denied("No.", "Check.")
    assert decide(facts(target(), secrets={**lacking, cache: read(word=LONG)}), POLICY)
    looked = (SelectorResult(folder, (db,), {"secret/ci/y": denied}), SelectorResult(wild, (other,)))
    some = replace(facts(target(), secrets={db: read(user=LONG), other: read(url=LONG)}), looked=looked)
    assert decide(some, POLICY), "what could not be looked at may have it"
    elsewhere = (SelectorResult(folder, (db,)), SelectorResult(wild, (other,), {"secret/x/y": denied}))
    assert refused(replace(some, looked=elsewhere))[0].startswith("SECRETS: “secret/ci/** word”: 1 secret there, none")


def test_names_and_empty_values_are_refused_where_they_are_named_and_told_under_a_wildcard() -> None:
    (wild,), (own,) = named_by("secret/ci/db *"), named_by("secret/ci/db password")
    assert "the name PATH is reserved by" in refused(facts(target(), secrets={alone("db", wild): read(path=LONG)}))[0]
    assert "the value is empty, and" in refused(facts(target(), secrets={alone("db", own): read(password="")}))[0]
    plan = decide(facts(target(), secrets={alone("db", wild): read(password="", user=LONG)}), POLICY)
    assert told(plan) == ["! PASSWORD: secret/ci/db password: the value is empty; it is left out"]
    (one,), (other,) = named_by("secret/ci/db key | Token"), named_by("secret/ci/cache key | TOKEN")
    plan = decide(
        facts(target(), secrets={alone("db", one): read(key=LONG), alone("cache", other): read(key=LONG)}), POLICY
    )
    assert told(plan) == ["! names: Token and TOKEN differ only by case"]


@pytest.mark.parametrize("own", ["secret/ci/other home", "secret/ci/other word | HOME", "home"])
def test_a_selector_that_names_it_in_any_way_brings_a_name_that_programs_obey(own: str) -> None:
    (wild,), (selector,) = (
        named_by("secret/ci/db *"),
        read_selectors(own, "vault" if " " in own else "secretsmanager")[0],
    )
    named = replace(alone("other", selector), address=selector.path)
    contents = {alone("db", wild): read(home="/evil"), named: replace(read(home=LONG, word=LONG), whole=LONG)}
    plan = decide(facts(target(), secrets=contents), POLICY)
    assert ([write.name for write in of(plan, Write)], plan.unmet) == (["HOME"], False)


def test_a_plain_text_is_all_that_a_selector_of_all_keys_means_and_has_no_others() -> None:
    (wild,), (own,) = named_by("secret/ci/db *"), named_by("secret/ci/db word")
    text = Content({}, SECOND, whole=LONG, plain=True)
    (write,) = of(decide(facts(target(), secrets={alone("db", wild): text}), POLICY), Write)
    assert (write.name, write.text.reveal()) == ("SECRET_CI_DB", LONG)
    assert "has no keys" in refused(facts(target(), secrets={alone("db", own): text}))[0]
    both = Content({"word": LONG}, SECOND, whole=json.dumps({"word": LONG}))
    (write,) = of(decide(facts(target(), secrets={alone("db", own): both}), POLICY), Write)
    assert (write.name, write.text.reveal()) == ("WORD", LONG)
