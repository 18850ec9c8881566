"""Decides what a pull does: what is written to each target, deleted there and remembered; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from pipe.errors import Refused
from pipe.jobs.pull.memory import (
    FORMER,
    UNKNOWN,
    Group,
    SyncedSecret,
    TargetState,
    origin_digest,
    uuid_digest,
    with_last_sync,
)
from pipe.jobs.pull.observe import World, is_current, whats_wrong
from pipe.jobs.pull.resolve import ResolvedSecret, ResolvedVariable, resolve
from pipe.jobs.pull.steps import Prune, PullPlan, Remember, Write
from pipe.plan import Do, Step
from pipe.sources.inventory import Inventory, count, named, why_kept
from pipe.sources.source import Looked
from pipe.values import Pull

# After so many writes the targets remember what has been done, so that a run that ends early is not done again.
BATCH = 400

# Characters: what a variable, and all variables of a target together, may have. Bitbucket's own limit is 120,000.
LARGEST_STATE = 32 * 1024
LARGEST_TARGET = 110_000

# Bitbucket allows a thousand requests an hour.
MANY = 800


def decide(world: World, policy: Pull) -> PullPlan:
    """Return the plan; raises Refused with every value, name and secret that is not as it must be."""
    inventory, resolved = resolve(world, policy)
    plans = [_TargetPlan(target, world, policy, inventory, resolved) for target in world.targets]
    problems = [*inventory.problems, *(problem for each in plans for problem in each.too_large())]
    if problems:
        raise Refused(problems)
    steps = [*inventory.told, *(step for each in plans for step in each.kept), *_batches(plans)]
    writes = sum(step.do is Do.WRITE for step in steps)
    if writes > MANY:
        what = "variables are to be written, and it takes a thousand requests an hour; the next runs do the rest"
        steps.insert(0, Step(Do.KEEP, "Bitbucket", f"{writes} {what}", warn=True))
    return PullPlan(tuple(steps), failures=world.failures)


class _TargetPlan:
    """What is decided about one target: what is written, pruned and kept there, and what it shall remember."""

    def __init__(
        self, target: TargetState, world: World, policy: Pull, inventory: Inventory, resolved: list[ResolvedSecret]
    ) -> None:
        self.target = target
        self.kept: list[Step] = []
        self._world = world
        self._policy = policy
        self._inventory = inventory
        self._origin = origin_digest(world.origin)
        self._wanted = frozenset(name for each in resolved for name in each.names(target))
        self._unchanged = 0
        # One key may come by several selectors, and is written once.
        self._writes: dict[str, Write] = {}
        self._prunes: dict[str, Prune] = {}
        # What the selectors of other runs brought stays; a variable that this run brings is this run's.
        selected = {looked.selector.text: looked for looked in world.looked}
        groups = {
            text: replace(group, entries=_without(group.entries, self._wanted))
            for text, group in target.last_sync.groups.items()
            if text not in selected
        }
        brought: dict[str, dict[str, SyncedSecret]] = {text: {} for text in selected}
        for each in resolved:
            entry = self._sync(each)
            if entry is not None:
                brought[each.found.selector.text][each.found.address] = entry
        for text, looked in selected.items():
            self._settle_orphans(looked, brought[text])
        for text, entries in brought.items():
            groups[text] = Group(self._origin, _without(entries, self._prunes))
        if self._unchanged:
            self._keep(f"{count(self._unchanged, 'variable')} unchanged")
        self._tell_of_others(selected)
        groups = {text: group for text, group in groups.items() if group.entries}
        self.remembers = replace(target.last_sync, groups=groups, readable=True)

    @property
    def steps(self) -> list[Step]:
        """The steps that act, but for the one that remembers."""
        return [*self._writes.values(), *self._prunes.values()]

    @property
    def remembering(self) -> Remember:
        """The step that has the target remember."""
        place, reason = self.target.place, "which version of which secret it has"
        return Remember(on=place.label, reason=reason, place=place, remembers=self.remembers)

    @property
    def is_news(self) -> bool:
        """Whether a target without any write has something to remember all the same."""
        target = self.target
        if target.state is not None and (target.state.secured or not target.last_sync.readable):
            return True
        if target.state is None and not self.remembers.groups:
            return False
        return with_last_sync(None, target.last_sync) != with_last_sync(None, self.remembers)

    def too_large(self) -> Iterator[str]:
        """Yield why a target could not hold what it is to hold; sizes are those of names and of what is written."""
        target, label = self.target, self.target.place.label
        state = len(with_last_sync(target.state.value if target.state else None, self.remembers))
        if state > LARGEST_STATE:
            yield (
                f"{label}: what {self._policy.state_variable} has to remember takes {state} characters, and a variable "
                f"may have {LARGEST_STATE}. Spread the secrets over several targets, or give them fewer keys."
            )
        sizes = {name: len(name) + len(variable.value or "") for name, variable in target.variables.items()}
        sizes |= {name: len(name) + len(step.text.reveal()) for name, step in self._writes.items()}
        total = sum(sizes.values()) + state
        if total > LARGEST_TARGET:
            largest = sorted(sizes, key=lambda name: sizes[name], reverse=True)[:5]
            yield (
                f"{label}: all variables together would have {total} characters, and Bitbucket takes 120,000. "
                f"The largest are {', '.join(largest)}."
            )

    def _keep(self, reason: str, on: str = "", *, warn: bool = False) -> None:
        label = self.target.place.label
        self.kept.append(Step(Do.KEEP, f"{label}: {on}" if on else label, reason, place=self.target.place, warn=warn))

    def _sync(self, secret: ResolvedSecret) -> SyncedSecret | None:
        """Plan the writes of a live secret; return what is remembered of it, as it is once all is written."""
        target, found = self.target, secret.found
        entry = target.last_sync.entry(found.selector.text, found.address)
        if entry is not None and is_current(target, found, self._world.origin, self._policy):
            self._unchanged += len(entry.names)
            return entry
        if secret.variables is None:
            self.kept.append(Step(Do.KEEP, found.address, f"{found.engine}: read anew by each run, but by no dry one"))
            return entry
        names = {}
        for variable in secret.variables:
            known = target.variables.get(variable.name)
            why = self._why(secret, variable, entry)
            if why:
                self._writes[variable.name] = self._write(secret, variable, why)
            else:
                self._unchanged += 1
            names[variable.name] = UNKNOWN if why or known is None else uuid_digest(known.uuid)
        return SyncedSecret(secret.stamp, names)

    def _why(self, secret: ResolvedSecret, variable: ResolvedVariable, entry: SyncedSecret | None) -> str:
        """Return why a variable has to be written; empty where it need not be."""
        known = self.target.variables.get(variable.name)
        version = secret.version.name if secret.version else ""
        if self._policy.force:
            return "FORCE"
        if not self.target.last_sync.readable:
            return "what was written before cannot be told"
        same_text = known is not None and known.value is not None and known.value == variable.text.reveal()
        if same_text and not self._policy.secured and entry is not None:
            return ""
        if not secret.stamp:
            return secret.lease or f"{secret.found.engine} has no versions"
        if entry is None:
            return f"{version} is new here"
        if entry.stamp == secret.stamp:
            return whats_wrong(self.target, variable.name, entry, self._policy)
        return f"{version} is newer" if entry.stamp else "was not finished by the last run"

    def _write(self, secret: ResolvedSecret, variable: ResolvedVariable, why: str) -> Write:
        known, place = self.target.variables.get(variable.name), self.target.place
        return Write(
            on=f"{place.label}: {variable.name}",
            reason=f"{secret.found.address}: {why}{'; as base64' if variable.encoded else ''}",
            warn=bool(self._policy.secured and known is not None and not known.secured),
            place=place,
            name=variable.name,
            text=variable.text,
            source=secret.found.address,
            known=known,
        )

    def _settle_orphans(self, looked: Looked, entries: dict[str, SyncedSecret]) -> None:
        """Keep what could not be looked at, and prune, or keep and name, what a selector brings no more.

        What came from another origin is nobody's to delete.
        """
        text, brought, orphaned = looked.selector.text, frozenset(entries), dict[str, str]()
        group = self.target.last_sync.groups.get(text)
        for address, entry in group.entries.items() if group and group.origin == self._origin else ():
            plain = address.removeprefix(FORMER)
            if looked.problem is not None or (text, plain) in self._inventory.unknown:
                entries.setdefault(address, entry)
                continue
            owned = self.target.owned
            left = {name: digest for name, digest in entry.names.items() if name in owned and name not in self._wanted}
            if left:
                given = address in brought or plain != address
                state = self._inventory.deleted.get((text, plain), "not there any more")
                orphaned |= dict.fromkeys(left, f"{plain} gives it no more" if given else f"{plain} is {state}")
                key = FORMER + address if address in brought else address
                before = entries.get(key)
                entries[key] = SyncedSecret(entry.stamp, {**(before.names if before else {}), **left})
        if orphaned:
            self._prune(looked, orphaned, len({name for entry in entries.values() for name in entry.names}))

    def _prune(self, looked: Looked, orphaned: Mapping[str, str], owned: int) -> None:
        """Delete what is orphaned, or keep and name it; each with what became of its secret."""
        kept = why_kept(looked, len(orphaned), owned, prune=self._policy.prune)
        if kept:
            first, *others = orphaned.values()
            self._keep(f"{first}{', and the like' if others else ''}; {kept}", named(list(orphaned)), warn=True)
            return
        place = self.target.place
        for name, why in orphaned.items():
            on, known = f"{place.label}: {name}", self.target.variables[name]
            self._prunes[name] = Prune(on=on, reason=why, place=place, name=name, known=known)

    def _tell_of_others(self, selected: Collection[str]) -> None:
        for text, group in self.target.last_sync.groups.items():
            if self._policy.prune and text not in selected:
                names = sum(len(entry.names) for entry in group.entries.values())
                self._keep(f"{count(names, 'variable')} of “{text}”, which is not among SECRETS")


def _without(entries: Mapping[str, SyncedSecret], names: Collection[str]) -> dict[str, SyncedSecret]:
    """Return entries without some names; one that had some of them and now has none goes."""
    kept = {}
    for address, entry in entries.items():
        left = {name: digest for name, digest in entry.names.items() if name not in names}
        if left or not entry.names:
            kept[address] = replace(entry, names=left)
    return kept


def _batches(plans: list[_TargetPlan]) -> Iterator[Step]:
    """Yield every step that acts; after each batch, and at the end, its targets remember what was done."""
    acting = [(each, step) for each in plans for step in each.steps]
    remembered: set[_TargetPlan] = set()
    for start in range(0, len(acting), BATCH):
        batch = acting[start : start + BATCH]
        yield from (step for _, step in batch)
        touched = dict.fromkeys(each for each, _ in batch)
        yield from (each.remembering for each in touched)
        remembered |= touched.keys()
    yield from (each.remembering for each in plans if each not in remembered and each.is_news)
