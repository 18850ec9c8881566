"""A fleet file and its lock for what was found, to be read by people before anything runs by it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from pipe.jobs.discover.findings import Findings, Holding
from pipe.jobs.fleet.lock import Line, write_lock

_HEAD = """\
# Proposed by ACTION: discover. Nothing has been changed. Read it, complete what is marked, and commit it with
# keyturn.lock; `ACTION: fleet` with `DRY_RUN: 'true'` shows what it would do.
version: '1'
workspace: {workspace}
defaults:
  # The role that rotates; `setup` prints its policy. The step needs `oidc: true`.
  AWS_OIDC_ROLE_ARN: $AWS_OIDC_ROLE_ARN
  AWS_DEFAULT_REGION: $AWS_DEFAULT_REGION
jobs:"""

_USUAL = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def propose(findings: Findings, workspace: str) -> tuple[str, str]:
    """Return a fleet file and its lock: one job for each user whose key was found."""
    lines, locked, names = [_HEAD.format(workspace=workspace)], [], set[str]()
    for user, holdings in findings.by_user().items():
        job = _name_of(user, names)
        names.add(job)
        (usual, _), *_ = Counter(each.variable for each in holdings).most_common(1)
        ours = [each for each in holdings if each.variable == usual]
        lines += _job(job, user, usual, ours, [each for each in holdings if each.variable != usual])
        locked += [Line(job, each.place, each.repository, each.environment) for each in ours]
    unread = [f"#   {each.place}: {each.variable}" for each in findings.secured]
    if unread:
        lines += ["# Secured, so that nobody can tell whose key they hold:", *sorted(unread)]
    return "\n".join(lines) + "\n", write_lock(locked)


def _job(job: str, user: str, variable: str, ours: Sequence[Holding], others: Sequence[Holding]) -> Iterator[str]:
    keys = sorted({each.key for each in ours})
    if len(keys) > 1:
        yield f"  # These places hold {len(keys)} keys of this user: {', '.join(keys)}. All get one."
    yield f"  {job}:"
    yield "    ACTION: rotate"
    yield f"    IAM_USER_NAME: {user}"
    yield "    # The secret that will hold the pair; the first run makes it. Name another one if there is one."
    yield f"    SECRET_ID: ci/{user}"
    if variable != _USUAL[0]:
        yield f"    ACCESS_KEY_ID_VARIABLE: {variable}"
        yield "    # Guessed: a secured variable's name tells nothing."
        yield f"    SECRET_ACCESS_KEY_VARIABLE: {_secret_beside(variable)}"
    yield "    TARGETS:"
    yield from (f"      - {each.place}" for each in ours)
    if others:
        yield "    # The same user's keys stand under other names, too; a job has one name for all its targets:"
        yield from (f"    #   {each.place}: {each.variable}" for each in others)


def _name_of(user: str, taken: set[str]) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", user.lower()).strip("-") or "user"
    return next(
        each for number in range(1, len(taken) + 2) if (each := name + f"-{number}" * (number > 1)) not in taken
    )


def _secret_beside(variable: str) -> str:
    return re.sub("ACCESS_KEY_ID|KEY_ID", "SECRET_ACCESS_KEY", variable) if "KEY_ID" in variable else _USUAL[1]
