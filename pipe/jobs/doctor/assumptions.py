"""Judges what a write probe has heard from Bitbucket: what is as Keyturn assumes, and what is otherwise; pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pipe.errors import KeyturnError
from pipe.jobs.doctor.diagnosis import Check, bad, failed, good, note, unknown
from pipe.report import Table
from pipe.values import Variable, count

AREA = "write probe"

# What a probe writes begins so; nothing of it is worth anything to anybody.
MARK = "keyturn probe"
_NAME = re.compile(r"KEYTURN_PROBE_([0-9a-f]{8})_([0-9a-f]{8})", re.IGNORECASE)
# The longest value that Keyturn writes, in characters.
LONG = 32 * 1024

# Answers may have these headers; those with limits in their names are told as well.
_HEADERS = ("x-oauth-scopes", "x-accepted-oauth-scopes", "x-credential-type", "retry-after")
_PLAIN = re.compile(r"[\w .,:;/+-]{0,200}", re.ASCII)

# Seconds within which a list must show a write, and by which two clocks may differ.
LONGEST_LAG, SKEW = 30.0, 60.0


class Verdict(StrEnum):
    """How an answer is, beside what is assumed."""

    ASSUMED = "as assumed"
    OTHERWISE = "otherwise"
    OPEN = "open"


@dataclass(frozen=True)
class Heard:
    """An answer: its status, 0 where there was none, `body` with what it says, and `sent` with what was written."""

    status: int
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    sent: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def values(self) -> tuple[Mapping[str, Any], ...]:
        """What a page of a list shows."""
        values = self.body.get("values")
        return tuple(each for each in values if isinstance(each, dict)) if isinstance(values, list) else ()


@dataclass
class ProbeFacts:
    """What a probe has heard, by the facts' names, in a place of this `kind`.

    `removed` are variables that an earlier probe had left, `left` those that could not be deleted. `problem` is why the
    probe has ended early.
    """

    kind: str
    heard: dict[str, Heard] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    requests: int = 0
    removed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    problem: KeyturnError | None = None


Judgement = tuple[Verdict, str]


@dataclass(frozen=True)
class Fact:
    """One thing that is assumed of Bitbucket: what is asked, what is assumed, and what it means if it is otherwise.

    Keyturn cannot do its work without a `vital` one.
    """

    name: str
    asks: str
    assumed: str
    judge: Callable[[Heard], Judgement]
    otherwise: str
    vital: bool = False


def name_of(random: str) -> str:
    """Return the name of a probe's variable, which tells that it is one; `random` has eight digits in hexadecimal."""
    return f"KEYTURN_PROBE_{random}_{_proof(random)}"


def is_called_so(key: str) -> bool:
    """Tell whether a variable has a probe's name."""
    found = _NAME.fullmatch(key)
    return found is not None and found[2].lower() == _proof(found[1].lower())


def is_left_over(variable: Variable) -> bool:
    """Tell whether a probe has written a variable: by its name, and by its value where that can be seen."""
    return is_called_so(variable.key) and (not variable.value or variable.value.startswith(MARK))


