"""Decides what a replication does; pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from pipe.errors import Problem, Refused
from pipe.jobs.prune import Orphaned, guarded, is_refused, may_go, not_deleted, why_kept
from pipe.jobs.replicate.identity import (
    CURRENT,
    OURS,
    OWNER,
    SOURCE,
    holds_keys,
    is_current,
    mark_in,
    mark_of,
    next_id,
    of_origin,
    owner,
    source_tag,
    staged,
    tags_of,
)
from pipe.jobs.replicate.observe import ReplicationFacts, Wanted, name_of, wanted_of
from pipe.jobs.replicate.steps import Copy, Prune, PutBack, ReplicaPlan, Tag
from pipe.plan import Do, Step
from pipe.redact import Secret
from pipe.secrets import Content, Described, Engine, as_json
from pipe.selectors import Selector, covers
from pipe.sources.inventory import Inventory, no_key, take_inventory
from pipe.values import Replication, count, named

# Bytes that Secrets Manager takes, in UTF-8, and what it takes in a name.
LARGEST = 65_536
_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")

# Steps of one kind run side by side, so that they stand together.
_ORDER = (Do.KEEP, Do.WARN, Do.WRITE, Do.RESTORE, Do.PUT_BACK, Do.TAG, Do.PRUNE)


def decide(facts: ReplicationFacts, policy: Replication) -> ReplicaPlan:
    """Return the plan; raises Refused with every secret that cannot have a replica as it is."""
    inventory = take_inventory(facts, fail_on_missing=policy.fail_on_missing)
    wanted = list(wanted_of(facts, inventory, policy))
    inventory.problems = [*_collisions(wanted), *inventory.problems]
    planned = {each.name: _steps_of(inventory, facts, policy, each) for each in wanted}
    kept = {name for name, steps in planned.items() if steps is not None}
    for looked in facts.looked:
        selector, names = looked.selector, [name_of(found, policy) for found in looked.found]
        if selector.recursive and names and all(planned.get(name, ()) is None for name in names):
            inventory.missing(selector, f"{count(len(names), 'secret')} there, none with a key {selector.key}")
    if inventory.problems:
        raise Refused(inventory.problems)
    steps = [step for some in planned.values() for step in some or ()]
    acting = [*(step for step in steps if step.acts), *_orphans(facts, policy, kept)]
    unchanged = len([step for step in steps if not step.acts])
    told = [Step(Do.KEEP, "Secrets Manager", f"{unchanged} unchanged")] if unchanged else []
    ordered = sorted(acting, key=lambda step: _ORDER.index(step.do))
    steps = [*inventory.told, *told, *ordered]
    return ReplicaPlan(tuple(steps), failures=facts.failures, unmet=any(step.unmet for step in steps))


def step_for(
    wanted: Wanted, replica: Described | None, facts: ReplicationFacts, policy: Replication, body: Secret
) -> Copy | None:
    """Return how a secret's body gets into a replica as it is; None where it is there. Raises Refused."""
    if replica is None:
        return _copy(facts, wanted, "is new there", body, wanted.token, seen=None)
    problem = _why_foreign(wanted, replica, facts, policy)
    if problem:
        raise Refused([problem])
    current = replica.version(CURRENT)
    right = is_current(replica, wanted.token) and not policy.force
    if replica.deleted:
        reason, version = "waits for its deletion, and is restored", next_id(replica, wanted.token)
        return _copy(facts, wanted, reason, None if right else body, version, seen=replica)
    if right:
        return None
    why = "FORCE" if policy.force else f"{wanted.version.name} is newer" if wanted.version else "has no versions"
    if mark_in(replica) != mark_of(source_tag(wanted.found.address), facts.origin):
        why = "it is taken over"
    elif current is not None and not current.startswith(OURS):
        why = "somebody has written another value there"
    return _copy(facts, wanted, why, body, next_id(replica, wanted.token), seen=replica)


