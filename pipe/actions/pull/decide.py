"""Decides what a pull does; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pipe.actions.pull.bring import Bringing, bring
from pipe.actions.pull.prune import prune_steps
from pipe.actions.pull.remembered import Entry, Group, Remembered, origin_digest, with_remembered
from pipe.actions.pull.settle import Settled, settle, wanted_names
from pipe.actions.pull.steps import Prune, PullPlan, Remember, Write
from pipe.actions.pull.world import TargetState, World
from pipe.actions.sources.asking import failures
from pipe.errors import Refused
from pipe.plan import Do, Step
from pipe.values import Pull

# After so many writes the targets remember what has been done, so that a run that ends early is not done again.
BATCH = 400

# Characters: what a variable, and all variables of a target together, may have. Bitbucket's own limit is 120,000.
LARGEST_STATE = 32 * 1024
LARGEST_TARGET = 110_000

# Bitbucket allows a thousand requests an hour.
MANY = 800


@dataclass(frozen=True)
class _Decision:
    """One target: its steps, and what it shall remember."""

    target: TargetState
    steps: tuple[Step, ...]
    kept: tuple[Step, ...]
    remembers: Remembered

    @property
    def remembering(self) -> Remember:
        """The step that has the target remember."""
        place = self.target.place
        return Remember(
            on=place.label, reason="which version of which secret it has", place=place, remembers=self.remembers
        )


def decide(world: World, policy: Pull) -> PullPlan:
    """Return the plan; raises Refused with every value, name and secret that is not as it must be."""
    bringing = bring(world, policy)
    decisions = [_decide(target, world, policy, bringing) for target in world.targets]
    problems = [*bringing.problems, *(problem for each in decisions for problem in _too_large(each, policy))]
    if problems:
        raise Refused(problems)
    notices = [Step(Do.KEEP, on, reason, warn=True) for on, reason in dict.fromkeys(bringing.notices)]
    steps = [*notices, *(step for each in decisions for step in each.kept), *_batches(decisions)]
    writes = sum(step.do is Do.WRITE for step in steps)
    if writes > MANY:
        steps.insert(0, Step(Do.KEEP, "Bitbucket", _patience_needed(writes), warn=True))
    return PullPlan(tuple(steps), failures=tuple(failures(world.looked, world.unread)))


def _decide(target: TargetState, world: World, policy: Pull, bringing: Bringing) -> _Decision:
    wanted = wanted_names(target, bringing)
    settled = [settle(Settled(looked, wanted), target, world, policy, bringing) for looked in world.looked]
    # One key may come by several selectors, and is written once.
    writes = {step.name: step for each in settled for step in each.writes}.values()
    old = [step for each in settled for step in prune_steps(target, each, policy)]
    pruned = {step.name for step in old if isinstance(step, Prune)}
    groups = _others(target, settled, wanted)
    for each in settled:
        entries = _without(each.entries, pruned)
        if entries:
            groups[each.looked.selector.text] = Group(origin_digest(world.origin), entries)
    kept = [*(step for each in settled for step in each.kept), *(step for step in old if not step.acts)]
    unchanged = sum(each.unchanged for each in settled)
    if unchanged:
        kept.append(Step(Do.KEEP, target.place.label, f"{_variables(unchanged)} unchanged", place=target.place))
    kept += _foreign(target, settled, policy)
    remembers = replace(target.remembered, groups=groups, readable=True)
    return _Decision(target, (*writes, *(step for step in old if step.acts)), tuple(kept), remembers)


def _others(target: TargetState, settled: list[Settled], wanted: frozenset[str]) -> dict[str, Group]:
    """Return what selectors of other runs brought; a variable that this run brings is this run's."""
    own = {each.looked.selector.text for each in settled}
    groups = {
        text: replace(group, entries=_without(group.entries, wanted))
        for text, group in target.remembered.groups.items()
        if text not in own
    }
    return {text: group for text, group in groups.items() if group.entries}


def _without(entries: Mapping[str, Entry], names: frozenset[str] | set[str]) -> dict[str, Entry]:
    """Return entries without some names; one that had some of them and now has none goes."""
    kept = {}
    for address, entry in entries.items():
        left = {name: digest for name, digest in entry.names.items() if name not in names}
        if left or not entry.names:
            kept[address] = replace(entry, names=left)
    return kept


def _foreign(target: TargetState, settled: list[Settled], policy: Pull) -> Iterator[Step]:
    own = {each.looked.selector.text for each in settled}
    for text, group in target.remembered.groups.items():
        if policy.prune and text not in own:
            count = sum(len(entry.names) for entry in group.entries.values())
            yield Step(
                Do.KEEP, target.place.label, f"{_variables(count)} of “{text}”, which is not among SECRETS",
                place=target.place,
            )  # fmt: skip


def _batches(decisions: list[_Decision]) -> Iterator[Step]:
    """Yield every step that acts; after each batch, and at the end, its targets remember what was done."""
    acting = [(each, step) for each in decisions for step in each.steps]
    remembered: set[int] = set()
    for start in range(0, len(acting), BATCH):
        batch = acting[start : start + BATCH]
        yield from (step for _, step in batch)
        touched = {id(each): each for each, _ in batch}
        yield from (each.remembering for each in touched.values())
        remembered |= touched.keys()
    for each in decisions:
        if id(each) not in remembered and _is_news(each):
            yield each.remembering


def _is_news(decision: _Decision) -> bool:
    """Tell whether a target without any write has something to remember all the same."""
    target = decision.target
    if target.state is not None and (target.state.secured or not target.remembered.readable):
        return True
    before = with_remembered(None, target.remembered)
    if target.state is None and not decision.remembers.groups:
        return False
    return before != with_remembered(None, decision.remembers)


def _too_large(decision: _Decision, policy: Pull) -> Iterator[str]:
    """Yield why a target could not hold what it is to hold; sizes are those of names and of what is written."""
    target = decision.target
    state = len(with_remembered(target.state.value if target.state else None, decision.remembers))
    if state > LARGEST_STATE:
        yield (
            f"{target.place.label}: what {policy.state_variable} has to remember takes {state} characters, and a "
            f"variable may have {LARGEST_STATE}. Spread the secrets over several targets, or give them fewer keys."
        )
    sizes = {name: len(name) + len(variable.value or "") for name, variable in target.variables.items()}
    sizes |= {step.name: len(step.name) + len(step.text.reveal()) for step in decision.steps if isinstance(step, Write)}
    total = sum(sizes.values()) + state
    if total > LARGEST_TARGET:
        largest = sorted(sizes, key=lambda name: sizes[name], reverse=True)[:5]
        yield (
            f"{target.place.label}: all variables together would have {total} characters, and Bitbucket takes 120,000. "
            f"The largest are {', '.join(largest)}."
        )


def _variables(count: int) -> str:
    return f"{count} variable{'' if count == 1 else 's'}"


def _patience_needed(writes: int) -> str:
    return f"{writes} variables are to be written, and it takes a thousand requests an hour; the next runs do the rest"
