"""Decides what a pull does: what is written to each target, deleted there and remembered; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from pipe.errors import Problem, Refused
from pipe.jobs.prune import Orphaned, guarded, is_refused, may_go, not_deleted, why_kept
from pipe.jobs.pull.capacity import Filled, too_large
from pipe.jobs.pull.observe import PullFacts, is_current, whats_wrong
from pipe.jobs.pull.resolve import ResolvedSecret, ResolvedVariable, resolve
from pipe.jobs.pull.state_variable import (
    FORMER,
    UNKNOWN,
    Group,
    SyncedSecret,
    TargetState,
    as_state,
    origin_digest,
    uuid_digest,
    without,
)
from pipe.jobs.pull.steps import Prune, PullPlan, Remember, Write
from pipe.plan import Do, Failure, Step
from pipe.selectors import covers
from pipe.sources.inventory import Inventory
from pipe.sources.source import SelectorResult
from pipe.values import Pull, count, named

# After so many writes, or targets, these remember what has been done, so that a run that ends early is not done again.
BATCH, AT_ONCE = 400, 16

# Bitbucket allows a thousand requests an hour.
MANY = 800


def decide(facts: PullFacts, policy: Pull) -> PullPlan:
    """Return the plan; raises Refused with every value, name and secret that is not as it must be."""
    inventory, resolved = resolve(facts, policy)
    plans = [_TargetPlan(target, facts, policy, inventory, resolved) for target in facts.targets]
    going = sum(len(may_go(each.orphaned, policy)) for each in plans)
    held = sum(each.guard(going) for each in plans)
    for each in plans:
        # What goes in this run is not there any more in the next one.
        each.prune(going if facts.dry_run else held)
    full = too_large([each.filled for each in plans], policy.state_variable)
    refused = {each: why for each, why in zip(plans, full, strict=True) if why}
    problems: list[Problem | str] = [*inventory.problems]
    if len(refused) == len(plans):
        problems += dict.fromkeys(refused.values())
    if problems:
        raise Refused(problems)
    places = {each.target.place: why for each, why in refused.items()}
    failures = [
        Failure(Step(Do.WRITE, place.label, "", place=place, vital=False), why, "Give it fewer or shorter values.")
        for place, why in places.items()
    ]
    plans = [each for each in plans if each not in refused]
    steps = [*inventory.told, *(step for each in plans for step in each.kept), *_batches(plans)]
    writes = sum(step.do is Do.WRITE for step in steps)
    if writes > MANY:
        what = "variables are to be written, and it takes a thousand requests an hour; the next runs do the rest"
        steps.insert(0, Step(Do.WARN, "Bitbucket", f"{writes} {what}", warn=True))
    unmet = any(step.unmet for step in steps)
    return PullPlan(tuple(steps), failures=(*facts.failures, *failures), unmet=unmet)


class _TargetPlan:
    """What is decided about one target: what is written, pruned and kept there, and what it shall remember."""

    def __init__(
        self,
        target: TargetState,
        facts: PullFacts,
        policy: Pull,
        inventory: Inventory,
        resolved: Collection[ResolvedSecret],
    ) -> None:
        self.target = target
        self.kept: list[Step] = []
        self.orphaned: list[Orphaned] = []
        # Of what too much would go, by the selectors' texts.
        self._too_many: dict[str, str] = {}
        self._facts = facts
        self._policy = policy
        self._inventory = inventory
        self._origin = origin_digest(facts.origin)
        self._wanted = frozenset(name for each in resolved for name in each.names(target))
        self._unchanged = 0
        # One key may come by several selectors, and is written once.
        self._writes: dict[str, Write] = {}
        self._prunes: dict[str, Prune] = {}
        self._selected = {looked.selector.text: looked for looked in facts.looked}
        brought: dict[str, dict[str, SyncedSecret]] = {text: {} for text in self._selected}
        for each in resolved:
            entry = self._sync(each)
            if entry is not None:
                brought[each.found.selector.text][each.found.address] = entry
        for text, looked in self._selected.items():
            self._find_orphans(looked, brought[text])
        # What the selectors of other runs brought stays; a variable that this run brings is this run's.
        groups = {
            text: replace(group, entries=without(group.entries, self._wanted))
            for text, group in target.last_sync.groups.items()
        }
        groups |= {text: Group(self._origin, entries) for text, entries in brought.items()}
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
        return as_state(target.last_sync) != as_state(self.remembers)

    @property
    def filled(self) -> Filled:
        """How full the target will be."""
        target = self.target
        sizes = {name: len(name) + len(variable.value or "") for name, variable in target.variables.items()}
        sizes |= {name: len(name) + len(step.text.reveal()) for name, step in self._writes.items()}
        sizes = {name: size for name, size in sizes.items() if name not in self._prunes}
        return Filled(target, sizes, len(as_state(self.remembers)), acts=bool(self.steps))

    def guard(self, going: int) -> int:
        """Find of what too much would go, where `going` would in the whole run; return how many stay for that."""
        here = (len(may_go(self.orphaned, self._policy)), len(self.target.last_sync.names), "there")
        self._too_many = guarded(self.orphaned, here, going, self._policy)
        held = (each.names for each in self.orphaned if each.looked.selector.text in self._too_many)
        return len({name for names in held for name in names})

    def prune(self, number: int) -> None:
        """Delete what is orphaned, or keep and name it, and tell what else is kept; PRUNE as `number` lets it go."""
        policy, place = self._policy, self.target.place
        for each in self.orphaned:
            many = self._too_many.get(each.looked.selector.text)
            why = not_deleted(many, number) if many else why_kept(each.looked, policy)
            if why:
                first, *others = dict.fromkeys(each.names.values())
                more = f", and {count(len(others), 'more secret')}" if others else ""
                reason = f"{first}{more}; {why}"
                self._keep(reason, named(list(each.names)), warn=True, unmet=is_refused(each.looked, policy))
                continue
            for name, gone in each.names.items():
                on, known = f"{place.label}: {name}", self.target.variables[name]
                self._prunes[name] = Prune(on=on, reason=gone, place=place, name=name, known=known)
        if policy.prune and not self.target.last_sync.readable:
            self._keep("nothing is pruned, since what was written before cannot be told", warn=True, unmet=True)
        if self._unchanged:
            self._keep(f"{count(self._unchanged, 'variable')} unchanged")
        for text, group in self.target.last_sync.groups.items():
            left = self.target.owned - self._wanted
            names = [name for entry in group.entries.values() for name in entry.names if name in left]
            if names and text not in self._selected:
                why = (
                    f"kept: brought by “{text}”, which is not among SECRETS; unless another run does, nobody renews it"
                )
                self._keep(f"{why}: delete it in Bitbucket if nobody uses it", named(names), warn=True)

    def _keep(self, reason: str, on: str = "", *, warn: bool = False, unmet: bool = False) -> None:
        place = self.target.place
        on = f"{place.label}: {on}" if on else place.label
        self.kept.append(Step(Do.KEEP, on, reason, place=place, warn=warn, unmet=unmet))

    def _sync(self, secret: ResolvedSecret) -> SyncedSecret | None:
        """Plan the writes of a live secret; return what is remembered of it, as it is once all is written."""
        target, found = self.target, secret.found
        entry = target.last_sync.entry(found.selector.text, found.address)
        if entry is not None and is_current(target, found, self._facts.origin, self._policy):
            self._unchanged += len(entry.names)
            return entry
        if secret.variables is None:
            self.kept.append(Step(Do.KEEP, found.address, f"{found.engine}: read anew by each run, but by no dry one"))
            return entry
        names = {}
        for variable in secret.variables:
            known = target.variables.get(variable.name)
            why = self._why(secret, variable, entry)
            if why or known is None:
                self._writes[variable.name] = self._write(secret, variable, why)
                names[variable.name] = UNKNOWN
            else:
                self._unchanged += 1
                names[variable.name] = uuid_digest(known.uuid)
        same = entry is not None and entry.stamp == secret.stamp and bool(secret.stamp)
        since = entry.since if entry is not None and same else self._facts.now.date()
        version = secret.version.short if secret.version else ""
        return SyncedSecret(secret.stamp, names, secret.left_out, version, since)

    def _why(self, secret: ResolvedSecret, variable: ResolvedVariable, entry: SyncedSecret | None) -> str:
        """Return why a variable has to be written; empty where it need not be."""
        known = self.target.variables.get(variable.name)
        version = secret.version.name if secret.version else ""
        if self._policy.force:
            return "FORCE"
        if not self.target.last_sync.readable:
            return "what was written before cannot be told"
        same_text = known is not None and known.value == variable.text.reveal()
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
            place=place, name=variable.name, text=variable.text, source=secret.found.address, known=known,
        )  # fmt: skip

    def _find_orphans(self, looked: SelectorResult, entries: dict[str, SyncedSecret]) -> None:
        """Add to the entries what could not be looked at, and what a selector brings no more until it is deleted.

        What came from another origin is nobody's to delete; what `!` takes away is kept.
        """
        text, brought, orphaned, away = looked.selector.text, frozenset(entries), dict[str, str](), list[str]()
        group = self.target.last_sync.groups.get(text, Group(self._origin))
        if group.origin != self._origin:
            names = [name for entry in group.entries.values() for name in entry.names if name not in self._wanted]
            self._tell_of(names, "kept, and not looked after any more: another address gave it before")
            return
        for address, entry in group.entries.items():
            plain = address.removeprefix(FORMER)
            if looked.problem is not None or (text, plain) in self._inventory.unknown:
                entries.setdefault(address, entry)
                continue
            owned = self.target.owned - self._wanted
            left = {name: digest for name, digest in entry.names.items() if name in owned}
            if left and covers(looked.without, plain):
                away += left
                entries[address] = entry._replace(names=left)
            elif left:
                state = self._inventory.deleted.get((text, plain), "not there any more")
                gives_less = address in brought or plain != address
                orphaned |= dict.fromkeys(left, f"{plain} gives it no more" if gives_less else f"{plain} is {state}")
                key = FORMER + address if address in brought else address
                before: Mapping[str, str] = entries[key].names if key in entries else {}
                entries[key] = entry._replace(names={**before, **left}, left_out=())
        self._tell_of(away, "kept: “!” takes its secret away from the wildcard")
        if orphaned:
            owned_by_it = len({name for entry in entries.values() for name in entry.names})
            self.orphaned.append(Orphaned(looked, orphaned, owned_by_it))

    def _tell_of(self, names: Sequence[str], reason: str) -> None:
        if names:
            self._keep(reason, named(names), warn=True)


def _batches(plans: Collection[_TargetPlan]) -> Iterator[Step]:
    """Yield every step that acts; after each batch, and at the end, its targets remember what was done."""
    active = [each for each in plans if each.steps]
    for first in range(0, len(active), AT_ONCE):
        acting = [(each, step) for each in active[first : first + AT_ONCE] for step in each.steps]
        for start in range(0, len(acting), BATCH):
            batch = acting[start : start + BATCH]
            yield from (step for _, step in batch)
            yield from (each.remembering for each in dict.fromkeys(each for each, _ in batch))
    yield from (each.remembering for each in plans if not each.steps and each.is_news)
