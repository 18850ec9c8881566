"""Writes the variables of a pull, and has the targets remember what was written, beside what another run writes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from pipe.errors import BadCredentials, Denied, Stopped
from pipe.jobs.pull.state_variable import (
    UNKNOWN,
    Group,
    LastSync,
    SyncedSecret,
    TargetState,
    as_state,
    last_sync_of,
    uuid_digest,
    without,
)
from pipe.jobs.pull.steps import Prune, Remember, Write
from pipe.plan import Step
from pipe.retry import Deadline
from pipe.values import Pull, Run, Variable, count

if TYPE_CHECKING:
    from pipe.clients.bitbucket import Bitbucket

log = logging.getLogger("keyturn.pull")


class Work:
    """What carries out the steps of a pull; `do` does one and says what it did, or raises KeyturnError."""

    def __init__(
        self, bitbucket: Bitbucket, policy: Pull, targets: tuple[TargetState, ...], deadline: Deadline, run: Run
    ) -> None:
        self._bitbucket = bitbucket
        self._policy = policy
        self._deadline = deadline
        self._run = run
        self._targets = {target.place.path: target for target in targets}
        # What each target is known to remember, by its path: first as it was seen, then as this run has written it.
        self._remembered = {target.place.path: (target.last_sync, target.state) for target in targets}
        self._written: dict[str, dict[str, Variable]] = {path: {} for path in self._targets}
        self._pruned: dict[str, set[str]] = {path: set() for path in self._targets}
        self._closed: set[str] = set()
        self._lock = threading.Lock()

    def do(self, step: Step) -> str:
        """Do one step."""
        if isinstance(step, Remember):
            with self._deadline.uninterrupted():
                return self._remember(self._targets[step.place.path], step.remembers)
        path = step.place.path if step.place else ""
        self._deadline.check()
        if path in self._closed:
            raise Stopped("Bitbucket has denied writing there.")
        if step.place:
            self._bitbucket.begin(step.place)
        try:
            if isinstance(step, Write):
                self._write(step)
            elif isinstance(step, Prune):
                self._prune(step)
        except (Denied, BadCredentials):
            self._closed.add(path)
            raise
        log.debug("%s %s: done", step.do, step.on)
        return ""

    def _write(self, step: Write) -> None:
        text, secured = step.text.reveal(), self._policy.secured
        written = self._bitbucket.write(step.place, step.name, text, step.known, secured=secured)
        with self._lock:
            self._written[step.place.path][step.name] = written

    def _prune(self, step: Prune) -> None:
        self._bitbucket.delete(step.place, step.known)
        with self._lock:
            self._pruned[step.place.path].add(step.name)

    def _remember(self, target: TargetState, planned: LastSync) -> str:
        """Write what is done so far; another run's writes meanwhile are looked for first.

        Nobody can be kept from writing between this look and the write: Bitbucket has no compare-and-swap.
        """
        path, place = target.place.path, target.place
        written, pruned = self._written[path], self._pruned[path]
        acted = bool(written or pruned)
        if path in self._closed and not acted:
            raise Stopped("Bitbucket has denied writing there.")
        if self._deadline.stopping and not acted:
            raise Stopped("There is nothing to note.")
        before, known = self._remembered[path]
        now = after_partial_write(planned, target, written, pruned)
        seen = self._bitbucket.variables(place).get(self._policy.state_variable)
        others = last_sync_of(seen.value) if seen else before
        if others.readable and others.run not in (before.run, target.last_sync.run, self._run.id):
            log.warning("%s: another run has written there, or a list was late; the next run looks again.", place.label)
            now = merge_concurrent(now, target.last_sync, others, written.keys() | pruned)
        now = replace(now, run=self._run.id)
        state = self._bitbucket.write(place, self._policy.state_variable, as_state(now), seen or known, secured=False)
        self._remembered[path] = (now, state)
        done = ((len(written), "written"), (len(pruned), "deleted"))
        return ", ".join(f"{count(number, 'variable')} {what}" for number, what in done if number) or "noted"


def after_partial_write(
    planned: LastSync, target: TargetState, written: Mapping[str, Variable], pruned: Collection[str]
) -> LastSync:
    """Return what is true by now: what is not written yet stays ours if it was, but its secret is to be read again."""
    groups = {}
    for text, group in planned.groups.items():
        entries = {address: _synced_so_far(entry, target, written, pruned) for address, entry in group.entries.items()}
        groups[text] = replace(group, entries=without(entries, pruned))
    return replace(planned, groups={text: group for text, group in groups.items() if group.entries})


def merge_concurrent(ours: LastSync, before: LastSync, theirs: LastSync, touched: Collection[str]) -> LastSync:
    """Return what both runs together have done since `before`.

    A secret that both have written has no stamp any more: which of the two values is there, nobody can tell.
    `touched` are the variables that this run has written or deleted; those that it brings are under its selectors
    alone.
    """
    groups = {text: replace(group, entries=without(group.entries, ours.names)) for text, group in theirs.groups.items()}
    for text, group in ours.groups.items():
        other = theirs.groups.get(text, Group(group.origin)).entries
        entries = {address: entry for address, entry in other.items() if entry != before.entry(text, address)}
        for address, entry in group.entries.items():
            if before.entry(text, address) == theirs.entry(text, address):
                entries[address] = entry
            elif any(name in touched for name in entry.names):
                entries[address] = entry._replace(stamp="")
        groups[text] = replace(group, entries=entries)
    return replace(ours, groups={text: group for text, group in groups.items() if group.entries})


def _synced_so_far(
    entry: SyncedSecret, target: TargetState, written: Mapping[str, Variable], pruned: Collection[str]
) -> SyncedSecret:
    # A secret may be undeleted: what has been pruned of it has to be written again then.
    names, missing = {}, any(name in pruned for name in entry.names)
    for name, digest in entry.names.items():
        if name in written:
            names[name] = uuid_digest(written[name].uuid)
        elif digest != UNKNOWN:
            names[name] = digest
        else:
            missing = True
            # A variable that nobody has written yet may be somebody else's; it becomes ours once it is written.
            if name in target.owned:
                names[name] = uuid_digest(target.variables[name].uuid)
    return entry._replace(stamp="" if missing else entry.stamp, names=names)