def _steps_of(
    inventory: Inventory, facts: ReplicationFacts, policy: Replication, wanted: Wanted
) -> Sequence[Step] | None:
    """Return what is done for one secret; None where nothing of it is there that a replica could hold.

    A step that does not act says that the replica is unchanged.
    """
    found, replica = wanted.found, facts.replicas.get(wanted.name)
    problem = _problem(wanted, replica, facts, policy)
    if problem:
        inventory.problems.append(problem)
        return ()
    content = facts.contents.get(found.address)
    if content is None:
        return _unwritten(facts, wanted, replica)
    body, missing = _body(wanted, content)
    if len(body.reveal().encode()) > LARGEST:
        inventory.problems.append(f"{found.address}: it has more than 64 KiB, too much for Secrets Manager.")
        return ()
    for each in facts.found:
        if each.address == found.address and each.selector.key in missing and not each.selector.recursive:
            inventory.missing(each.selector, no_key(each.selector.key, content.values or {}))
    if missing and len(missing) == len(wanted.keys):
        return None
    step = step_for(wanted, replica, facts, policy, body)
    return _unwritten(facts, wanted, replica) if step is None else (step,)


def _problem(wanted: Wanted, replica: Described | None, facts: ReplicationFacts, policy: Replication) -> Problem | str:
    """Return why a secret cannot have a replica; empty where it can."""
    found = wanted.found
    if not _NAME.fullmatch(wanted.name):
        return (
            f"{found.address} would be replicated to {wanted.name}, but Secrets Manager takes letters of ASCII, digits "
            "and /_+=.@- in a name, at most 512."
        )
    if found.engine is Engine.OTHER:
        what = f"“{found.selector.text}”: dynamic secrets are made anew by each reading; they have no replicas"
        return Problem("SECRETS", what)
    return _why_foreign(wanted, replica, facts, policy) if replica else ""


def _why_foreign(wanted: Wanted, replica: Described, facts: ReplicationFacts, policy: Replication) -> str:
    """Return why a secret that is there must not be written; empty where it is owned, or may be taken over.

    It is owned by the id of its version. Tags prove nothing, but those of another secret's replica refuse.
    """
    address = wanted.found.address
    if holds_keys(replica):
        return f"{address}: {wanted.name} holds the keys that a rotation keeps there. Choose another AWS_SECRET_PREFIX."
    if policy.adopt:
        return ""
    mark, source = mark_in(replica), replica.tags.get(SOURCE, source_tag(address))
    if not mark:
        whose = "is there already, and not made by Keyturn"
        if OWNER in replica.tags:
            whose += ": it has the tags of a replica, but neither its current version nor the one before is Keyturn's"
    elif OWNER in replica.tags and not of_origin(replica, facts.origin):
        whose = "is the replica of another Vault"
    elif source != source_tag(address) or mark != mark_of(source, facts.origin):
        whose = f"is the replica of {source}" if source != source_tag(address) else "is the replica of another secret"
    else:
        return ""
    return f"{address}: {wanted.name} {whose}. Choose another AWS_SECRET_PREFIX, or set ADOPT: true."


def _unwritten(facts: ReplicationFacts, wanted: Wanted, replica: Described | None) -> Sequence[Step]:
    """Return what is done where no value is written: nothing, or only stages or tags are not right."""
    right = staged(replica, wanted.token) if replica else None
    if replica is None or right is None:
        return ()
    if replica.deleted:
        return (_copy(facts, wanted, "waits for its deletion, and is restored", None, right, seen=replica),)
    steps: list[Step] = []
    if not is_current(replica, wanted.token):
        reason = "another version is current there, and the right one is put back"
        away_from = replica.version(CURRENT) or ""
        steps.append(PutBack(on=wanted.name, reason=reason, wanted=wanted, to=right, away_from=away_from))
    tags = tags_of(wanted.found, wanted.version, facts.origin)
    if not tags.items() <= replica.tags.items():
        steps.append(Tag(on=wanted.name, reason="its tags are not those of its version", tags=tags))
    return steps or (Step(Do.KEEP, wanted.name, "unchanged"),)


