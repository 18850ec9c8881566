"""Tries what can happen in every order: from each state every event, each state once."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipe.jobs.rotate.facts import Rotation
from test.rotate.model.alike import key_of
from test.rotate.model.promises import DAY, MINUTE, State, judge, judge_end, right
from test.rotate.model.runs import Ended, Settings, run
from test.rotate.model.services import ID, Shown

HOUR = 60 * MINUTE
ASLEEP = 17 * MINUTE
# How often a step of a history that is chosen by chance is a run that is not left alone.
RICH = 0.4
# After so many runs, all places become targets again.
ALONE = 3

# What happens to a state; it returns what was wrong.
Event = Callable[[State], list[str]]
Events = Callable[[State], Iterator[tuple[str, Event]]]


@dataclass
class FoundSecret:
    """What an exploration has seen: how many states, histories and runs, and what was wrong, with its story."""

    states: int = 0
    histories: int = 0
    figures: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def counted(self) -> Counter[str]:
        """All figures, as they are added up and shown."""
        return Counter({"states": self.states, "histories": self.histories}) + self.figures

    def blame(self, state: State, problems: list[str]) -> None:
        for problem in problems:
            kind = re.sub(r"AKIA\d+", "key", problem)
            if kind not in self.wrong:
                self.wrong[kind] = (*state.story, problem)
            self.figures["wrong"] += 1


def explore(starts: dict[str, State], events: Events, depth: int) -> FoundSecret:
    """Try every history of so many events from each start, each state once."""
    found = FoundSecret()
    well: set[object] = set()
    seen: dict[object, int] = {}
    level: dict[object, tuple[State, int]] = {}
    for name, state in starts.items():
        state.story = (name,)
        state.watch()
        level[key_of(state)] = (state, 1)
    for each in range(depth + 1):
        seen.update((key, state.rich) for key, (state, _) in level.items())
        found.states += len(level)
        following: dict[object, tuple[State, int]] = {}
        for state, count in level.values():
            found.blame(state, settled(state, found.figures, known=well))
            for name, event in events(state) if each < depth else ():
                after = state.copy()
                after.story = (*state.story, name)
                found.figures["events"] += 1
                found.blame(after, event(after))
                key = key_of(after)
                if each == depth - 1:
                    found.histories += count
                known = following.get(key)
                if known is not None:
                    least = min(known[0], after, key=lambda state: state.rich)
                    following[key] = (least, count + known[1])
                elif seen.get(key, after.rich + 1) > after.rich:
                    following[key] = (after, count)
        level = following
    return found


def walk(starts: dict[str, State], calm: Events, rich: Events, depth: int, count: int, seed: str) -> FoundSecret:
    """Try so many histories from each start, chosen by a seed."""
    found = FoundSecret()
    for name, start in starts.items():
        chance = random.Random(f"{seed} {name}")
        start.story = (name,)
        start.watch()
        for _ in range(count):
            state = start.copy()
            for _ in range(depth):
                some = rich if not state.rich and chance.random() < RICH else calm
                step, event = chance.choice(list(some(state)))
                state.story = (*state.story, step)
                found.figures["events"] += 1
                found.blame(state, event(state))
            found.histories += 1
            found.blame(state, settled(state, found.figures))
    return found


def replay(state: State, events: Events, story: Sequence[str]) -> list[str]:
    """Return what is wrong in one history; its events are named without their numbers, and the first one counts."""
    state.watch()
    problems: list[str] = []
    for wanted in story:
        event = next(event for name, event in events(state) if _plain(name) == wanted)
        problems += event(state)
    return [*problems, *settled(state, Counter())]


def _plain(name: str) -> str:
    return re.sub(r" request \d+| after \d+ changes", "", name)


def settled(state: State, figures: Counter[str], depth: int = 4, known: set[object] | None = None) -> list[str]:
    """Return what is wrong after the runs that follow where nobody does anything more.

    A run whose own key FORCE has switched off, while the target that it has it from refused, is excused: the order says
    so, and whoever cannot sign can mend nothing. One more run is enough, but where the run's own key has to make room
    for one that takes a leaked key's place: the run after it does that, signed by another key.

    `known` are states, each with how many runs there were before it, from which all has come right.
    """
    known = set() if known is None else known
    passed: list[object] = []
    after = state.copy()
    trouble = after.ground.refusing or after.ground.silent or after.lingers
    after.ground.refusing = after.ground.silent = frozenset()
    after.lingers = ""
    problems: list[str] = []
    waits = (HOUR, DAY, *[11 * DAY] * 5)
    for number, wait in enumerate(waits):
        if number == ALONE:
            # A place that is no target any more may hold an old key for as long as it likes.
            after.settings = replace(after.settings, targets=tuple(after.ground.targets))
        if number:
            passed.append((number, key_of(after)))
            if passed[-1] in known:
                break
        after.passes(wait)
        ended = one_run(after, problems, after.settings)
        figures["runs"] += 1
        if ended.problems:
            # The run's own key is off by hand, or by FORCE while the target that the run has it from refused.
            by_order = state.hand or after.ground.held(after.settings.targets[0])[0] in after.orders
            own_is_dead = after.settings.own and "does not know the access key" in str(ended.problems)
            return (
                problems if own_is_dead and by_order else [*problems, *_a_way_out(after, ended, figures, depth, known)]
            )
        left = list(right(after))
        simple = len(after.settings.targets) == len(after.ground.targets) and after.settings.policy.secret_id
        own_waits = after.settings.own and state.orders
        if number == 0 and left and simple and not (trouble or state.hand or own_waits):
            problems += [f"after one more run, {each} (exit {ended.code}: {ended.last})" for each in left]
        if not left and ended.code == 0:
            before = ended.line.changes
            passed.append((before > 0, "right", key_of(after)))
            if passed[-1] not in known:
                again = one_run(after, problems, after.settings)
                figures["runs"] += 1
                if again.line.changes and not before:
                    problems.append(f"a run after one that had nothing to do did something: {again.last}")
            break
    else:
        problems += [f"for ever: {each} (exit {ended.code}: {ended.last})" for each in left or ["red"]]
    if not problems:
        known.update(passed)
    return problems


_WAYS = {
    "revoke": re.compile(r"REVOKE: (AKIA\d{16})"),
    "adopt": re.compile(r"ADOPT: ([^.;]+)\."),
    "on": re.compile(r"update-access-key --user-name \w+ --access-key-id (AKIA\d{16}) --status Active"),
    "off": re.compile(r"update-access-key --status Inactive --user-name \w+ --access-key-id (AKIA\d{16})"),
    "unsecure": re.compile(r"(AWS_ACCESS_KEY_ID): it is secured in"),
    "delete": re.compile(r"delete-access-key --user-name \w+ --access-key-id (AKIA\d{16})"),
}


def _a_way_out(state: State, ended: Ended, figures: Counter[str], depth: int, known: set[object]) -> list[str]:
    """Return what is wrong with what a refusal offers: one way at least has to lead to where all is right."""
    text = " ".join(map(str, ended.problems))
    if not state.hand:
        return [f"refused, though nobody did anything: {text}"]
    tried: list[str] = []
    for way, pattern in _WAYS.items():
        for given in dict.fromkeys(pattern.findall(text)) if depth else ():
            after = state.copy()
            problems: list[str] = []
            if way in ("revoke", "adopt"):
                adopted = after.settings.policy.adopt | {given}
                changes: dict[str, Any] = {"revoke": given} if way == "revoke" else {"adopt": adopted}
                if way == "revoke":
                    after.orders |= {given}
                settings = after.settings.but(**changes)
                ended = one_run(after, problems, settings)
                # What was refused is asked for again once what is in its way is gone.
                if way == "adopt" or ended.problems:
                    after.settings = settings
            elif way == "unsecure":
                after.ground.targets["one"][ID] = Shown(after.ground.held("one")[0], False)
            elif way == "delete":
                after.ground.keys.pop(given, None)
                after.watch()
            else:
                after.ground.set_active(given, way == "on")
                after.watch()
            figures["ways out"] += 1
            problems += settled(after, figures, depth - 1, known)
            if not problems:
                return []
            tried.append(f"{way} {given}: {problems[0]}")
    return [f"stuck: {text} ({'; '.join(tried)})"]


def one_run(state: State, problems: list[str], settings: Settings, **given: Any) -> Ended:
    """Run the pipe once in a state, and add what it did wrong."""
    before = state.copy()
    ended = run(state.ground, settings, **given)
    problems += finished(before, state, [(ended, settings.policy)])
    return ended


def finished(before: State, state: State, runs: list[tuple[Ended, Rotation]]) -> list[str]:
    """Return what runs have done wrong, and go on from where they have left everything."""
    problems = judge(before, state, runs)
    if len(runs) == 1 and runs[0][0].code is not None:
        problems += judge_end(before, state, *runs[0])
    state.watch()
    return problems
