"""How a rotation has ended: its last line, and the user's keys after it; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime

from pipe.jobs.rotate.facts import KeyOutcome, KeyPlan, KeyStep, Rotation, RotationFacts
from pipe.jobs.rotate.leak import STAYS, STAYS_ON, TO_END, switch_off, wait_for
from pipe.jobs.rotate.plan_new_key import NEW
from pipe.jobs.rotate.preview import Fate, preview_of, state_of
from pipe.overview import KeyLife, Overview
from pipe.plan import Do
from pipe.values import count, last_four


def summary(facts: RotationFacts, plan: KeyPlan, outcome: KeyOutcome | None, now: datetime) -> str:
    """Return the last line's words; `outcome` is None after a dry run, `now` is when the run ends."""
    if plan.busy:
        return f"Nothing done: {plan.busy}."
    if outcome is None:
        steps = count(len(plan.actions), "step") if plan.actions else "no steps"
        on = "".join(f"; {each}, which leaked, is still active" for each in _still_on(facts, plan, ()))
        return f"Dry run: {steps} to take; nothing was written{on}."
    if outcome.elsewhere:
        named = {step.key_id for step in plan.steps if step.leaked}
        advice = f" {wait_for(facts, named, now)}." if outcome.unmet else ""
        return f"Nothing done: {outcome.elsewhere}{advice}"
    done = _sentence(facts, outcome.done)
    if outcome.exit_code == 0:
        if leaked := _leaked(facts, plan, outcome):
            return f"{leaked}."
        ahead = "; ".join(f"{name} {words}" for name, words in _ahead(plan).items())
        if not done:
            return f"Nothing to do{': ' + ahead if ahead else ''}."
        return f"{done}{'; ' + ahead if ahead else ''}."
    missing = [step.on for step in (*(failure.step for failure in outcome.failures), *outcome.undone) if step.place]
    behind = f"not yet in {', '.join(dict.fromkeys(missing))}" if missing else ""
    told = "; ".join(filter(None, (done, behind)))
    active = _still_on(facts, plan, outcome.done)
    if outcome.exit_code == 2 and active:
        return _unfinished_leak(facts, plan, outcome, told)
    if outcome.exit_code == 2 and (off := _off(facts, plan, outcome)):
        return _unfinished_after_leak(facts, outcome, off, told)
    if not outcome.failures:
        return f"Partly done: {done}. Run the same REVOKE again."
    first = outcome.failures[0]
    failed = f"{first.step.do} {first.step.on}: {first.what}"
    if outcome.exit_code == 1:
        state = f"{done[:1].lower()}{done[1:]}; all else is as it was" if done else ""
        if first.step.do is Do.REMOVE:
            state = "a left-over key may be inactive; all else is as it was"
        leaks = "".join(f"; {each}, which leaked, is still active" for each in active)
        return f"Failed; {state or 'keys, secrets and targets are as they were'}{leaks}: {failed}"
    return f"Partly done{': ' + told if told else ''}. The next run finishes it. {failed}"


def _unfinished_leak(facts: RotationFacts, plan: KeyPlan, outcome: KeyOutcome, told: str) -> str:
    """Say which leaked key is still active, what is in the way, and how it is switched off whatever breaks."""
    active = _still_on(facts, plan, outcome.done)
    ids = {step.key_id for step in plan.steps if step.leaked}
    holders = _without_new(facts, outcome, ids)
    ways = [f"{', '.join(holders)} still {'holds' if len(holders) == 1 else 'hold'} it"] if holders else []
    ways += [
        step.reason.removeprefix(STAYS).removeprefix(STAYS_ON).partition(f".{TO_END}")[0]
        for step in plan.steps
        if step.leaked and step.do is Do.KEEP and step.warn
    ]
    ways += _failed(outcome)
    commands = " && ".join(switch_off(facts, key) for key in facts.keys if key.name in active)
    why = f": {'; '.join(ways)}" if ways else ""
    more = f" {told}." if told else ""
    are = "is" if len(active) == 1 else "are"
    # The same run would find the same places outside of TARGETS.
    elsewhere = any("not in TARGETS" in way for way in ways)
    return (
        f"{' and '.join(active)}, which leaked, {are} still active{why}.{more} "
        f"Run {'REVOKE again with that setting' if elsewhere else 'the same REVOKE again'}. "
        f"To switch it off whatever breaks: {commands}"
    )


