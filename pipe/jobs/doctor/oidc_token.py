"""Looks at the step's OIDC token: what it says, and whether its issuer answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from pipe.clients.bitbucket_auth import provider_documents
from pipe.errors import KeyturnError
from pipe.jobs.doctor.diagnosis import Check, bad, failed, good, note, unknown
from pipe.pipeline_step import PipelineStep
from pipe.retry import Deadline
from pipe.values import count, unstamp

AREA = "the step"

# A token that ends within this time may end before a run does.
SHORT = timedelta(minutes=5)


def check_token(step: PipelineStep, deadline: Deadline) -> Iterator[Check]:
    """Yield what is to be said of the token that a step has; its issuer is asked."""
    if not step.claims:
        yield bad(AREA, "OIDC token", "BITBUCKET_STEP_OIDC_TOKEN is no JWT", "Leave the variable to Bitbucket.")
        return
    yield _life(step.claims.get("exp", ""))
    yield from _issuer(step, deadline)
    audience, told = "its audience (aud)", ", ".join(step.audiences)
    if step.audience and step.audience not in step.audiences:
        why = f"{told or 'nothing'}, which the step has chosen"
        yield note(AREA, audience, why, "AWS's provider and Vault's role have to know that one.")
    else:
        yield good(AREA, audience, told)
    subject, repository = step.claims.get("sub", ""), step.repository_uuid
    if repository and not subject.startswith(f"{repository}:"):
        yield note(AREA, "its subject (sub)", f"{subject or 'nothing'}, which is not of {repository}")
    else:
        where = f"environment {step.environment_uuid}" if step.environment_uuid else "no deployment environment"
        yield good(AREA, "its subject (sub)", f"repository {repository or '?'}, {where}")


def _life(exp: str) -> Check:
    try:
        left = unstamp(exp) - datetime.now(UTC)
    except ValueError:
        return note(AREA, "OIDC token", "it does not say when it ends")
    if left <= timedelta():
        return bad(AREA, "OIDC token", f"it has expired, at {exp}", "Each step has its own; use no earlier step's.")
    why = f"it is there, and good for {count(round(left.total_seconds() / 60), 'minute')}"
    return note(AREA, "OIDC token", why, "Use it early in the step.") if left < SHORT else good(AREA, "OIDC token", why)


def _issuer(step: PipelineStep, deadline: Deadline) -> Iterator[Check]:
    expected, told, documents = step.issuer, step.claims.get("iss", ""), "issuer's documents"
    if expected and told != expected:
        yield bad(
            AREA, "its issuer (iss)", f"{told or 'nothing'}, but this workspace's is {expected}",
            "Is it another workspace's token, or was the workspace renamed? Leave the variable to Bitbucket.",
        )  # fmt: skip
        return
    yield good(AREA, "its issuer (iss)", told)
    if not expected:
        yield unknown(AREA, documents, "not tried: BITBUCKET_WORKSPACE is not known")
        return
    try:
        named = provider_documents(expected, deadline).get("issuer")
    except KeyturnError as error:
        yield failed(AREA, documents, error)
        return
    if named != expected:
        yield bad(AREA, documents, f"they name {named or 'nothing'} instead", "Check BITBUCKET_API_URL.")
    else:
        yield good(AREA, documents, "AWS and Vault can fetch them, if they reach Bitbucket")
