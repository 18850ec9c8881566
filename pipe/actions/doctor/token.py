"""Whether the step's OIDC token is there, and what it says; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipe.actions.doctor.check import Check, bad, failed, good, note, unknown
from pipe.errors import KeyturnError
from pipe.step import Step
from pipe.values import unstamp

AREA = "the step"

# A token that ends within this time may end before a run does.
SHORT = timedelta(minutes=5)


@dataclass(frozen=True)
class TokenFacts:
    """A step and its token: whether there is one, whether one is needed, and what the workspace's provider answers.

    `discovery` is None where the provider's address is not known.
    """

    step: Step
    there: bool
    needed: bool
    now: datetime
    discovery: Mapping[str, str] | KeyturnError | None = None


def check_token(facts: TokenFacts) -> Iterator[Check]:
    """Yield what is to be said of the step's token; nothing where there is none and none is needed."""
    claims = facts.step.claims
    if not facts.there:
        if facts.needed:
            yield bad(AREA, "OIDC token", "the step has none", "Put `oidc: true` into the step, beside `script:`.")
        return
    if not claims:
        yield bad(AREA, "OIDC token", "BITBUCKET_STEP_OIDC_TOKEN is no JWT", "Leave the variable to Bitbucket.")
        return
    yield _life(claims.get("exp", ""), facts.now)
    yield from _issuer(facts)
    yield _audience(facts.step)
    yield _subject(facts.step)


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


def _issuer(facts: TokenFacts) -> Iterator[Check]:
    expected, told = facts.step.issuer, facts.step.claims.get("iss", "")
    if expected and told != expected:
        yield bad(
            AREA, "its issuer (iss)", f"{told or 'nothing'}, but this workspace's is {expected}",
            "Is it another workspace's token, or was the workspace renamed? Leave the variable to Bitbucket.",
        )  # fmt: skip
        return
    yield good(AREA, "its issuer (iss)", told)
    if isinstance(facts.discovery, KeyturnError):
        yield failed(AREA, "issuer's documents", facts.discovery)
    elif facts.discovery is not None and facts.discovery.get("issuer") != expected:
        yield bad(
            AREA, "issuer's documents", f"they name {facts.discovery.get('issuer') or 'nothing'} instead",
            "Check BITBUCKET_API_URL.",
        )  # fmt: skip
    elif facts.discovery is not None:
        yield good(AREA, "issuer's documents", "AWS and Vault can fetch them, if they reach Bitbucket")
    else:
        yield unknown(AREA, "issuer's documents", "not tried: BITBUCKET_WORKSPACE is not known")


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
