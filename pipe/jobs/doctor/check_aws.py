"""Says of an account of AWS what was found; pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from pipe.errors import KeyturnError, problems_of
from pipe.jobs.doctor.check_source import check_source
from pipe.jobs.doctor.diagnosis import Check, bad, failed, good, note, unknown
from pipe.jobs.doctor.observe_aws import AwsFacts, Tried
from pipe.jobs.rotate.audit import ADVICE, breach_of
from pipe.jobs.rotate.preview import Preview
from pipe.permissions import Permission, allowing
from pipe.values import Identity, last_four

AREA = "AWS"


def check_aws(facts: AwsFacts, *, fail_on_missing: bool) -> Iterator[Check]:
    """Yield what is to be said of an account."""
    if isinstance(facts.identity, KeyturnError):
        yield failed(AREA, "sign-in", facts.identity)
        return
    yield good(AREA, "sign-in", _who(facts.identity))
    if facts.objection:
        yield bad(AREA, "account", str(facts.objection), "Sign in elsewhere: nothing else was asked here.")
        return
    if facts.rotation:
        yield from _rotation(facts.rotation)
    if facts.source:
        yield from check_source(AREA, facts.source, fail_on_missing=fail_on_missing)
    for action in dict.fromkeys(each.action for each in facts.tried):
        yield from _permissions(action, [each for each in facts.tried if each.action == action])


def _who(identity: Identity) -> str:
    return f"{identity.arn}{f' with key {last_four(identity.key_id)}' if identity.key_id else ''}"


def _rotation(preview: Preview | KeyturnError) -> Iterator[Check]:
    problems = problems_of([preview]) if isinstance(preview, KeyturnError) else preview.refused
    if isinstance(preview, Preview):
        facts = preview.facts
        keys = [
            f"{key.name} ({'active' if key.active else 'inactive'}, {key.age_days(facts.now)} days)"
            for key in facts.keys
        ]
        yield good(AREA, f"user {facts.user}", f"{len(keys)} of 2 keys{': ' if keys else ''}{', '.join(keys)}")
        secret, current = preview.policy.secret_id, facts.record.current
        if secret:
            held = f"its current key is {last_four(current)}" if current else "no key yet; the first rotation makes it"
            yield good(AREA, f"secret {secret}", held)
        if breach := breach_of(facts, preview.policy):
            yield note(AREA, "90-day rule", breach, ADVICE)
    if problems:
        why = " ".join(map(str, problems))
        yield bad(AREA, "next rotation", why, "Resolve it: a rotation would refuse.")
    elif isinstance(preview, Preview):
        blocked = any(fate.blocked for fate in preview.fates)
        yield (note if blocked else good)(AREA, "next rotation", preview.sentence)


def _permissions(action: str, tried: list[Tried]) -> Iterator[Check]:
    """Yield what an action may do: what is there, what lacks, and what nobody can tell."""
    may, lacks = f"may {action}", f"may not {action}"
    there = [each.permission for each in tried if each.there is True]
    missing = [each.permission for each in tried if each.there is False]
    vital = [each for each in missing if not each.without]
    if there:
        yield good(AREA, may, _names(there))
    if vital:
        yield bad(AREA, lacks, _names(vital), *_advice(vital))
    for without in dict.fromkeys(each.without for each in missing if each.without):
        spared = [each for each in missing if each.without == without]
        yield note(AREA, lacks, f"{_names(spared)}; without it {without}", *_advice(spared))
    for error in dict.fromkeys(str(each.there) for each in tried if isinstance(each.there, KeyturnError)):
        yield unknown(AREA, may, error)
    left = [each.permission for each in tried if each.there is None]
    if left:
        yield unknown(AREA, may, f"not tried, since only a run can tell: {_names(left)}")


def _names(permissions: Iterable[Permission]) -> str:
    return ", ".join(dict.fromkeys(each.action for each in permissions))


def _advice(permissions: Sequence[Permission]) -> tuple[str, str]:
    """Return what is to be done, and what is to be pasted."""
    statements = ",\n".join(json.dumps(each, indent=2) for each in allowing(permissions))
    return "Add to the policy what stands below.", f"{_names(permissions)} is allowed by\n{statements}"
