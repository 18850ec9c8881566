"""What Bitbucket is asked, and what its refusals mean, or those of what stands in its place."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipe.clients.answer import About, page_of, parsed
from pipe.clients.http import Answer
from pipe.errors import (
    BadCredentials,
    Busy,
    Conflict,
    Denied,
    Invalid,
    KeyturnError,
    LimitReached,
    Missing,
    ServiceError,
    Unreadable,
)
from pipe.redact import one_line

# A rate limit's reset above this is a moment (seconds since the epoch), not a number of seconds.
EPOCH = 1_000_000

# A write that was refused in a way that leaves it open whether it was done is tried again for so many seconds.
OPEN = 3.0

# Reasons that Bitbucket gives, in which no value can be, and what helps.
_REASONS = (
    (
        r"maximum number of variables",
        "the maximum number of variables has been reached",
        "Delete variables there that nothing needs.",
    ),
    (
        r"too long|exceeds the (maximum|limit)|maximum (length|size)",
        "the value is too long for Bitbucket",
        "Store a shorter value.",
    ),
    (
        r"not accessible by this authentication mechanism",
        "it is not accessible by this kind of token",
        "Use an access token of the repository, the project or the workspace.",
    ),
)

# How fields are called; what is called otherwise may be no name.
_NAME = r"[A-Za-z0-9_.-]{1,60}"


@dataclass(frozen=True)
class Request:
    """A request to the API; `path` is below its root, or a whole address there.

    For errors, `what` is what it is about, and `subject` what is missing where Bitbucket finds nothing.
    """

    method: str
    path: str
    what: str
    subject: str
    body: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def writes(self) -> bool:
        """Whether it changes something."""
        return self.method != "GET"

    @property
    def secret(self) -> bool:
        """Whether it carries a value that nobody may see."""
        return bool(self.body and "value" in self.body)


def pause_of(answer: Answer) -> float | None:
    """Return the pause in seconds that an answer asks for."""
    if answer.pause is not None:
        return answer.pause
    reset = answer.headers.get("x-ratelimit-reset", "")
    return float(reset) if re.fullmatch(r"[0-9]{1,7}", reset) and int(reset) < EPOCH else None


def refusal(answer: Answer, request: Request, about: About, credentials: str) -> KeyturnError:
    """Return what an answer that is no success means; `credentials` names the variables that hold the token.

    Where the request writes and may have been carried out all the same, it is a Busy that is `unclear`.
    """
    status, what = answer.status, request.what
    if status == 429:
        return Busy(
            f"Bitbucket's rate limit is reached (429) for {what}.", "The window is one hour; run again later.",
            after=pause_of(answer), throttled=True,
        )  # fmt: skip
    error = error_of(answer, about)
    if status >= 500 or status == 408:
        page = "" if error is not None or not answer.body.strip() else f" with {page_of(answer)}"
        check = "Check any proxy, and BITBUCKET_API_URL." if page else "Run again later; Bitbucket has a problem."
        return Busy(f"Bitbucket answered {status}{page} for {what}.", check, unclear=True, after=pause_of(answer))
    if status < 400:
        where = answer.leads_to or "elsewhere"
        found = ServiceError(
            f"Bitbucket's answer about {what} leads to {where} ({status}); it was not followed.",
            "Check BITBUCKET_API_URL, and whether the repository or the workspace has been moved or renamed.",
        )
        return _open(request, found)
    if error is None and (status == 404 or answer.body.strip()):
        return about.unreadable(f"it is {page_of(answer) if answer.body.strip() else 'empty'} ({status})")
    refused = _refused(status, error or {}, request, credentials)
    return _open(request, refused) if status == 401 else refused


def error_of(answer: Answer, about: About) -> Mapping[str, Any] | None:
    """Return the error that an answer of Bitbucket's own tells of, None where it is none of Bitbucket's."""
    try:
        body = parsed(answer, about)
    except Unreadable:
        return None
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else None


def _open(request: Request, found: ServiceError) -> ServiceError:
    """Return the error for what is done or not: nothing is known of a write whose answer is none to a write."""
    if not request.writes:
        return found
    return Busy(found.what, found.check, unclear=True, until=time.monotonic() + OPEN)


def _refused(status: int, error: Mapping[str, Any], request: Request, credentials: str) -> ServiceError:
    what, (said, advice) = request.what, _said(error, request)
    match status:
        case 401:
            return BadCredentials(
                f"Bitbucket refuses the credentials (401) for {what}{said}.",
                f"Check {credentials}: is the token complete, unexpired, and of the right kind?",
            )
        case 403:
            return Denied(
                f"Bitbucket denies access (403) to {what}{said}.",
                _scopes(error.get("detail"), credentials) or advice
                or f"The token in {credentials} needs the right to administer the pipelines of that repository or "
                "workspace; a repository's access token reaches that repository alone.",
            )  # fmt: skip
        case 404:
            return Missing(
                f"{request.subject} is not there, or the token may not see it.",
                f"Check TARGETS, and that the token in {credentials} belongs to that repository or workspace.",
            )
        case 409:
            return Conflict(f"Bitbucket: {what} exists already (409).", "Run again; it may have been made just now.")
    kind = LimitReached if "maximum number" in said else Invalid
    return kind(f"Bitbucket refuses {what} ({status}){said}.", advice or "Check its name, and its value's length.")


def _said(error: Mapping[str, Any], request: Request) -> tuple[str, str]:
    """Return Bitbucket's reason as the end of a sentence, and what helps.

    What Bitbucket says may repeat the value that was sent, of which a part is not known for what it is.
    """
    texts = [error.get("message"), error.get("detail")]
    reason = ": ".join(text.strip().rstrip(".") for text in texts if isinstance(text, str) and text.strip())
    known = next(((told, advice) for words, told, advice in _REASONS if re.search(words, reason, re.IGNORECASE)), None)
    told, advice = known or ("" if request.secret or not reason else one_line(reason, 900), "")
    data = error.get("data")
    fields = [error.get("fields"), data.get("arguments") if isinstance(data, dict) else None]
    names = [name for each in fields if isinstance(each, dict) for name in each if re.fullmatch(_NAME, name)]
    about = f"it is about {', '.join(dict.fromkeys(names))}" if names else ""
    said = "; ".join(filter(None, (told, about)))
    return f": {said}" if said else "", advice


def _scopes(detail: Any, credentials: str) -> str:
    """Return which scopes a token lacks, where Bitbucket tells them."""
    required, granted = _texts(detail, "required"), _texts(detail, "granted")
    if not required:
        return ""
    return (
        f"The token in {credentials} needs the scopes: {', '.join(required)}; it has: {', '.join(granted) or 'none'}."
    )


def _texts(detail: Any, name: str) -> list[str]:
    value = detail.get(name) if isinstance(detail, dict) else None
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
