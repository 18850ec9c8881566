"""What is to be said of an account of AWS; pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from pipe.actions.doctor.account import AccountFacts, RotationFacts, SourceFacts
from pipe.actions.doctor.check import Check, bad, failed, good, note, unknown
from pipe.actions.doctor.rights import OPTIONAL, Excess, Right, refused
from pipe.actions.doctor.trust import WHAT, check_trust
from pipe.errors import KeyturnError, problems_of
from pipe.selectors import Selector
from pipe.step import Step
from pipe.values import Identity

SIMULATE = "iam:SimulatePrincipalPolicy"


def check_account(facts: AccountFacts, step: Step, now: datetime, *, fail_on_missing: bool) -> Iterator[Check]:
    """Yield what is to be said of an account."""
    area = facts.title
    if isinstance(facts.identity, KeyturnError):
        yield failed(area, "sign-in", facts.identity)
        return
    narrowed = ", in a session that AWS_SESSION_POLICY narrows" if facts.narrowed else ""
    yield good(area, "sign-in", _who(facts.identity) + narrowed)
    if facts.objection:
        yield bad(area, "account", str(facts.objection), "Sign in elsewhere: nothing else was asked here.")
        return
    if facts.rotation:
        yield from _rotation(area, facts.rotation, now)
    if facts.source:
        yield from check_source(area, facts.source, fail_on_missing=fail_on_missing)
    for action in dict.fromkeys(right.action for right in facts.rights):
        yield from _rights(area, facts, action)
    yield from _excess(area, facts.excess)
    if facts.role_arn:
        yield from _trust(area, facts, step)


def check_source(area: str, facts: SourceFacts, *, fail_on_missing: bool) -> Iterator[Check]:
    """Yield what each selector finds."""
    if isinstance(facts.survey, KeyturnError):
        yield failed(area, "secrets", facts.survey)
        return
    for looked in facts.survey.looked:
        selector = looked.selector
        if looked.errors:
            yield failed(area, selector.text, next(iter(looked.errors.values())))
        elif not looked.found:
            yield _nothing(area, selector, fail_on_missing=fail_on_missing)
        else:
            read = facts.read.get(looked.found[0].address)
            if isinstance(read, KeyturnError):
                yield failed(area, selector.text, read)
            else:
                yield good(area, selector.text, _found(selector, len(looked.found)))


def _nothing(area: str, selector: Selector, *, fail_on_missing: bool) -> Check:
    why, todo = "it finds nothing", f"Check SECRETS: is there anything at {selector.path}, and may it be listed?"
    return bad(area, selector.text, why, todo) if fail_on_missing else note(area, selector.text, why, todo)


def _found(selector: Selector, count: int) -> str:
    if not selector.recursive:
        return "it is there"
    return "it finds 1 secret" if count == 1 else f"it finds {count} secrets"


def _who(identity: Identity) -> str:
    return f"{identity.arn}{f' with key …{identity.key_id[-4:]}' if identity.key_id else ''}"


def _rotation(area: str, facts: RotationFacts, now: datetime) -> Iterator[Check]:
    if isinstance(facts.keys, KeyturnError):
        yield failed(area, f"user {facts.user}", facts.keys)
    else:
        keys = ", ".join(
            f"{key.name} ({'active' if key.active else 'inactive'}, {key.age_days(now)} days)" for key in facts.keys
        )
        yield good(area, f"user {facts.user}", f"{len(facts.keys)} of 2 keys{f': {keys}' if keys else ''}")
    if isinstance(facts.secret, KeyturnError):
        yield failed(area, f"secret {facts.secret_id}", facts.secret)
    elif facts.secret_id and facts.secret is None:
        yield good(area, f"secret {facts.secret_id}", "it is not there yet; the first rotation makes it")
    elif facts.secret is not None:
        labels = sorted(label for stages in facts.secret.stages.values() for label in stages)
        yield good(area, f"secret {facts.secret_id}", f"it is there, with {', '.join(labels) or 'no version yet'}")
    if isinstance(facts.ahead, KeyturnError):
        yield bad(
            area,
            "next rotation",
            " ".join(map(str, problems_of([facts.ahead]))),
            "Resolve it: a rotation would refuse.",
        )
    elif facts.ahead is not None:
        yield good(area, "next rotation", facts.ahead)


def _rights(area: str, facts: AccountFacts, action: str) -> Iterator[Check]:
    """Yield what an action may do: what is there, what lacks, and what nobody can tell."""
    rights = [right for right in facts.rights if right.action == action]
    may, lacks = f"may {action}", f"may not {action}"
    there = [right for right in rights if right.there is True]
    # What IAM denies on a resource whose reads work was asked about the wrong one: a user may have a path.
    wrong = {right.resource for right in rights if right.by_reading is True and right.by_iam is False}
    missing = [
        right for right in rights if refused(right.by_reading) or (right.there is False and right.resource not in wrong)
    ]
    vital = [right for right in missing if not (action == "pull" and right.permission in OPTIONAL)]
    errors = [right.by_reading for right in rights if isinstance(right.by_reading, KeyturnError)]
    if there:
        yield good(area, may, _names(there))
    if vital:
        yield bad(area, lacks, _names(vital), f"Add to the policy: {_statement(vital)}.")
    if missing and not vital:
        yield note(area, lacks, f"{_names(missing)}: it works without, by more requests")
    for error in dict.fromkeys(str(error) for error in errors if not refused(error)):
        yield unknown(area, may, error)
    left = [right for right in rights if right not in there and right not in missing and right.by_reading is None]
    if left:
        yield unknown(area, may, f"not tried: only writing would prove it: {_names(left)}", _how_to_tell(facts))


def _how_to_tell(facts: AccountFacts) -> str:
    if facts.told_by_iam or isinstance(facts.identity, KeyturnError):
        return ""
    who = facts.role_arn or facts.identity.arn
    return f"Where {SIMULATE} on {who} is granted, IAM tells."


def _excess(area: str, excess: Sequence[Excess]) -> Iterator[Check]:
    allowed = [each for each in excess if each.there is True]
    if allowed:
        uses = dict.fromkeys(f"{each.permission}, which {each.means}" for each in allowed)
        yield bad(
            area, "too broad", f"nothing here needs {'; '.join(uses)}",
            "Take it out of the policy, or narrow its Resource; `ACTION: setup` prints a policy that is enough.",
        )  # fmt: skip
    if excess and not allowed and all(refused(each.there) for each in excess):
        yield good(
            area,
            "not too broad",
            f"denied as it should be: {', '.join(dict.fromkeys(each.permission for each in excess))}",
        )
    elif not allowed:
        yield unknown(area, "too broad", "it could not be asked")


def _trust(area: str, facts: AccountFacts, step: Step) -> Iterator[Check]:
    if isinstance(facts.trust, KeyturnError) or facts.trust is None:
        yield unknown(
            area, WHAT, "it cannot be read, since iam:GetRole is not granted, which a run does not need",
            "Compare it with the one that `ACTION: setup` prints.",
        )  # fmt: skip
        return
    yield from check_trust(area, facts.trust, step)


def _statement(rights: Sequence[Right]) -> str:
    resources = list(dict.fromkeys(right.resource.replace("-AbCdEf", "-??????") for right in rights))
    return json.dumps({"Effect": "Allow", "Action": [right.permission for right in rights], "Resource": resources})


def _names(rights: Iterable[Right]) -> str:
    return ", ".join(dict.fromkeys(right.permission for right in rights))
