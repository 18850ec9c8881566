"""Finds the one job of a fleet whose user has a leaked key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipe.errors import KeyturnError, Problem, Refused
from pipe.jobs.fleet.told import log
from pipe.jobs.rotate.action import Rotate
from pipe.jobs.rotate.leak import NO_NAMES

if TYPE_CHECKING:
    from pipe.jobs.fleet.work import Work


def find_leaked(works: Sequence[Work], named: str, file: str) -> Work:
    """Return the job whose user has a key, by its id or last letters; raises Refused where there is none, or several.

    Where IAM has the key, the job's `leaked` is set. One that IAM has no more is found by the journals, which know
    whole ids.
    """
    rotations = [work for work in works if isinstance(work.action, Rotate)]
    failed = [work.result.last for work in works if work.result and work.result.code]
    unasked = f" Not every user could be asked: {failed[0]}" if failed else ""
    if named in NO_NAMES:
        advice = f"Give the leaked key's whole id.{unasked}"
        raise Refused([Problem("REVOKE", f"{named.lower()} names no key", advice)], _keys(rotations))
    fits = [(work, key) for work in rotations for key in work.action.listed or () if key.id.endswith(named)]
    found = list({id(work): work for work, _ in fits}.values())
    found = found or [work for work in rotations if _knew(work.action, named)]
    if len(found) > 1:
        what = f"{named} fits keys of several jobs: {', '.join(each.name for each in found)}"
        raise Refused([Problem("REVOKE", what, "Give the whole id.")])
    if not found:
        whose = f"aws iam get-access-key-last-used --access-key-id {named}"
        told = f"Whose it is: {whose}; to switch it off: {_off('<user>', named)}.{unasked}"
        raise Refused([Problem("REVOKE", f"no rotation of {file} has a key {named}", told)])
    # Letters that fit both keys of the user are refused by the job itself.
    if len(fits) == 1:
        [(work, key)] = fits
        work.leaked = key
        if key.active:
            off = _off(work.action.policy.user, key.id)
            log.warning("%s has the leaked key; whatever breaks, this switches it off: %s", work.name, off)
    return found[0]


def _keys(rotations: Sequence[Work]) -> str:
    """Return a line for each key of the jobs' users."""
    return "\n".join(
        f"{work.name}: {key.id} is {'active' if key.active else 'inactive'}, {key.age(work.action.now)} old"
        for work in rotations
        for key in work.action.listed or ()
    )


def _off(user: str, key_id: str) -> str:
    return f"aws iam update-access-key --user-name {user} --access-key-id {key_id} --status Inactive"


def _knew(action: Rotate, key_id: str) -> bool:
    try:
        return action.knew(key_id)
    except KeyturnError:
        return False
