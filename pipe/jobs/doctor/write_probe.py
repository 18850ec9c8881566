"""Writes throw-away variables into one target to see what Bitbucket makes of them, and deletes them again."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pipe.clients.bitbucket import Bitbucket
from pipe.clients.bitbucket_errors import pause_of
from pipe.clients.http import Answer
from pipe.errors import Busy, KeyturnError
from pipe.jobs.doctor.assumptions import LONG, MARK, Heard, ProbeFacts, is_called_so, is_left_over, name_of, told
from pipe.retry import Deadline
from pipe.values import Place, Target, Variable

# Pauses in seconds before the list is read again.
PAUSES = (0.5, 1.0, 2.0, 3.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0)
# A request that Bitbucket does not answer for now is made so often.
ATTEMPTS = 3


def write_probe(bitbucket: Bitbucket, target: Target, deadline: Deadline) -> ProbeFacts:
    """Try writing in a target, and return what was heard; what was made is deleted, whatever happens meanwhile."""
    kind = target.kind.value
    try:
        place = bitbucket.find(target)
        probe = _Probe(bitbucket, place, deadline)
        probe.look()
    except KeyturnError as error:
        return ProbeFacts(kind, problem=error)
    problem = None
    try:
        probe.ask()
    except KeyturnError as error:
        problem = error
    finally:
        # SIGTERM ends the asking, and not the cleaning.
        with deadline.uninterrupted():
            left = probe.clean()
    removed = tuple(probe.removed)
    return ProbeFacts(
        kind, probe.heard, probe.headers, probe.requests, removed, tuple(probe.foreign), left, problem
    )  # fmt: skip


@dataclass
class _Probe:
    """One probe of a place; `others` are the variables that earlier ones have left, by key."""

    bitbucket: Bitbucket
    place: Place
    deadline: Deadline
    heard: dict[str, Heard] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    others: dict[str, Variable] = field(default_factory=dict)
    foreign: dict[str, None] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    requests: int = 0

    def __post_init__(self) -> None:
        self._random = secrets.token_hex(4)
        self._key = name_of(self._random)
        # What this probe has made, as its list of variables would have it, and the keys of what it may have made.
        self._mine: dict[str, Variable] = {}
        self._unsure: set[str] = set()

    def look(self) -> dict[str, Variable]:
        """Return the place's variables, and note what other probes have left."""
        self.requests += 1
        held = self.bitbucket.variables(self.place)
        for key, variable in held.items():
            if key.upper() == self._key.upper() or not is_called_so(key):
                continue
            if is_left_over(variable):
                self.others[key] = variable
            else:
                self.foreign[key] = None
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
        self._put(uuid, "partial write: key", {"key": key}, plain)
        self._put(uuid, "partial write: value", {"value": self._value("2")}, {**plain, "value": self._value("2")})
        for name, value in (("several lines", "3\nand a second line"), ("long value", "x" * LONG)):
            whole = {**plain, "value": self._value(value)[:LONG]}
            self._put(uuid, name, whole, whole)
        self._put(uuid, "empty value", {**plain, "value": ""}, plain)
        for name, secured in (("secure", True), ("secured to unsecured", False)):
            whole = {"key": key, "value": self._value("4"), "secured": secured}
            self._put(uuid, name, whole, whole)
        self._pages()
        for each in filter(None, (lower, uuid)):
            if self._heard("delete", "DELETE", each).status in (204, 404):
                del self._mine[each]
        self._heard("delete again", "DELETE", uuid)

    def clean(self) -> tuple[str, ...]:
        """Delete what this probe has made, and what others have left; return the names of what could not be."""
        for key in self._unsure:
            self._find(key)
        left = [variable.key for variable in self._mine.values() if self._deleted(variable) is None]
        for key, variable in self.others.items():
            deleted = self._deleted(variable)
            if deleted is None:
                left.append(key)
            elif deleted:
                self.removed.append(key)
        return tuple(left)

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
                self.deadline.wait(pause)

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

    def _put(self, uuid: str, name: str, body: Mapping[str, Any], sent: Mapping[str, Any]) -> None:
        self._heard(name, "PUT", uuid, body, sent)

    def _lag(self) -> None:
        """Look until the list shows what was made."""
        began = time.monotonic()
        for pause in (*PAUSES, None):
            held = self.look()
            if {each.key for each in self._mine.values()} <= held.keys():
                self.heard["lag"] = Heard(200, {"seconds": time.monotonic() - began})
                return
            if pause is not None:
                self.deadline.wait(pause)
        self.heard["lag"] = Heard(200, {"seconds": None})

    def _pages(self) -> None:
        first = self._heard("page length", "GET", "?pagelen=1&page=1")
        self.heard["size"] = first
        size, link = first.body.get("size"), first.body.get("next")
        about = {"uuid": next((each.get("uuid") for each in first.values), None), "alone": size == 1}
        if isinstance(link, str):
            try:
                self._heard("next", "GET", link, sent=about)
            except KeyturnError:
                # It leads to another server, which is not asked.
                self.heard["next"] = Heard(404, sent=about)
        else:
            self.heard["next"] = Heard(200, sent={**about, "unnamed": True})
        self._heard("page number", "GET", "?pagelen=1&page=2", sent=about)
        self._heard("past the end", "GET", "?pagelen=100&page=99")

    def _heard(
        self, name: str, method: str, below: str = "", body: Mapping[str, Any] | None = None,
        sent: Mapping[str, Any] | None = None,
    ) -> Heard:  # fmt: skip
        """Make a request, unless the run is to end, and note what is heard."""
        self.deadline.check()
        self.heard[name] = heard = replace(self._asked(method, below, body), sent=sent or {})
        return heard

    def _asked(self, method: str, below: str, body: Mapping[str, Any] | None = None) -> Heard:
        """Make a request; one that changes nothing twice is repeated where that may help."""
        for attempt in range(1, ATTEMPTS + 1):
            self.requests += 1
            try:
                answer = self.bitbucket.raw(method, self.place, below, body)
            except Busy:
                pause, heard = 1.0, Heard(0)
            else:
                self._note(answer)
                pause, heard = pause_of(answer) or 1.0, Heard(answer.status, _object(answer))
            again = heard.status == 429 or (method != "POST" and (not heard.status or heard.status >= 500))
            if not again or attempt == ATTEMPTS or pause > self.deadline.left:
                return heard
            self.deadline.wait(pause)
        raise AssertionError("unreachable")

    def _note(self, answer: Answer) -> None:
        self.headers |= told(answer.headers)
        self.heard["scopes"] = self.heard["rate limit"] = Heard(200, self.headers)
        skew = (answer.date - datetime.now(UTC)).total_seconds() if answer.date else None
        self.heard["clock"] = Heard(200, {"skew": skew})


def _object(answer: Answer) -> Mapping[str, Any]:
    with contextlib.suppress(ValueError, RecursionError):
        read = json.loads(answer.body)
        if isinstance(read, dict):
            return read
    return {}
