"""An address that takes notices as JSON."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from pipe.clients.http import Door
from pipe.errors import Busy, Invalid, ServiceError
from pipe.redact import Secret, learn
from pipe.retry import Deadline

# A notice that comes twice is better than none.
ATTEMPTS = 2

# Hosts that take a text and nothing beside it, and how many characters of it.
SLACK = ("hooks.slack.com", "hooks.slack-gov.com")
LONGEST = 12_000

# The version of the shape that all others get; it changes when a field changes its meaning or goes.
SCHEMA = "keyturn/notice/1"

# Shorter parts of an address are words, and no secret.
_SHORTEST = 8


class Webhook:
    """An address whose path is the credential, so that no message shows it; raises Invalid where it is none."""

    def __init__(self, address: Secret, deadline: Deadline) -> None:
        self._address = address
        self._deadline = deadline
        parts = urlsplit(address.reveal())
        if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost"):
            raise Invalid("NOTIFY_URL must begin with https://.", "Check NOTIFY_URL.")
        for part in (parts.path, parts.query, *parts.path.split("/")):
            if len(part) >= _SHORTEST:
                learn(part)
        self._host = parts.hostname or ""
        self._door = Door("NOTIFY_URL", f"{parts.scheme}://{parts.netloc}", "NOTIFY_URL", deadline)

    def post(self, subject: str, text: str, report: Any) -> None:
        """Send a notice; raises ServiceError. A redirect is not followed."""
        sent = json.dumps(body_for(self._host, subject, text, report)).encode()
        self._deadline.retry(lambda: self._post(sent), attempts=ATTEMPTS)

    def _post(self, body: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        answer = self._door.ask("POST", self._address.reveal(), "the notice", headers=headers, body=body)
        if answer.status < 300:
            return
        said = f"The address in NOTIFY_URL does not take the notice ({answer.status})."
        if answer.status == 429 or answer.status >= 500:
            raise Busy(said, "Check who answers there.", after=answer.pause, unclear=answer.status >= 500)
        raise ServiceError(said, "Check NOTIFY_URL: is it whole, and still valid?")


def body_for(host: str, subject: str, text: str, report: Any) -> dict[str, Any]:
    """Return a notice in the shape that a host takes."""
    if host in SLACK:
        return {"text": _escaped(f"*{subject}*\n{text}"[:LONGEST])}
    return {"schema": SCHEMA, "subject": subject, "text": text, "report": report}


def _escaped(text: str) -> str:
    """Return a text as Slack reads it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
