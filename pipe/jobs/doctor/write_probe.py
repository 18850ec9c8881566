"""Writes throw-away variables into one target to see what Bitbucket makes of them, and deletes them again."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pipe.clients.bitbucket import Bitbucket
from pipe.clients.bitbucket_errors import pause_of
from pipe.clients.http import Answer
from pipe.errors import Busy, KeyturnError
from pipe.jobs.doctor.assumptions import LONG, MARK, Heard, ProbeFacts, is_left_over, name_of, told
from pipe.retry import Deadline
from pipe.values import Place, Target, Variable

# Pauses in seconds before the list is read again.
PAUSES = (0.5, 1.0, 2.0, 3.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0)
# A request that Bitbucket does not answer for now is made so often.
ATTEMPTS = 3


def write_probe(bitbucket: Bitbucket, target: Target, deadline: Deadline) -> ProbeFacts:
    """Try writing in a target, and return what was heard; what was made is deleted, whatever happens meanwhile."""
    facts = ProbeFacts(target.kind.value)
    try:
        probe = _Probe(bitbucket, bitbucket.find(target), deadline, facts)
        probe.look()
    except KeyturnError as error:
        facts.problem = error
        return facts
    try:
        probe.ask()
    except KeyturnError as error:
        facts.problem = error
    finally:
        # SIGTERM ends the asking, and not the cleaning.
        with deadline.uninterrupted():
            probe.clean()
    return facts


class _Probe:
    """One probe of a place, which notes in `facts` what it hears."""

    def __init__(self, bitbucket: Bitbucket, place: Place, deadline: Deadline, facts: ProbeFacts) -> None:
        self._bitbucket = bitbucket
        self._place = place
        self._deadline = deadline
        self._facts = facts
        self._random = secrets.token_hex(4)
        self._key = name_of(self._random)
        # What this probe has made, by uuid, the keys of what it may have made, and what earlier probes have left.
        self._mine: dict[str, Variable] = {}
        self._unsure: set[str] = set()
        self._others: dict[str, Variable] = {}

    def look(self) -> dict[str, Variable]:
        """Return the place's variables, and note what other probes have left."""
        self._facts.requests += 1
        held = self._bitbucket.variables(self._place)
        own = self._key.upper()
        self._others |= {key: each for key, each in held.items() if key.upper() != own and is_left_over(each)}
        return held

    def ask(self) -> None:
        """Ask all, one after the other; raises Stopped, and ServiceError where not even the list can be had."""
        key, plain = self._key, {"key": self._key, "value": self._value("1"), "secured": False}
        uuid = self._create("create", plain)
        if not uuid:
            return
        self._create("create again", plain)
        lower = self._create("another case", {**plain, "key": key.lower()})
        self._lag()
        self._heard("partial write: key", "PUT", uuid, {"key": key}, plain)
        value = {"value": self._value("2")}
        self._heard("partial write: value", "PUT", uuid, value, {**plain, **value})
        for name, whole in (
            ("several lines", {**plain, "value": self._value("3\nand a second line")}),
            ("long value", {**plain, "value": self._value("x" * LONG)[:LONG]}),
            ("empty value", {**plain, "value": ""}),
            ("secure", {**plain, "value": self._value("4"), "secured": True}),
            ("secured to unsecured", {**plain, "value": self._value("4")}),
        ):
            self._heard(name, "PUT", uuid, whole, whole)
        self._pages()
        for each in filter(None, (lower, uuid)):
            if self._heard("delete", "DELETE", each).status in (204, 404):
                del self._mine[each]
        self._heard("delete again", "DELETE", uuid)

    def clean(self) -> None:
        """Delete what this probe has made, and what others have left; note what was there, and what could not be."""
        for key in self._unsure:
            self._find(key)
        self._facts.left += [each.key for each in self._mine.values() if self._deleted(each) is None]
        for key, variable in self._others.items():
            deleted = self._deleted(variable)
            if deleted is not False:
                (self._facts.left if deleted is None else self._facts.removed).append(key)

    def _deleted(self, variable: Variable) -> bool | None:
        """Delete a variable; tell whether it was there, None where it may be there still."""
        try:
            status = self._asked("DELETE", variable.uuid).status
        except KeyturnError:
            return None
        return {204: True, 404: False}.get(status)

    def _find(self, key: str) -> None:
        """Look for what may have been made; what no list shows for a while was not."""
        with contextlib.suppress(KeyturnError):
            for pause in PAUSES:
                found = self.look().get(key)
                if found is not None:
                    self._mine[found.uuid] = found
                    return
                self._deadline.wait(pause)

    def _value(self, text: str) -> str:
        return f"{MARK} {self._random} {text}"

    def _create(self, name: str, body: Mapping[str, Any]) -> str:
        """Create a variable; return its uuid, empty where none was made as far as is known."""
        key = str(body["key"])
        if name != "create again":
            # Whoever is killed here has made it, or not.
            self._unsure.add(key)
        heard = self._heard(name, "POST", body=body, sent=body)
        uuid = heard.body.get("uuid")
        if heard.status in (200, 201) and isinstance(uuid, str):
            self._mine[uuid] = Variable(uuid, key, None, secured=False)
        else:
            uuid = ""
        if uuid or 400 <= heard.status < 500:
            self._unsure.discard(key)
        return uuid

    def _lag(self) -> None:
        """Look until the list shows what was made."""
        began = time.monotonic()
        for pause in (*PAUSES, None):
            held = self.look()
            if {each.key for each in self._mine.values()} <= held.keys():
                self._facts.heard["lag"] = Heard(200, {"seconds": time.monotonic() - began})
                return
            if pause is not None:
                self._deadline.wait(pause)
        self._facts.heard["lag"] = Heard(200, {"seconds": None})

    def _pages(self) -> None:
        first = self._heard("page length", "GET", "?pagelen=1&page=1")
        self._facts.heard["size"] = first
        size, link = first.body.get("size"), first.body.get("next")
        about = {"uuid": next((each.get("uuid") for each in first.values), None), "alone": size == 1}
        if isinstance(link, str):
            try:
                self._heard("next", "GET", link, sent=about)
            except KeyturnError:
                # It leads to another server, which is not asked.
                self._facts.heard["next"] = Heard(404, sent=about)
        else:
            self._facts.heard["next"] = Heard(200, sent={**about, "unnamed": True})
        self._heard("page number", "GET", "?pagelen=1&page=2", sent=about)
        self._heard("past the end", "GET", "?pagelen=100&page=99")

    def _heard(
        self, name: str, method: str, below: str = "", body: Mapping[str, Any] | None = None,
        sent: Mapping[str, Any] | None = None,
    ) -> Heard:  # fmt: skip
        """Make a request, unless the run is to end, and note what is heard."""
        self._deadline.check()
        self._facts.heard[name] = heard = replace(self._asked(method, below, body), sent=sent or {})
        return heard

    def _asked(self, method: str, below: str, body: Mapping[str, Any] | None = None) -> Heard:
        """Make a request; one that changes nothing twice is repeated where that may help."""
        for attempt in range(1, ATTEMPTS + 1):
            self._facts.requests += 1
            try:
                answer = self._bitbucket.raw(method, self._place, below, body)
            except Busy:
                pause, heard = 1.0, Heard(0)
            else:
                self._note(answer)
                pause, heard = pause_of(answer) or 1.0, Heard(answer.status, _object(answer))
            again = heard.status == 429 or (method != "POST" and (not heard.status or heard.status >= 500))
            if not again or attempt == ATTEMPTS or pause > self._deadline.left:
                return heard
            self._deadline.wait(pause)
        raise AssertionError("unreachable")

    def _note(self, answer: Answer) -> None:
        self._facts.headers |= told(answer.headers)
        self._facts.heard["scopes"] = self._facts.heard["rate limit"] = Heard(200, self._facts.headers)
        skew = (answer.date - datetime.now(UTC)).total_seconds() if answer.date else None
        self._facts.heard["clock"] = Heard(200, {"skew": skew})


def _object(answer: Answer) -> Mapping[str, Any]:
    with contextlib.suppress(ValueError, RecursionError):
        read = json.loads(answer.body)
        if isinstance(read, dict):
            return read
    return {}
