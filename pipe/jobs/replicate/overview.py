"""The replicas in Secrets Manager, as people are shown them; pure."""

from __future__ import annotations

from collections.abc import Iterator

from pipe.jobs.replicate.identity import CURRENT, OURS, SOURCE, VERSION, is_current, mark_in, of_origin
from pipe.jobs.replicate.observe import ReplicationFacts, wanted_of
from pipe.jobs.replicate.steps import Copy, Prune, PutBack, ReplicaOutcome
from pipe.overview import Held, Overview, Store
from pipe.secrets import Described
from pipe.sources.inventory import take_inventory
from pipe.values import Replication

LABEL = "Secrets Manager"


def overview(facts: ReplicationFacts, policy: Replication, outcome: ReplicaOutcome | None) -> Overview:
    """Return how the replicas are after a run, or after one that was only shown."""
    done = outcome.done if outcome else ()
    right = {step.on: step.wanted.version for step in done if isinstance(step, Copy | PutBack)}
    gone = {step.on for step in done if isinstance(step, Prune)}
    today = facts.now.date()
    held = []
    for each in _held(facts, policy):
        version = right.get(each.name)
        if each.name in right:
            each = each._replace(  # noqa: PLW2901 - the same replica, as it is by now
                version=version.short if version else each.version, since=today, by_hand="",
                source="up to date", behind=False, needs_person=False,
            )  # fmt: skip
        if each.name not in gone:
            held.append(each)
    return Overview(stores=(Store(LABEL, tuple(held)),))


def _held(facts: ReplicationFacts, policy: Replication) -> Iterator[Held]:
    inventory = take_inventory(facts)
    wanted = {each.name: each for each in wanted_of(facts, inventory, policy)}
    for name, each in sorted(wanted.items()):
        replica = facts.replicas.get(name)
        now = each.version.name if each.version else "no versions"
        if replica is None:
            yield Held(name, each.found.address, source=f"there is no replica yet; the source has {now}", behind=True)
            continue
        current = is_current(replica, each.token)
        by_hand = _by_hand(replica)
        source = "up to date" if current else f"the source has {now}"
        behind = not current and each.version is not None
        yield _one(name, each.found.address, replica, by_hand, source, behind=behind, person=bool(by_hand))
    unknown = {address for _, address in inventory.unknown}
    for name, replica in sorted(facts.replicas.items()):
        address = replica.tags.get(SOURCE, "")
        if name in wanted or not of_origin(replica, facts.origin) or replica.deleted:
            continue
        seen = address not in unknown and all(looked.problem is None for looked in facts.looked)
        source = "no selector of this run brings it, or its source is gone" if seen else "it could not be asked for"
        person = seen and policy.fail_on_missing
        yield _one(name, address, replica, _by_hand(replica), source, behind=seen, person=person)


def _one(name: str, address: str, replica: Described, by_hand: str, source: str, *, behind: bool, person: bool) -> Held:
    version = replica.tags.get(VERSION, "")
    since = replica.changed.date() if replica.changed else None
    return Held(name, address, version if version != "none" else "", since, by_hand, source, behind, person)


def _by_hand(replica: Described) -> str:
    """Return what somebody has done to a replica."""
    if replica.deleted:
        return "somebody has deleted it; it can still be restored"
    if not mark_in(replica):
        return "it is not made by Keyturn"
    return "" if (replica.version(CURRENT) or "").startswith(OURS) else "somebody has written another value there"
