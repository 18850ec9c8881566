"""What Vault's refusals mean, and what is no answer of Vault's at all."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from pipe.clients.answer import About, parsed
from pipe.clients.http import Answer
from pipe.errors import Busy, Denied, Invalid, KeyturnError, Missing, ServiceError, Unreadable, Unsupported
from pipe.redact import one_line

# What the policy must allow, by the request's verb.
CAPABILITIES = {"GET": "read", "LIST": "list", "SCAN": "scan", "POST": "update"}

# The fields of Vault's own answers: one without any of them is somebody else's.
OWN = frozenset({"request_id", "data", "auth", "wrap_info", "warnings", "errors"})

_LATER = "Run again later."

# How servers in Go, Apache and nginx say that they are asked by plain HTTP where they speak TLS.
_WANTS_TLS = rb"(?i)HTTP request to an HTTPS|plain HTTP (request was sent )?to (an )?(HTTPS|SSL)"


class Refusal(NamedTuple):
    """An answer that is no success, and what Vault says; `absent` where Vault has nothing there, or no more.

    `foreign` is the error for one that something else than Vault has given.
    """

    verb: str
    path: str
    status: int
    said: str
    absent: bool = False
    foreign: ServiceError | None = None


# Says what a refusal means where more is known about it; None leaves it to `problem_of`.
Explain = Callable[[Refusal], KeyturnError | None]


def refusal_of(verb: str, path: str, answer: Answer, about: About) -> Refusal:
    """Return an answer that is no success, as it is told to people."""
    try:
        body = parsed(answer, about)
        if not isinstance(body, dict) or not OWN & body.keys():
            raise about.unreadable(f"it has none of the fields that Vault's answers have ({answer.status})")
    except Unreadable as error:
        return Refusal(verb, path, answer.status, "an answer that is not Vault's", foreign=_foreign(answer, error))
    errors, warnings = body.get("errors"), body.get("warnings")
    # A folder or secret that is not there has an empty list of errors alone, a deleted version its metadata. Anything
    # else, above all the warning of an engine that does not know such a path, must never be read as "nothing there".
    absent = answer.status == 404 and (body == {"errors": []} or (not errors and not warnings and _has_metadata(body)))
    return Refusal(verb, path, answer.status, _said(errors or warnings), absent)


def _said(reasons: Any) -> str:
    said = "; ".join(map(str, reasons)) if isinstance(reasons, list) else str(reasons or "")
    return one_line(said, 900) or "no reason given"


def _has_metadata(body: dict[str, Any]) -> bool:
    data = body.get("data")
    return isinstance(data, dict) and isinstance(data.get("metadata"), dict)


def _foreign(answer: Answer, error: Unreadable) -> ServiceError:
    if answer.status == 400 and re.search(_WANTS_TLS, answer.body):
        return ServiceError("Vault's port speaks TLS, but was asked by plain HTTP.",
                            "Check VAULT_ADDR: it has to begin with https://.")  # fmt: skip
    return error


def held_back(verb: str, path: str) -> Denied:
    """Return the error for an answer that Vault has wrapped, so that somebody else has to let it go."""
    return Denied(
        f"Vault holds back the answer to {verb} {path}: it is wrapped, as a control group or a policy has it.",
        "Give the role of this run a policy on that path without a control group and without min_wrapping_ttl.",
    )


def problem_of(refusal: Refusal, answer: Answer) -> KeyturnError:
    """Return what a refusal means."""
    status, said = refusal.status, refusal.said
    what = f"{refusal.verb} {refusal.path}"
    passing = _passing(refusal, answer.pause)
    if passing:
        return passing
    if refusal.foreign and status >= 400:
        return _from_another(refusal, refusal.foreign)
    match status:
        case 401 | 403:
            needed = CAPABILITIES.get(refusal.verb, "the right")
            return Denied(
                f"Vault denies `{needed}` on `{refusal.path}` ({status}): {said}",
                f"The token's policy needs the capability `{needed}` on that path.",
            )
        case 404:
            return _not_found(refusal)
        case 405:
            return Unsupported(f"This Vault does not know {what} (405): {said}", "Check VAULT_ADDR.")
        case 501:
            return ServiceError("Vault is not initialized (501).", "Check VAULT_ADDR.")
        case _ if status < 400:
            return ServiceError(
                f"Vault's answer about {refusal.path} leads to {answer.leads_to or 'another path'} ({status}); it was "
                "not followed.", "Check VAULT_ADDR: it has to be the address that answers itself.",
            )  # fmt: skip
        case _:
            return Invalid(f"Vault refuses {what} ({status}): {said}", "Check SECRETS, VAULT_ADDR and VAULT_NAMESPACE.")


def _passing(refusal: Refusal, pause: float | None) -> Busy | None:
    """Return the error for a refusal that asking again may mend."""
    status, said, what = refusal.status, refusal.said, f"{refusal.verb} {refusal.path}"
    match status:
        case 400 if "Upgrading from non-versioned" in said:
            return Busy(f"Vault still upgrades the mount of {refusal.path} to version 2 (400).", _LATER, after=pause)
        case 412 | 472 | 473:
            return Busy(f"Vault's standby cannot answer {what} yet ({status}).", _LATER, after=pause)
        case 429:
            return Busy(
                f"Vault's rate limit is reached (429) for {what}.", "Run again later, or have the quota raised.",
                after=pause, throttled=True,
            )  # fmt: skip
        case 503 if "sealed" in said:
            return Busy("Vault is sealed (503).", "Somebody has to unseal it; then run again.", after=pause)
        case 503:
            return Busy(f"Vault is not available (503) for {what}: {said}", _LATER, after=pause)
        case _ if status >= 500 and status != 501:
            return Busy(f"Vault answered {status} for {what}: {said}", _LATER, unclear=True, after=pause)
        case _:
            return None


def _from_another(refusal: Refusal, error: ServiceError) -> ServiceError:
    if refusal.verb in ("LIST", "SCAN"):
        # Such a verb may not pass where others do.
        return Unsupported(
            f"Something before Vault does not let {refusal.verb} {refusal.path} through ({refusal.status}).",
            "Check VAULT_ADDR, and the proxy before Vault.",
        )
    return error


def _not_found(refusal: Refusal) -> KeyturnError:
    said, what = refusal.said, f"{refusal.verb} {refusal.path}"
    if refusal.absent:
        return Missing(f"Vault has nothing at `{refusal.path}` (404).", "Check SECRETS.")
    if "namespace" in said:
        return Invalid(f"Vault answers {what}: {said} (404).", "Check VAULT_NAMESPACE.")
    if "unsupported path" in said or "Invalid path" in said:
        return Unsupported(f"This Vault does not know {what} (404): {said}", "Check SECRETS and the mount.")
    # Only what is absent is Missing: who prunes takes that for a proof.
    return Invalid(f"Vault finds no {refusal.path} (404): {said}", "Check VAULT_ADDR, SECRETS and the mount.")