def _unfinished_after_leak(facts: RotationFacts, outcome: KeyOutcome, off: dict[str, str], told: str) -> str:
    """Say which leaked key is off, and who cannot sign until it has the one in use."""
    holders = _without_new(facts, outcome, set(off))
    rest = told or "Not all is done"
    if holders:
        they = "it gets" if len(holders) == 1 else "they get"
        rest = f"{', '.join(holders)} cannot sign until {they} {_in_use(facts, outcome)}"
    why = "".join(f": {each}" for each in _failed(outcome))
    return f"{_said_off(off)}. {rest}{why}; run again."


def _failed(outcome: KeyOutcome) -> list[str]:
    """Return the first failure, to stand within a sentence; an empty list where there is none."""
    return [f"{each.step.do} {each.step.on}: {each.what.rstrip('.')}" for each in outcome.failures[:1]]


def _without_new(facts: RotationFacts, outcome: KeyOutcome, ids: Collection[str]) -> list[str]:
    """Return the targets that hold one of these keys, or one that nobody can see, and got no other in this run."""
    written = {step.place for step in outcome.done if step.do is Do.PUBLISH}
    return [
        target.place.label
        for target in facts.targets
        if target.place not in written and (target.key_id in ids or (target.id is not None and not target.key_id))
    ]


def _said_off(off: Mapping[str, str]) -> str:
    return "; ".join(f"{last_four(key_id)}, which leaked, is {how}" for key_id, how in off.items())


def _in_use(facts: RotationFacts, outcome: KeyOutcome) -> str:
    """Return the key that is in use by now, as people are shown it; nothing where there is none."""
    made = [step.key_id for step in outcome.done if step.do is Do.CREATE]
    promoted = [step.key_id for step in outcome.done if step.do is Do.PROMOTE and step.key_id]
    held = [target.key_id for target in facts.targets]
    used = next((key_id for key_id in (*made, *promoted, facts.record.current, *held) if key_id), "")
    return last_four(used) if used else ""


def _off(facts: RotationFacts, plan: KeyPlan, outcome: KeyOutcome) -> dict[str, str]:
    """Return the leaked keys that are off, and how each is."""
    off = {}
    for step in plan.steps:
        if step.leaked and (step in outcome.done or step.do is Do.KEEP):
            off[step.key_id] = {Do.DEACTIVATE: "inactive", Do.KEEP: "inactive"}.get(step.do, "deleted")
            if facts.key(step.key_id) is None:
                off[step.key_id] = "gone"
    return off


def _leaked(facts: RotationFacts, plan: KeyPlan, outcome: KeyOutcome) -> str:
    """Say which leaked key is off, which is in use, and what is left for another day; nothing where none has leaked."""
    off = _off(facts, plan, outcome)
    if not off:
        return ""
    said, used = _said_off(off), _in_use(facts, outcome)
    places = len([step for step in outcome.done if step.do is Do.PUBLISH])
    ahead = _ahead(plan)
    if used:
        written = f", written to {count(places, 'target')}" if places else ""
        said += f"; {used} is in use{written}"
        said += f"{',' if written else ''} and {ahead.pop(used)}" if used in ahead else ""
    room = [step.on for step in outcome.done if step.do is Do.DELETE and not step.leaked]
    made_room = f"{', '.join(room)} was deleted to make room" if room else ""
    return "; ".join(filter(None, (said, made_room, *(f"{name} {words}" for name, words in ahead.items()))))


def _still_on(facts: RotationFacts, plan: KeyPlan, done: tuple[KeyStep, ...]) -> list[str]:
    """Return the leaked keys that are still active."""
    ended = {step.key_id for step in done if step.do in (Do.DEACTIVATE, Do.DELETE, Do.REMOVE)}
    leaked = dict.fromkeys(step.key_id for step in plan.steps if step.leaked)
    keys = [facts.key(key_id) for key_id in leaked if key_id not in ended]
    return [key.name for key in keys if key is not None and key.active]


