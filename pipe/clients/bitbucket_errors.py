"""What Bitbucket's refusals mean."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests

from pipe.errors import BadCredentials, Busy, Conflict, Denied, Invalid, KeyturnError, Missing, ServiceError
from pipe.redact import one_line

# A rate limit's reset above this is a moment (seconds since the epoch), not a number of seconds.
EPOCH = 1_000_000


def unreachable(what: str, error: requests.RequestException) -> KeyturnError:
    """Return the error for a request that got no answer, without the library's words: they repeat the address."""
    if isinstance(error, requests.exceptions.SSLError):
        return ServiceError(
            f"Bitbucket's certificate could not be verified for {what}.", "Check BITBUCKET_API_URL and the proxy."
        )
    never_sent = isinstance(error, requests.exceptions.ConnectTimeout)
    kind = "no answer in time" if isinstance(error, requests.exceptions.Timeout) else "the connection failed"
    return Busy(f"Bitbucket: {kind} for {what}.", "Check the network and BITBUCKET_API_URL.", unclear=not never_sent)


def problem_with(response: requests.Response, what: str, advice: str) -> KeyturnError | None:
    """Return what is wrong with an answer, or None; `advice` names the variables that hold the credentials."""
    status = response.status_code
    if status < 300:
        return None
    said, detail = _said(response)
    match status:
        case 401:
            return BadCredentials(
                f"Bitbucket refuses the credentials (401) for {what}: {said}",
                f"Check {advice}: is the token complete, unexpired, and of the right kind?",
            )
        case 403:
            return Denied(f"Bitbucket denies access (403) to {what}: {said}", _scopes(detail, advice))
        case 404:
            return Missing(
                f"Bitbucket finds no {what} (404).",
                f"Check TARGETS, and that the token in {advice} belongs to that repository or workspace.",
            )
        case 409:
            return Conflict(f"Bitbucket: {what} exists already (409).")
        case 429:
            return Busy(
                f"Bitbucket's rate limit is reached (429) for {what}.",
                "The window is one hour; run again later.",
                after=pause(response),
                throttled=True,
            )
        case _ if status >= 500:
            return Busy(f"Bitbucket answered {status} for {what}.", unclear=True, after=pause(response))
        case _ if status < 400:
            elsewhere = urlsplit(response.headers.get("Location", "")).hostname or "elsewhere"
            return ServiceError(
                f"Bitbucket's answer about {what} leads to {elsewhere}; it was not followed.",
                "Check BITBUCKET_API_URL.",
            )
        case _:
            return Invalid(f"Bitbucket refuses {what} ({status}): {said}")


def _said(response: requests.Response) -> tuple[str, Any]:
    """Return the server's message, which may also be plain text, and its detail."""
    try:
        error = response.json()["error"]
        return str(error.get("message", "")), error.get("detail")
    except (requests.JSONDecodeError, KeyError, TypeError, AttributeError):
        # Cleaned before it is cut: the first part of a value is not known for what it is.
        return one_line(response.text, 200), None


def _scopes(detail: Any, advice: str) -> str:
    if isinstance(detail, dict) and detail.get("required"):
        required = ", ".join(map(str, detail["required"]))
        granted = ", ".join(map(str, detail.get("granted") or [])) or "none"
        return f"The token in {advice} needs the scopes: {required}; it has: {granted}."
    return f"The token in {advice} needs the right to administer the pipelines of that repository or workspace."


def pause(response: requests.Response) -> float | None:
    """Return the pause in seconds that an answer asks for."""
    for header in ("Retry-After", "X-RateLimit-Reset"):
        text = response.headers.get(header, "")
        if text.isdecimal() and int(text) < EPOCH:
            return float(text)
    return None
