"""Decides what a replication does; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pipe.actions.replicate.body import body_of, problem_with_name
from pipe.actions.replicate.identity import (
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
from pipe.actions.replicate.steps import Copy, Prune, PutBack, ReplicaPlan, Tag
from pipe.actions.replicate.world import Wanted, World, wanted_of
from pipe.actions.sources.asking import failures
from pipe.actions.sources.guards import condition, named, refusal
from pipe.actions.sources.source import Looked
from pipe.errors import Problem, Refused
from pipe.material import Engine, State
from pipe.plan import Do, Step
from pipe.redact import Secret
from pipe.values import Described, Replication

# Steps of one kind run side by side, so that they stand together.
_ORDER = (Do.KEEP, Do.WRITE, Do.RESTORE, Do.PUT_BACK, Do.TAG, Do.PRUNE)


@dataclass
class _Thoughts:
    """What the decision is made of while it is made."""

    steps: list[Step] = field(default_factory=list)
    problems: list[Problem | str] = field(default_factory=list)
    # What is said of something by several selectors is said once.
    notes: dict[tuple[str, str], None] = field(default_factory=dict)
    unchanged: int = 0

    def note(self, on: str, reason: str) -> None:
        self.notes[on, reason] = None


def decide(world: World, policy: Replication) -> ReplicaPlan:
    """Return the plan; raises Refused with every secret that cannot have a replica as it is."""
    thoughts = _Thoughts()
    wanted = list(wanted_of(world, policy))
    thoughts.problems += _collisions(wanted)
    for looked in world.looked:
        _look(thoughts, world, policy, looked)
    kept = {each.name for each in wanted if _decide(thoughts, world, policy, each)}
    for looked in world.looked:
        thoughts.steps += _left_over(world, policy, looked, kept)
    if thoughts.problems:
        raise Refused(thoughts.problems)
    steps = [Step(Do.KEEP, on, reason, warn=True) for on, reason in thoughts.notes]
    if thoughts.unchanged:
        steps.append(Step(Do.KEEP, "Secrets Manager", f"{thoughts.unchanged} unchanged"))
    steps += sorted(thoughts.steps, key=lambda step: _ORDER.index(step.do))
    return ReplicaPlan(tuple(steps), failures=tuple(failures(world.looked, world.unread)))


def step_for(wanted: Wanted, replica: Described | None, world: World, policy: Replication, body: Secret) -> Copy | None:
    """Return how a secret's body gets into a replica as it is; None where it is there. Raises Refused."""
    tags = tags_of(wanted.found, wanted.version, world.origin)
    if replica is None:
        return _copy(wanted, "is new there", body, wanted.token, tags, seen=None)
    problem = _not_ours(wanted, replica, world, policy)
    if problem:
        raise Refused([problem])
    current = replica.version(CURRENT)
    right = is_current(replica, wanted.token) and not policy.force
    if replica.deleted:
        reason = "waits for its deletion, and is restored"
        version = next_id(replica, wanted.token)
        return _copy(wanted, reason, None if right else body, version, tags, seen=replica)
    if right:
        return None
    why = "FORCE" if policy.force else f"{wanted.version.name} is newer" if wanted.version else "has no versions"
    if not is_ours(replica):
        why = "it is taken over"
    elif current is not None and not current.startswith(OURS):
        why = "somebody has written another value there"
    return _copy(wanted, why, body, next_id(replica, wanted.token), tags, seen=replica)


def _decide(thoughts: _Thoughts, world: World, policy: Replication, wanted: Wanted) -> bool:
    """Decide about one secret; tell whether there is anything of it that a replica can hold."""
    found, replica = wanted.found, world.replicas.get(wanted.name)
    problem = problem_with_name(wanted.name)
    if problem:
        thoughts.problems.append(f"{found.address} would be replicated to {wanted.name}, but {problem}.")
        return True
    if found.engine is Engine.OTHER:
        what = f"“{found.selector.text}”: dynamic secrets are made anew by each reading; they have no replicas"
        thoughts.problems.append(Problem("SECRETS", what))
        return True
    problem = _not_ours(wanted, replica, world, policy) if replica else ""
    if problem:
        thoughts.problems.append(problem)
        return True
    material = world.materials.get(found.address)
    if material is None:
        _decide_unwritten(thoughts, world, wanted, replica)
        return True
    try:
        body, missing = body_of(wanted, material)
    except ValueError:
        thoughts.problems.append(f"{found.address}: it has more than 64 KiB, too much for Secrets Manager.")
        return True
    for key in missing if not found.selector.recursive else ():
        _missing(thoughts, policy, found.selector.text, f"the secret has no key {key}")
    if missing and len(missing) == len(wanted.keys):
        return False
    step = step_for(wanted, replica, world, policy, body)
    if step is None:
        _decide_unwritten(thoughts, world, wanted, replica)
    else:
        thoughts.steps.append(step)
    return True