def _copy(
    facts: ReplicationFacts, wanted: Wanted, reason: str, body: Secret | None, version: str, *, seen: Described | None
) -> Copy:
    return Copy(
        do=Do.RESTORE if seen is not None and seen.deleted else Do.WRITE,
        on=wanted.name, reason=f"{wanted.found.address}: {reason}", wanted=wanted, body=body, version=version,
        tags=tags_of(wanted.found, wanted.version, facts.origin), seen=seen,
    )  # fmt: skip


def _body(wanted: Wanted, content: Content) -> tuple[Secret, list[str]]:
    """Return what a replica holds, the secret's keys as one JSON object, and which named keys are not there."""
    values = content.values or {}
    keys = wanted.keys or tuple(values)
    chosen = {key: values[key] for key in keys if key in values}
    return Secret(as_json(chosen)), [key for key in keys if key not in values]


def _orphans(facts: ReplicationFacts, policy: Replication, kept: set[str]) -> Iterator[Step]:
    """Yield what becomes of the replicas of this Vault that no selector brings any more.

    What could not be looked at stays without a word.
    """
    selected = {owner(facts.origin, looked.selector.text): looked for looked in facts.looked}
    unknown = {source_tag(address) for looked in facts.looked for address in looked.failed}
    unknown |= {source_tag(address) for address in facts.unread}
    owned = _owned(facts)
    gone: dict[str, dict[str, str]] = {each: {} for each in selected}
    others, away = [], []
    for name, tags in owned.items():
        looked = selected.get(tags[OWNER])
        if name in kept:
            continue
        if looked is None:
            others.append(name)
        elif covers((replace(each, path=source_tag(each.path)) for each in looked.without), tags[SOURCE]):
            away.append(name)
        elif tags[SOURCE] not in unknown and _may_be_of(looked.selector, tags[SOURCE]):
            gone[tags[OWNER]][name] = "the source is not there any more"
    counts = Counter(tags[OWNER] for tags in owned.values())
    orphaned = [Orphaned(selected[each], names, counts[each]) for each, names in gone.items() if names]
    going = len(may_go(orphaned, policy))
    too_many = guarded(orphaned, (going, len(owned), "of all replicas"), going, policy)
    held = sum(len(each.names) for each in orphaned if each.looked.selector.text in too_many)
    for each in orphaned:
        many = too_many.get(each.looked.selector.text)
        # What goes in this run is not there any more in the next one.
        why = not_deleted(many, going if facts.dry_run else held) if many else why_kept(each.looked, policy)
        if not why:
            until = f"it can be restored for {policy.window} days"
            yield from (Prune(on=name, reason=f"{gone}; {until}") for name, gone in each.names.items())
        elif each.looked.problem is None or policy.prune:
            said = f"the source is not there any more; {why}"
            yield Step(Do.KEEP, named([*each.names]), said, warn=True, unmet=is_refused(each.looked, policy))
    for names, why in (
        (others, "kept: brought by a selector that is not among SECRETS"),
        (away, "kept: “!” takes its secret away from the wildcard"),
    ):
        if names:
            yield Step(Do.KEEP, named(names), why, warn=True)


def _may_be_of(selector: Selector, source: str) -> bool:
    """Tell whether a selector can have brought a secret; a tag, which others may write, says that it did."""
    paths = {source_tag(path) for path in (selector.path, re.sub(r"/data(/|$)", r"\1", selector.path, count=1))}
    return any(source.startswith(f"{path}/") if selector.recursive else source == path for path in paths)


def _owned(facts: ReplicationFacts) -> dict[str, Mapping[str, str]]:
    """Return the tags of the living replicas of this Vault that are owned by their ids, by name."""
    return {
        name: replica.tags
        for name, replica in facts.replicas.items()
        if of_origin(replica, facts.origin)
        and mark_in(replica) == mark_of(replica.tags.get(SOURCE, ""), facts.origin)
        and not (replica.deleted or holds_keys(replica))
    }


def _collisions(wanted: list[Wanted]) -> list[str]:
    sources: dict[str, list[str]] = defaultdict(list)
    for each in wanted:
        sources[each.name].append(each.found.address)
    return [
        f"{name} would be the replica of {len(addresses)} secrets: {'; '.join(addresses)}."
        for name, addresses in sources.items()
        if len(addresses) > 1
    ]
