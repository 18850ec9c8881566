"""Decides what a replication does; pure."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from pipe.errors import Problem, Refused
from pipe.jobs.replicate.identity import (
    CURRENT,
    OURS,
    OWNER,
    SOURCE,
    holds_keys,
    is_current,
    is_ours,
    next_id,
    of_origin,
    owner,
    source_tag,
    staged,
    tags_of,
)
from pipe.jobs.replicate.observe import Wanted, World, wanted_of
from pipe.jobs.replicate.steps import Copy, Prune, PutBack, ReplicaPlan, Tag
from pipe.plan import Do, Step
from pipe.redact import Secret
from pipe.secrets import Engine, Material
from pipe.sources.inventory import Inventory, named, take_inventory, why_kept
from pipe.sources.source import Looked
from pipe.values import Described, Replication

# Bytes that Secrets Manager takes, in UTF-8, and what it takes in a name.
LARGEST = 65_536
_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")

# Steps of one kind run side by side, so that they stand together.
_ORDER = (Do.KEEP, Do.WRITE, Do.RESTORE, Do.PUT_BACK, Do.TAG, Do.PRUNE)


def decide(world: World, policy: Replication) -> ReplicaPlan:
    """Return the plan; raises Refused with every secret that cannot have a replica as it is."""
    inventory = take_inventory(world, fail_on_missing=policy.fail_on_missing)
    wanted = list(wanted_of(world, inventory, policy))
    inventory.problems[:0] = _collisions(wanted)
    planned = {each.name: _steps_of(inventory, world, policy, each) for each in wanted}
    kept = {name for name, steps in planned.items() if steps is not None}
    orphaned = [step for looked in world.looked for step in _orphaned(world, policy, looked, kept)]
    if inventory.problems:
        raise Refused(inventory.problems)
    steps = [step for some in planned.values() for step in some or ()]
    acting = [*(step for step in steps if step.acts), *orphaned, *_of_other_selectors(world, kept)]
    unchanged = len([step for step in steps if not step.acts])
    told = [Step(Do.KEEP, "Secrets Manager", f"{unchanged} unchanged")] if unchanged else []
    ordered = sorted(acting, key=lambda step: _ORDER.index(step.do))
    return ReplicaPlan((*inventory.told, *told, *ordered), failures=world.failures)


def step_for(wanted: Wanted, replica: Described | None, world: World, policy: Replication, body: Secret) -> Copy | None:
    """Return how a secret's body gets into a replica as it is; None where it is there. Raises Refused."""
    if replica is None:
        return _copy(world, wanted, "is new there", body, wanted.token, seen=None)
    problem = _why_foreign(wanted, replica, world, policy)
    if problem:
        raise Refused([problem])
    current = replica.version(CURRENT)
    right = is_current(replica, wanted.token) and not policy.force
    if replica.deleted:
        reason, version = "waits for its deletion, and is restored", next_id(replica, wanted.token)
        return _copy(world, wanted, reason, None if right else body, version, seen=replica)
    if right:
        return None
    why = "FORCE" if policy.force else f"{wanted.version.name} is newer" if wanted.version else "has no versions"
    if not is_ours(replica):
        why = "it is taken over"
    elif current is not None and not current.startswith(OURS):
        why = "somebody has written another value there"
    return _copy(world, wanted, why, body, next_id(replica, wanted.token), seen=replica)


def _steps_of(inventory: Inventory, world: World, policy: Replication, wanted: Wanted) -> Sequence[Step] | None:
    """Return what is done for one secret; None where nothing of it is there that a replica could hold.

    A step that does not act says that the replica is unchanged.
    """
    found, replica = wanted.found, world.replicas.get(wanted.name)
    problem = _problem(wanted, replica, world, policy)
    if problem:
        inventory.problems.append(problem)
        return ()
    material = world.materials.get(found.address)
    if material is None:
        return _unwritten(world, wanted, replica)
    body, missing = _body(wanted, material)
    if len(body.reveal().encode()) > LARGEST:
        inventory.problems.append(f"{found.address}: it has more than 64 KiB, too much for Secrets Manager.")
        return ()
    for key in missing if not found.selector.recursive else ():
        inventory.missing(found.selector, f"the secret has no key {key}")
    if missing and len(missing) == len(wanted.keys):
        return None
    step = step_for(wanted, replica, world, policy, body)
    return _unwritten(world, wanted, replica) if step is None else (step,)


def _problem(wanted: Wanted, replica: Described | None, world: World, policy: Replication) -> Problem | str:
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
    return _why_foreign(wanted, replica, world, policy) if replica else ""


