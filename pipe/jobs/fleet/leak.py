"""Finds the one job of a fleet whose user has a leaked key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipe.errors import KeyturnError, Problem, Refused
from pipe.jobs.fleet.told import log
from pipe.jobs.rotate.action import Rotate

if TYPE_CHECKING:
    from pipe.jobs.fleet.run import Work


def find_leaked(works: Sequence[Work], named: str, file: str) -> Work:
    """Return the job whose user has a key, by its id or last letters; raises Refused where there is none, or several.

    A key that IAM has no more is found by the journals, which know whole ids.
    """
    rotations = [work for work in works if isinstance(work.action, Rotate)]
    found = [work for work in rotations if any(key.id.endswith(named) for key in work.action.listed or ())]
    found = found or [work for work in rotations if _knew(work.action, named)]
    if len(found) > 1:
        what = f"{named} fits keys of several jobs: {', '.join(each.name for each in found)}"
        raise Refused([Problem("REVOKE", what, "Give the whole id.")])
    if not found:
        whose = f"aws iam get-access-key-last-used --access-key-id {named}"
        advice = f"Whose it is: {whose}; to switch it off: {_off('<user>', named)}."
        failed = [work.result.last for work in works if work.result and work.result.code]
        advice += f" Not every user could be asked: {failed[0]}" if failed else ""
        raise Refused([Problem("REVOKE", f"no rotation of {file} has a key {named}", advice)])
    log.warning(
        "%s has the leaked key; whatever breaks, this switches it off: %s",
        found[0].name, _off(found[0].action.policy.user, named),
    )  # fmt: skip
    return found[0]


def _off(user: str, key_id: str) -> str:
    return f"aws iam update-access-key --user-name {user} --access-key-id {key_id} --status Inactive"


def _knew(action: Rotate, key_id: str) -> bool:
    try:
        return action.knew(key_id)
    except KeyturnError:
        return False
