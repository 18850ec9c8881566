"""Looks at an account of AWS: the identity, what the next rotation does, what selectors find, and the permissions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from pipe.access.aws_session import AwsSession, objection
from pipe.clients.aws import Aws
from pipe.clients.bitbucket import Bitbucket
from pipe.errors import KeyturnError, problems_of
from pipe.jobs.doctor.diagnosis import Check, bad, failed, good, note, unknown
from pipe.jobs.doctor.sources import check_selectors, survey
from pipe.jobs.pull.job import PullJob
from pipe.jobs.replicate.job import ReplicateJob
from pipe.jobs.rotate.job import RotateJob, rotation_by
from pipe.jobs.rotate.preview import ADVICE, Preview, breach_of
from pipe.permissions import Home, Permission, allowing
from pipe.retry import Deadline, side_by_side
from pipe.sources.registry import source_type
from pipe.sources.source import Reads
from pipe.values import Identity, Run, last_four

AREA = "AWS"

Job = RotateJob | PullJob | ReplicateJob


def check_aws(
    session: AwsSession, jobs: Iterable[Job], bitbucket: Bitbucket | None, run: Run, deadline: Deadline
) -> Iterator[Check]:
    """Sign in, and yield what is to be said of an account for the jobs that are done there; nothing is written."""
    try:
        aws, caller = session.sign_in(), session.identity()
    except KeyturnError as error:
        yield failed(AREA, "sign-in", error)
        return
    yield good(AREA, "sign-in", f"{caller.arn}{f' with key {last_four(caller.key_id)}' if caller.key_id else ''}")
    wrong = objection(session.access, caller)
    if wrong:
        yield bad(AREA, "account", str(wrong), "Sign in elsewhere: nothing else was asked here.")
        return
    home = Home.of(caller.arn, session.access.region)
    permissions: list[Check] = []
    for job in jobs:
        # Names that reads can be tried on.
        found: dict[str, str] = {}
        if isinstance(job, RotateJob) and bitbucket and (job.rotation.user or caller.user):
            try:
                preview = rotation_by(aws, caller, job, bitbucket=bitbucket, run=run, deadline=deadline).preview()
            except KeyturnError as error:
                yield _next_rotation(" ".join(map(str, problems_of([error]))))
            else:
                yield from _rotation(preview)
                if preview.facts.keys:
                    found[preview.facts.user] = preview.facts.keys[0].id
        if isinstance(job, PullJob) and job.needs.selectors:
            source = source_type(job.source).open(session, job.needs.selectors, Reads.KEPT)
            looked = survey(source, reads=True)
            yield from check_selectors(AREA, looked, fail_on_missing=job.needs.fail_on_missing)
            if not isinstance(looked, KeyturnError):
                # No name has a colon.
                found |= {each.selector.path: each.found[0].address.partition(":")[0] for each in looked if each.found}
        permissions += _permissions(aws, job, home, caller, found)
    yield from permissions


def _rotation(preview: Preview) -> Iterator[Check]:
    facts = preview.facts
    keys = [f"{key.name} ({'active' if key.active else 'inactive'}, {key.age(facts.now)})" for key in facts.keys]
    yield good(AREA, f"user {facts.user}", f"{len(keys)} of 2 keys{': ' if keys else ''}{', '.join(keys)}")
    secret, current = preview.policy.secret_id, facts.record.current
    if secret:
        there = f"there in {facts.region}, without a key yet" if facts.record.secret else f"not there in {facts.region}"
        held = f"in {facts.region}; its current key is {last_four(current)}"
        yield good(AREA, f"secret {secret}", held if current else f"{there}; the first rotation makes it")
    if breach := breach_of(facts, preview.policy):
        yield note(AREA, "90-day rule", breach, ADVICE)
    if preview.refused:
        yield _next_rotation(" ".join(map(str, preview.refused)))
    else:
        blocked = any(fate.blocked for fate in preview.fates)
        yield (note if blocked else good)(AREA, "next rotation", preview.sentence)


def _next_rotation(why: str) -> Check:
    return bad(AREA, "next rotation", why, "Resolve it: a rotation would refuse.")


def _permissions(aws: Aws, job: Job, home: Home, caller: Identity, found: Mapping[str, str]) -> Iterator[Check]:
    """Try the reads that a job needs; yield what is allowed, what lacks, and what nobody can tell."""
    needed, may = job.permissions(home, caller.user, found), aws.may
    there: list[bool | KeyturnError | None] = side_by_side(
        partial(may, each.action, each.probe) if each.probe else (lambda: None) for each in needed
    )
    tried = list(zip(needed, there, strict=True))
    can, cannot = f"may {job.action}", f"may not {job.action}"
    allowed = [permission for permission, answer in tried if answer is True]
    lacking = [permission for permission, answer in tried if answer is False]
    open_ = [permission for permission, answer in tried if answer is None]
    if allowed:
        yield good(AREA, can, _names(allowed))
    for without in dict.fromkeys(each.without for each in lacking):
        alike = [each for each in lacking if each.without == without]
        if without:
            yield note(AREA, cannot, f"{_names(alike)}; without it {without}", *_advice(alike))
        else:
            yield bad(AREA, cannot, _names(alike), *_advice(alike))
    for error in dict.fromkeys(str(answer) for _, answer in tried if isinstance(answer, KeyturnError)):
        yield unknown(AREA, can, error)
    if open_:
        yield unknown(AREA, can, f"not tried, since only a run can tell: {_names(open_)}")


def _names(permissions: Iterable[Permission]) -> str:
    return ", ".join(dict.fromkeys(each.action for each in permissions))


def _advice(permissions: Sequence[Permission]) -> tuple[str, str]:
    """Return what is to be done, and what is to be pasted."""
    statements = ",\n".join(json.dumps(each, indent=2) for each in allowing(permissions))
    return "Add to the policy what stands below.", f"{_names(permissions)} is allowed by\n{statements}"