def _sentence(facts: RotationFacts, done: tuple[KeyStep, ...]) -> str:
    parts = []
    places = [step.on for step in done if step.do is Do.PUBLISH]
    in_places = f"in {count(len(places), 'target')}" if places else ""
    if any(step.do is Do.CREATE for step in done):
        parts.append(f"rotated {facts.user}'s key" + (f": the new one is {in_places}" if places else ""))
    elif back := [step.on for step in done if step.do is Do.PROMOTE and step.on != NEW and step.replaces]:
        parts.append(f"made {back[0]} the current key" + (f", {in_places}" if places else ""))
    elif places:
        parts.append(f"wrote the current pair {in_places}")
    removed = {step.key_id for step in done if step.do is Do.REMOVE}
    kept = {step.key_id for step in done if step.do is Do.REMEMBER_INACTIVE} & removed
    if removed:
        parts.append("made a left-over key inactive" if kept else "removed a left-over key")
    if any(step.do is Do.TIDY for step in done):
        parts.append("removed a left-over label")
    parts += [f"deactivated {last_four(step.key_id)}" for step in done if step.do is Do.DEACTIVATE]
    parts += [f"deleted {last_four(step.key_id)}" for step in done if step.do is Do.DELETE]
    text = "; ".join(parts)
    return text[:1].upper() + text[1:]


def _ahead(plan: KeyPlan) -> dict[str, str]:
    """Return what the plan leaves for another day, by key as people are shown it."""
    kept = [step for step in plan.steps if step.do is Do.KEEP and step.key_id and not step.leaked]
    return {step.on: step.ahead for step in kept}


def overview(facts: RotationFacts, policy: Rotation, plan: KeyPlan, outcome: KeyOutcome | None) -> Overview:
    """Return the keys after a run, or after one that was only shown."""
    done = outcome.done if outcome else ()
    problems = tuple(f"{step.on}: {step.reason}" for step in plan.steps if step.warn and step not in done)
    return Overview(keys=(*_lives(facts, policy, done),), problems=problems)


def _lives(facts: RotationFacts, policy: Rotation, done: tuple[KeyStep, ...]) -> Iterator[KeyLife]:
    limits = (policy.rotate_after.days, policy.deactivate_after.days, policy.delete_after.days)
    made = next((step for step in done if step.do is Do.CREATE), None)
    holds = {target.place: target.key_id for target in facts.targets}
    given = [step for step in done if step.do is Do.PUBLISH and step.place]
    holds |= {step.place: step.key_id or (made.key_id if made else "") for step in given if step.place}

    def holders(key_id: str) -> tuple[str, ...]:
        return tuple(place.label for place, held in holds.items() if held == key_id)

    for fate in preview_of(facts, policy).fates:
        key = fate.key
        ends = {step.do for step in done if step.key_id == key.id}
        if ends & {Do.DELETE, Do.REMOVE}:
            continue
        replaced = made is not None and made.replaces == key.id
        active, what, due, overdue = key.active, fate.next, fate.due, _overdue(fate, facts)
        state = state_of(facts, key)
        if Do.DEACTIVATE in ends:
            active, due = False, (facts.now + policy.recovery).date()
            state, what, overdue = "inactive since this run", f"to be deleted on {due}", False
        elif replaced:
            due = (facts.now + policy.grace).date()
            state, what, overdue = "replaced by this run", f"deactivates on {due}", False
        yield KeyLife(
            facts.user, key.name, key.age_days(facts.now), active, state, what, due, overdue, limits, holders(key.id)
        )
    if made is not None and made.key_id:
        due = (facts.now + policy.rotate_after).date()
        name, state = last_four(made.key_id), "made by this run, active"
        yield KeyLife(
            facts.user, name, 0, True, state, f"rotates on {due}", due, False, limits, holders(made.key_id)
        )  # fmt: skip


def _overdue(fate: Fate, facts: RotationFacts) -> bool:
    return fate.blocked or (fate.due is not None and fate.due < facts.now.date())