def _why_foreign(wanted: Wanted, replica: Described, world: World, policy: Replication) -> str:
    """Return why a secret that is there must not be written; empty where it is owned, or may be taken over."""
    if holds_keys(replica):
        return (
            f"{wanted.found.address}: {wanted.name} holds the keys that a rotation keeps there. "
            "Choose another AWS_SECRET_PREFIX."
        )
    if policy.adopt or of_origin(replica, world.origin):
        return ""
    whose = "is the replica of another Vault" if is_ours(replica) else "is there already, and not made by Keyturn"
    return f"{wanted.found.address}: {wanted.name} {whose}. Choose another AWS_SECRET_PREFIX, or set ADOPT: true."


def _unwritten(world: World, wanted: Wanted, replica: Described | None) -> Sequence[Step]:
    """Return what is done where no value is written: nothing, or only stages or tags are not right."""
    right = staged(replica, wanted.token) if replica else None
    if replica is None or right is None:
        return ()
    if replica.deleted:
        return (_copy(world, wanted, "waits for its deletion, and is restored", None, right, seen=replica),)
    steps: list[Step] = []
    if not is_current(replica, wanted.token):
        reason = "another version is current there, and the right one is put back"
        away_from = replica.version(CURRENT) or ""
        steps.append(PutBack(on=wanted.name, reason=reason, wanted=wanted, to=right, away_from=away_from))
    tags = tags_of(wanted.found, wanted.version, world.origin)
    if not tags.items() <= replica.tags.items():
        steps.append(Tag(on=wanted.name, reason="its tags are not those of its version", tags=tags))
    return steps or (Step(Do.KEEP, wanted.name, "unchanged"),)


def _copy(
    world: World, wanted: Wanted, reason: str, body: Secret | None, version: str, *, seen: Described | None
) -> Copy:
    return Copy(
        do=Do.RESTORE if seen is not None and seen.deleted else Do.WRITE,
        on=wanted.name, reason=f"{wanted.found.address}: {reason}", wanted=wanted, body=body, version=version,
        tags=tags_of(wanted.found, wanted.version, world.origin), seen=seen,
    )  # fmt: skip


def _body(wanted: Wanted, material: Material) -> tuple[Secret, list[str]]:
    """Return what a replica holds, the secret's keys as one JSON object, and which named keys are not there."""
    values = material.values or {}
    keys = wanted.keys or tuple(values)
    chosen = {key: values[key] for key in keys if key in values}
    text = json.dumps(chosen, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return Secret(text), [key for key in keys if key not in values]


def _orphaned(world: World, policy: Replication, looked: Looked, kept: set[str]) -> Iterator[Step]:
    """Yield what becomes of the replicas that a selector brought before and does not any more."""
    owned = _tags_of_owned(world, owner(world.origin, looked.selector.text))
    unknown = {source_tag(address) for address in (*looked.failed, *world.unread)}
    orphaned = [name for name, tags in owned.items() if name not in kept and tags.get(SOURCE) not in unknown]
    if not orphaned or (looked.problem is not None and not policy.prune):
        return
    why = why_kept(looked, len(orphaned), len(owned), prune=policy.prune)
    if why:
        yield Step(Do.KEEP, named(orphaned), f"the source is not there any more; {why}", warn=True)
        return
    for name in orphaned:
        reason = f"the source is not there any more; it can be restored for {policy.window} days"
        yield Prune(on=name, reason=reason)


def _of_other_selectors(world: World, kept: set[str]) -> Iterator[Step]:
    """Yield the replicas of this source that no selector of this run has brought; they are kept."""
    selected = {owner(world.origin, looked.selector.text) for looked in world.looked}
    owned = _tags_of_owned(world, owner(world.origin))
    others = [name for name, tags in owned.items() if tags[OWNER] not in selected and name not in kept]
    if others:
        yield Step(Do.KEEP, named(others), "kept: brought by a selector that is not among SECRETS", warn=True)


def _tags_of_owned(world: World, beginning: str) -> dict[str, Mapping[str, str]]:
    """Return the tags of the living replicas whose owner begins so, by name."""
    living = {name: replica.tags for name, replica in world.replicas.items() if not replica.deleted}
    return {name: tags for name, tags in living.items() if tags.get(OWNER, "").startswith(beginning)}


def _collisions(wanted: list[Wanted]) -> list[str]:
    sources: dict[str, list[str]] = defaultdict(list)
    for each in wanted:
        sources[each.name].append(each.found.address)
    return [
        f"{name} would be the replica of {len(addresses)} secrets: {'; '.join(addresses)}."
        for name, addresses in sources.items()
        if len(addresses) > 1
    ]