def _decide_unwritten(thoughts: _Thoughts, world: World, wanted: Wanted, replica: Described | None) -> None:
    """Decide about a secret that is not written: its replica is right, or only its stages or tags are not."""
    right = staged(replica, wanted.token) if replica else None
    if replica is None or right is None:
        return
    tags = tags_of(wanted.found, wanted.version, world.origin)
    if replica.deleted:
        reason = "waits for its deletion, and is restored"
        thoughts.steps.append(_copy(wanted, reason, None, right, tags, seen=replica))
        return
    well = True
    if not is_current(replica, wanted.token):
        reason = "another version is current there, and the right one is put back"
        away_from = replica.version(CURRENT) or ""
        thoughts.steps.append(PutBack(on=wanted.name, reason=reason, wanted=wanted, to=right, away_from=away_from))
        well = False
    if not tags.items() <= replica.tags.items():
        thoughts.steps.append(Tag(on=wanted.name, reason="its tags are not those of its version", tags=tags))
        well = False
    thoughts.unchanged += well


def _look(thoughts: _Thoughts, world: World, policy: Replication, looked: Looked) -> None:
    """Note what a selector did not find, and what it found that is not live."""
    text = looked.selector.text
    if looked.missing:
        _missing(thoughts, policy, text, looked.missing)
    if looked.warning:
        thoughts.note(text, looked.warning)
    for found in looked.found:
        now = condition(found, world.materials.get(found.address), world.now)
        if now.state is not State.LIVE and not looked.selector.wild:
            _missing(thoughts, policy, text, now.note)
        elif now.note:
            thoughts.note(found.address, now.note)


def _left_over(world: World, policy: Replication, looked: Looked, kept: set[str]) -> Iterator[Step]:
    """Yield what becomes of the replicas that a selector brought before and does not any more."""
    mine = owner(world.origin, looked.selector.text)
    living = {name: replica.tags for name, replica in world.replicas.items() if not replica.deleted}
    brought = {name: tags.get(SOURCE) for name, tags in living.items() if tags.get(OWNER) == mine}
    unsure = {source_tag(address) for address in (*looked.failed, *world.unread)}
    left = [name for name, address in brought.items() if name not in kept and address not in unsure]
    why_not = refusal(looked, len(left), len(brought)) if policy.prune else "set PRUNE: true to delete it"
    if looked.problem is not None and not policy.prune:
        return
    if why_not and left:
        yield Step(Do.KEEP, named(left), f"the source is not there any more; {why_not}", warn=True)
        return
    for name in left:
        reason = f"the source is not there any more; it can be restored for {policy.window} days"
        yield Prune(on=name, reason=reason)


def _copy(
    wanted: Wanted, reason: str, body: Secret | None, version: str, tags: Mapping[str, str], *, seen: Described | None
) -> Copy:
    return Copy(
        do=Do.RESTORE if seen is not None and seen.deleted else Do.WRITE,
        on=wanted.name, reason=f"{wanted.found.address}: {reason}", wanted=wanted, body=body, version=version,
        tags=tags, seen=seen,
    )  # fmt: skip


def _not_ours(wanted: Wanted, replica: Described, world: World, policy: Replication) -> str:
    """Return why a secret that is there must not be written; empty where it may."""
    if holds_keys(replica):
        return (
            f"{wanted.found.address}: {wanted.name} holds the keys that a rotation keeps there. "
            "Choose another AWS_SECRET_PREFIX."
        )
    if policy.adopt or of_origin(replica, world.origin):
        return ""
    whose = "is the replica of another Vault" if is_ours(replica) else "is there already, and not made by Keyturn"
    return f"{wanted.found.address}: {wanted.name} {whose}. Choose another AWS_SECRET_PREFIX, or set ADOPT: true."


def _missing(thoughts: _Thoughts, policy: Replication, selector: str, why: str) -> None:
    if policy.fail_on_missing:
        advice = "Check the path and the policy, or set ON_MISSING: keep."
        thoughts.problems.append(Problem("SECRETS", f"“{selector}”: {why}", advice))
    else:
        thoughts.note(selector, why)


def _collisions(wanted: list[Wanted]) -> list[str]:
    sources: dict[str, list[str]] = defaultdict(list)
    for each in wanted:
        sources[each.name].append(each.found.address)
    return [
        f"{name} would be the replica of {len(addresses)} secrets: {'; '.join(addresses)}."
        for name, addresses in sources.items()
        if len(addresses) > 1
    ]