def told(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that a report may have."""
    wanted = {name: value for name, value in headers.items() if name in _HEADERS or "ratelimit" in name}
    return {name: value for name, value in wanted.items() if _PLAIN.fullmatch(name) and _PLAIN.fullmatch(value)}


def check_probe(facts: ProbeFacts) -> Iterator[Check]:
    """Yield what is to be said of a probe."""
    if facts.problem is not None:
        yield failed(AREA, "ended early", facts.problem)
    for fact in FACTS if facts.heard else ():
        verdict, found = _judged(fact, facts)
        if verdict is Verdict.ASSUMED:
            yield good(AREA, fact.name, f"as assumed: {found}")
        elif verdict is Verdict.OPEN:
            yield unknown(AREA, fact.name, found)
        else:
            yield (bad if fact.vital else note)(AREA, fact.name, f"otherwise: {found}", fact.otherwise)
    if facts.removed:
        yield note(AREA, "left over", f"an earlier probe had left {', '.join(facts.removed)}, which is deleted now")
    if facts.left:
        why = f"{', '.join(facts.left)} could not be deleted"
        yield bad(AREA, "left over", why, "Delete it, or run doctor with WRITE_PROBE again.")


def as_json(facts: ProbeFacts) -> dict[str, Any]:
    """Return what was found, for whoever reports it: no name of a place, and no value."""
    judged = [(fact, *_judged(fact, facts)) for fact in FACTS]
    return {
        "place": facts.kind,
        "requests": facts.requests,
        "facts": [
            {
                "name": fact.name, "asks": fact.asks, "assumed": fact.assumed, "verdict": str(verdict),
                "found": found, "status": facts.heard[fact.name].status if fact.name in facts.heard else 0,
            }
            for fact, verdict, found in judged
        ],
        "headers": facts.headers,
        "removed": facts.removed,
        "left": facts.left,
    }  # fmt: skip


def plan() -> Table:
    """Return what a probe asks, as a plan."""
    rows = tuple((fact.name, fact.asks, fact.assumed) for fact in FACTS)
    return Table((AREA, "request", "assumed"), rows)


def _judged(fact: Fact, facts: ProbeFacts) -> Judgement:
    heard = facts.heard.get(fact.name)
    if heard is None:
        return Verdict.OPEN, "not tried"
    if not heard.status or heard.status == 429 or heard.status >= 500:
        return Verdict.OPEN, f"Bitbucket answered {heard.status}" if heard.status else "there was no answer"
    return fact.judge(heard)


def _proof(random: str) -> str:
    return hashlib.sha256(f"{MARK} {random}".encode()).hexdigest()[:8]


def _as_sent(heard: Heard) -> Judgement:
    """Judge a write that is to be taken, and answered by the variable as it is then."""
    if heard.status not in (200, 201):
        return Verdict.OTHERWISE, f"it is refused ({heard.status})"
    body, sent = heard.body, heard.sent
    differs = []
    if not isinstance(body.get("uuid"), str):
        differs.append("it has no uuid")
    if body.get("key") != sent["key"]:
        differs.append("its key is another one")
    secured = body.get("secured")
    if not isinstance(secured, bool):
        differs.append("it does not tell whether it is secured")
    elif secured is not sent["secured"]:
        differs.append("it is secured" if secured else "it is not secured")
    elif secured and body.get("value"):
        differs.append("its value is shown")
    elif not secured and body.get("value") != sent["value"]:
        differs.append("its value is another one" if body.get("value") else "its value is empty")
    if differs:
        return Verdict.OTHERWISE, f"it is taken ({heard.status}), but {' and '.join(differs)}"
    return Verdict.ASSUMED, f"it is taken ({heard.status}), and it is as it was sent"


def _is(assumed: bool, found: str) -> Judgement:
    return (Verdict.ASSUMED if assumed else Verdict.OTHERWISE), found


def _status(wanted: int) -> Callable[[Heard], Judgement]:
    return lambda heard: _is(heard.status == wanted, f"answered with {heard.status}")


def _lag(heard: Heard) -> Judgement:
    seconds = heard.body.get("seconds")
    late = f"not within {LONGEST_LAG:.0f} seconds"
    return _is(seconds is not None, late if seconds is None else f"after {seconds:.1f} seconds")


def _pagelen(heard: Heard) -> Judgement:
    if heard.status != 200:
        return Verdict.OTHERWISE, f"answered with {heard.status}"
    return _is(len(heard.values) == 1, f"a page of 1 shows {len(heard.values)}")


def _size(heard: Heard) -> Judgement:
    size = heard.body.get("size")
    if size is None:
        return Verdict.OTHERWISE, "a page does not tell it"
    # Of the probe's own two variables at least.
    return _is(isinstance(size, int) and size >= 2, f"a page tells of {size}")


def _other_page(heard: Heard) -> Judgement:
    """Judge the way to the second page, of which `sent` has the first one's uuid."""
    if heard.sent.get("alone"):
        return Verdict.OPEN, "the list shows one variable alone"
    if heard.sent.get("unnamed"):
        return Verdict.OTHERWISE, "a page does not name the next one"
    if heard.status != 200:
        return Verdict.OTHERWISE, f"it leads nowhere ({heard.status})"
    if next((each.get("uuid") for each in heard.values), None) in (None, heard.sent.get("uuid")):
        return Verdict.OTHERWISE, "it leads to the same page, or to an empty one"
    return Verdict.ASSUMED, "it leads to the next page"


def _beyond(heard: Heard) -> Judgement:
    shown = len(heard.values)
    fits = heard.status == 404 or (heard.status == 200 and not shown)
    return _is(fits, f"answered with {heard.status} and {count(shown, 'variable')}")


def _scopes(heard: Heard) -> Judgement:
    scopes = heard.body.get("x-oauth-scopes")
    return _is(bool(scopes), f"{scopes}" if scopes else "no answer tells them")


def _limits(heard: Heard) -> Judgement:
    names = ", ".join(name for name in heard.body if "ratelimit" in name)
    return Verdict.ASSUMED, f"answers have {names}" if names else "no answer tells of it"


def _clock(heard: Heard) -> Judgement:
    skew = heard.body.get("skew")
    if skew is None:
        return Verdict.OTHERWISE, "no answer tells the time"
    ahead = "ahead of" if skew > 0 else "behind"
    seconds = count(round(abs(skew)), "second")
    return _is(abs(skew) <= SKEW, f"Bitbucket's clock is {seconds} {ahead} this machine's")


_WHOLE = "Nothing is to be done: Keyturn always sends key, value and secured."
_PAGES = "Nothing is to be done: Keyturn holds pages and `size` against each other, and refuses a list that is short."

# In the order in which they are asked.
FACTS = (
    Fact("create", "POST key, value, secured: false", "201, as it was sent", _as_sent,
         "Check the token's scopes, and that it may administer the repository or workspace.", vital=True),
    Fact("create again", "POST the same once more", "409", _status(409),
         "Keyturn takes 409 for the sign that another run was first: please report this.", vital=True),
    Fact("another case", "POST the key in lower case", "201, a second variable", _as_sent,
         "Do not use names that differ in case alone."),
    Fact("lag", "GET the list until it shows both", f"within {LONGEST_LAG:.0f} seconds", _lag,
         "Leave time between two runs on one target."),
    Fact("partial write: key", "PUT key alone", "200, value and secured stay", _as_sent, _WHOLE),
    Fact("partial write: value", "PUT value alone", "200, key and secured stay", _as_sent, _WHOLE),
    Fact("several lines", "PUT a value with a line break", "200, as it was sent", _as_sent,
         "Use ENCODE: base64 for such values."),
    Fact("long value", f"PUT a value of {LONG // 1024} KiB", "200, as it was sent", _as_sent,
         "Keep values shorter: Bitbucket's limit is lower than Keyturn's."),
    Fact("empty value", "PUT an empty value", "400", _status(400),
         "Nothing is to be done: Keyturn never writes an empty value."),
    Fact("secure", "PUT key, value, secured: true", "200, secured, without a value", _as_sent,
         "Keyturn cannot keep secrets in a variable that is not secured: please report this.", vital=True),
    Fact("secured to unsecured", "PUT key, value, secured: false", "200, unsecured, with its value", _as_sent,
         "Nothing is to be done: Keyturn leaves an id secured that is so. Delete it by hand to make it unsecured."),
    Fact("page length", "GET ?pagelen=1&page=1", "1 variable", _pagelen, _PAGES),
    Fact("size", "the same answer", "`size` is there", _size, _PAGES),
    Fact("next", "GET its `next`", "200, the next variable", _other_page, _PAGES),
    Fact("page number", "GET ?pagelen=1&page=2", "200, the next variable", _other_page,
         "A list of more than 100 variables may be refused as short."),
    Fact("past the end", "GET ?pagelen=100&page=99", "an empty page, or 404", _beyond, _PAGES),
    Fact("delete", "DELETE both", "204", _status(204), "Delete what is left by hand.", vital=True),
    Fact("delete again", "DELETE one of them once more", "404", _status(404),
         "Nothing is to be done: what is gone stays gone."),
    Fact("scopes", "the headers", "X-OAuth-Scopes", _scopes,
         "Nothing is to be done: what a token may not do shows when it is tried."),
    Fact("rate limit", "the headers", "told for access tokens alone", _limits, ""),
    Fact("clock", "the headers", f"within {SKEW:.0f} seconds of this machine's", _clock,
         "Nothing is to be done for Bitbucket; AWS refuses requests of a machine whose clock is five minutes wrong."),
)  # fmt: skip
