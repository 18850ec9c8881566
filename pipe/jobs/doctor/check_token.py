"""Says of the step's OIDC token what it says, and of its issuer what that answers; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from pipe.errors import KeyturnError
from pipe.jobs.doctor.diagnosis import Check, bad, failed, good, note, unknown
from pipe.step import Step
from pipe.values import unstamp

AREA = "the step"

# A token that ends within this time may end before a run does.
SHORT = timedelta(minutes=5)


def check_token(step: Step, discovery: Mapping[str, str] | KeyturnError | None, now: datetime) -> Iterator[Check]:
    """Yield what is to be said of the token that a step has.

    `discovery` is what the workspace's provider says of itself, None where its address is not known.
    """
    if not step.claims:
        yield bad(AREA, "OIDC token", "BITBUCKET_STEP_OIDC_TOKEN is no JWT", "Leave the variable to Bitbucket.")
        return
    yield _life(step.claims.get("exp", ""), now)
    yield from _issuer(step, discovery)
    yield _audience(step)
    yield _subject(step)


def _life(exp: str, now: datetime) -> Check:
    try:
        left = unstamp(exp) - now
    except ValueError:
        return note(AREA, "OIDC token", "it does not say when it ends")
    if left <= timedelta():
        return bad(AREA, "OIDC token", f"it has expired, at {exp}", "Each step has its own; use no earlier step's.")
    why = f"it is there, and good for {round(left.total_seconds() / 60)} minutes"
    if left < SHORT:
        return note(AREA, "OIDC token", why, "Use it early in the step.")
    return good(AREA, "OIDC token", why)


def _issuer(step: Step, discovery: Mapping[str, str] | KeyturnError | None) -> Iterator[Check]:
    expected, told = step.issuer, step.claims.get("iss", "")
    if expected and told != expected:
        yield bad(
            AREA, "its issuer (iss)", f"{told or 'nothing'}, but this workspace's is {expected}",
            "Is it another workspace's token, or was the workspace renamed? Leave the variable to Bitbucket.",
        )  # fmt: skip
        return
    yield good(AREA, "its issuer (iss)", told)
    documents = "issuer's documents"
    if discovery is None:
        yield unknown(AREA, documents, "not tried: BITBUCKET_WORKSPACE is not known")
    elif isinstance(discovery, KeyturnError):
        yield failed(AREA, documents, discovery)
    elif discovery.get("issuer") != expected:
        why = f"they name {discovery.get('issuer') or 'nothing'} instead"
        yield bad(AREA, documents, why, "Check BITBUCKET_API_URL.")
    else:
        yield good(AREA, documents, "AWS and Vault can fetch them, if they reach Bitbucket")


def _audience(step: Step) -> Check:
    told = ", ".join(step.audiences)
    if step.audience and step.audience not in step.audiences:
        return note(
            AREA, "its audience (aud)", f"{told or 'nothing'}, which the step has chosen",
            "AWS's provider and Vault's role have to know that one.",
        )  # fmt: skip
    return good(AREA, "its audience (aud)", told)


def _subject(step: Step) -> Check:
    subject = step.claims.get("sub", "")
    if step.repository_uuid and not subject.startswith(f"{step.repository_uuid}:"):
        return note(AREA, "its subject (sub)", f"{subject or 'nothing'}, which is not of {step.repository_uuid}")
    where = f"environment {step.environment_uuid}" if step.environment_uuid else "no deployment environment"
    return good(AREA, "its subject (sub)", f"repository {step.repository_uuid or '?'}, {where}")
