"""What Vault's refusals mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from pipe.errors import Busy, Denied, Invalid, KeyturnError, Missing, ServiceError, Unsupported

# What the policy must allow, by the request's verb.
CAPABILITIES = {"GET": "read", "LIST": "list", "SCAN": "scan", "POST": "update"}


@dataclass(frozen=True)
class Refusal:
    """An answer that is no success, and what Vault says; `absent` where Vault has nothing there, or no more.

    `foreign` is one that something else than Vault has given.
    """

    verb: str
    path: str
    status: int
    said: str
    absent: bool = False
    foreign: bool = False


# Says what a refusal means where more is known about it; None leaves it to `problem_of`.
Explain = Callable[[Refusal], KeyturnError | None]


def refusal_of(verb: str, path: str, response: requests.Response, body: Any) -> Refusal:
    """Return an answer that is no success, as it is told to people; `body` is its JSON, None where it has none."""
    if not isinstance(body, dict):
        return Refusal(verb, path, response.status_code, "an answer that is not Vault's", foreign=True)
    errors, warnings = body.get("errors"), body.get("warnings")
    said = "; ".join(map(str, errors or warnings or ["no reason given"]))
    # A folder or secret that is not there has an empty list of errors, a deleted version its metadata. Anything else,
    # above all the warning of an engine that does not know such a path, must never be read as "nothing there".
    absent = response.status_code == 404 and not warnings and (errors == [] or bool(body.get("data")))
    return Refusal(verb, path, response.status_code, said, absent)


def problem_of(refusal: Refusal, response: requests.Response) -> KeyturnError:
    """Return what a refusal means."""
    status, said = refusal.status, refusal.said
    what = f"{refusal.verb} {refusal.path}"
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
            return Unsupported(f"This Vault does not know {what} (405): {said}")
        case 400 | 501 if refusal.foreign and refusal.verb in ("LIST", "SCAN"):
            return Unsupported(f"Something before Vault does not let {what} through ({status}).", "Check the proxy.")
        case 412 | 472 | 473:
            return Busy(f"Vault's standby cannot answer {what} yet ({status}).", after=_pause(response))
        case 429:
            return Busy(
                f"Vault's rate limit is reached (429) for {what}.", "Run again later, or have the quota raised.",
                after=_pause(response), throttled=True,
            )  # fmt: skip
        case 503 if "sealed" in said:
            return Busy("Vault is sealed (503).", "Somebody has to unseal it; then run again.", after=_pause(response))
        case 503:
            return Busy(f"Vault is not available (503) for {what}: {said}", after=_pause(response))
        case 501:
            return ServiceError("Vault is not initialized (501).", "Check VAULT_ADDR.")
        case _ if status >= 500:
            return Busy(f"Vault answered {status} for {what}: {said}", unclear=True, after=_pause(response))
        case _ if status < 400:
            elsewhere = urlsplit(response.headers.get("Location", "")).hostname or "another path"
            return ServiceError(
                f"Vault's answer about {refusal.path} leads to {elsewhere} ({status}); it was not followed.",
                "Check VAULT_ADDR: it has to be the address that answers itself.",
            )
        case _:
            return Invalid(f"Vault refuses {what} ({status}): {said}")


def _not_found(refusal: Refusal) -> KeyturnError:
    said, what = refusal.said, f"{refusal.verb} {refusal.path}"
    if refusal.absent:
        return Missing(f"Vault has nothing at `{refusal.path}` (404).", "Check SECRETS.")
    if "namespace" in said:
        return Missing(f"Vault answers {what}: {said} (404).", "Check VAULT_NAMESPACE.")
    if "unsupported path" in said or "Invalid path" in said:
        return Unsupported(f"This Vault does not know {what} (404): {said}")
    return Missing(f"Vault finds no {refusal.path} (404): {said}", "Check VAULT_ADDR, SECRETS and the mount.")


def unreachable(verb: str, path: str, error: requests.RequestException) -> KeyturnError:
    """Return the error for a request that got no answer, without the library's words: they repeat what was sent."""
    what = f"{verb} {path}"
    if isinstance(error, requests.exceptions.SSLError):
        return ServiceError(
            f"Vault's certificate could not be verified for {what}.",
            "Check VAULT_ADDR, and VAULT_CACERT: it has to hold the certificate of the authority that signed it.",
        )
    if isinstance(error, ValueError):
        return ServiceError(f"{what} cannot be asked.", "Check VAULT_ADDR, VAULT_NAMESPACE and the credentials.")
    kind = "no answer in time" if isinstance(error, requests.exceptions.Timeout) else "the connection failed"
    return Busy(f"Vault: {kind} for {what}.", "Check the network and VAULT_ADDR.", unclear=not _never_sent(error))


def _never_sent(error: requests.RequestException) -> bool:
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    # What ends before there is a connection comes with urllib3's reason for not trying once more.
    cause = error.args[0] if error.args else None
    return isinstance(error, requests.ConnectionError) and isinstance(getattr(cause, "reason", None), Exception)


def _pause(response: requests.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None
