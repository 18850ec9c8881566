"""The sandbox's moods: ways in which a service behaves otherwise than it does by default, switched on by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sandbox.answers import PAGES, SIZES
from sandbox.wire import Environ, Fault, Wire
from sandbox.wrong import WAYS, change

EVERY = "every"
# The one region whose STS can be reached where only one can.
_REACHED = "/eu-central-1/sts/"
_DEFAULT = "default"
# Reads that show the state before the last write, unless a number is given.
_STALE = 2


class UnknownMood(Exception):
    """There is no such mood; the message says which there are."""


@dataclass(frozen=True)
class Mood:
    """One row of the registry: `name=value`, whose mood it is, and what it means."""

    form: str
    service: str
    meaning: str

    @property
    def name(self) -> str:
        """What is before the `=`; of one name one value is on at a time."""
        return self.form.partition("=")[0]

    def fits(self, text: str) -> bool:
        """Tell whether a text has this mood's form."""
        pattern = re.escape(self.form).replace(r"\[", "(").replace(r"\]", ")?")
        for placeholder, values in _PLACEHOLDERS.items():
            pattern = pattern.replace(placeholder, f"({values})")
        return re.fullmatch(pattern, text, re.DOTALL) is not None


_SERVICES = "bitbucket|aws|vault"
_PLACEHOLDERS = {
    "<seconds>": r"\d+(\.\d+)?",
    "<number>": r"[1-9]\d*",
    "<service>": _SERVICES,
    "<secret>": ".+",
    "<page>": "|".join(PAGES),
    "<answer>": "|".join(SIZES),
    "<operation>": "[^:]+",
    "<field>": ".*",
    "<way>": "|".join(re.escape(way) for way in WAYS),
}

MOODS = (
    Mood("put=replace", "bitbucket", "A PUT replaces the whole variable: what it leaves out is empty and unsecured."),
    Mood("secured=sticky", "bitbucket", "A secured variable stays secured: 200, and the answer shows it."),
    Mood("secured=refused", "bitbucket", "A PUT that would make a secured variable unsecured is refused: 400."),
    Mood("next=never", "bitbucket", "A page of a list does not name the next one."),
    Mood("next=loop", "bitbucket", "A page of a list names itself as the next one."),
    Mood("next=broken", "bitbucket", "Who follows `next` gets a 404."),
    Mood("next=broken-401", "bitbucket", "Who follows `next` gets a 401."),
    Mood("size=absent", "bitbucket", "A page does not tell how many there are."),
    Mood("lag=<seconds>", "bitbucket", "Lists show a write so many seconds late; up to 24 were seen."),
    Mood("slugs=equal", "bitbucket", "All environments of a repository have the slug of the oldest one."),
    Mood("scopes=untold", "bitbucket", "No answer tells a token's scopes."),
    Mood(
        "secret=replica[:<secret>]", "aws",
        "A secret, by default every one, is the replica of one in us-east-1: it takes no writes.",
    ),
    Mood("secret=owned[:<secret>]", "aws", "Another service of AWS owns the secret: it takes no writes."),
    Mood("secret=rotated[:<secret>]", "aws", "Secrets Manager itself rotates the secret, by a function of somebody's."),
    Mood(
        "reads=stale[:<number>]", "aws",
        "Describe and List of Secrets Manager, and IAM's list of keys, show the state before the last write, "
        f"{_STALE} times or so many, for five minutes at most.",
    ),
    Mood("labels=refused", "aws", "A policy of the organization denies to move labels between versions."),
    Mood("tags=refused", "aws", "A policy of the organization denies to tag secrets."),
    Mood("sts=one-region", "aws", "Only the STS of eu-central-1 can be reached."),
    Mood(
        "proxy=<page>[:<service>[:<number>]]", EVERY,
        f"A proxy answers in place of the service, from its request of that number on: {', '.join(PAGES)}.",
    ),
    Mood(
        "answers=<answer>[:<service>[:<number>]]", EVERY,
        "Answers are `slow`, a byte each 0.3 seconds; `large`, 9 MiB; a `bomb` of 1 GiB in 1 MB of gzip; or `endless`.",
    ),
    Mood(
        "wrong=<service>:<operation>:<field>:<way>", EVERY,
        "A field of an operation's answers is not what it should be. The operation is a pattern, as the journal names "
        "it; the field a JSON Pointer, by tags where the answer is XML, `*` for the first of several, `header:Date` "
        f"for a header; the way one of {', '.join(WAYS)}.",
    ),
)  # fmt: skip

ALWAYS = (
    ("aws", "A secret keeps 100 versions: beyond, the oldest without a label are dropped that are older than a day; "
            "where there are none, a further version is refused."),
    ("aws", "A secret has 20 labels at most, and 50 tags."),
    ("aws", "Secrets Manager finds only what is in the region that signs, and in its own account."),
    ("aws", "IAM finds a user by its name in any case, and makes none whose name differs in case only."),
)  # fmt: skip


class Moods:
    """Which moods are on; `defaults` are those to which `clear` goes back. Raises UnknownMood."""

    def __init__(self, *defaults: str) -> None:
        self.on: dict[str, str] = {}
        self._defaults: dict[str, str] = {}
        self._wires: list[Wire] = []
        self.turn(*defaults)
        self._defaults.update(self.on)

    def __iter__(self) -> Iterator[str]:
        """Yield the moods that are on, as they were given."""
        return iter([f"{name}={value}" for name, value in self.on.items() if value])

    def turn(self, *moods: str) -> None:
        """Switch moods on, each in place of another of its name, `NAME=default` off; all of them or none."""
        for text in moods:
            if not any(mood.fits(text) or text == f"{mood.name}={_DEFAULT}" for mood in MOODS):
                raise UnknownMood(f"there is no mood {text}; there are {', '.join(mood.form for mood in MOODS)}")
        for name, value in (text.split("=", 1) for text in moods):
            self.on[name] = self._defaults.get(name, "") if value == _DEFAULT else value
        self.settle()

    def clear(self, *, defaults: bool = True) -> None:
        """Go back to the defaults, or switch those off, too."""
        self.on.clear()
        self.on.update(self._defaults if defaults else {})
        self.settle()

    def value(self, name: str) -> str:
        """Return what is behind the `=` of the mood that is on, or nothing."""
        return self.on.get(name, "")

    def connect(self, wire: Wire) -> None:
        """Let a wire spoil requests as the moods say."""
        self._wires.append(wire)
        self.settle()

    def settle(self) -> None:
        """Tell the wires which moods are on; whoever changes `on` from outside says so by this."""
        for wire in self._wires:
            wire.standing(list(_faults(self.on, wire.service)))

    def secret(self, name: str) -> str:
        """Return what a secret of this name is: `replica`, `owned`, `rotated`, or nothing of these."""
        kind, _, wanted = self.value("secret").partition(":")
        return kind if wanted in {"", name} else ""

    @property
    def stale(self) -> int:
        """How many reads show the state before the last write."""
        kind, _, number = self.value("reads").partition(":")
        return int(number or _STALE) if kind else 0


def _faults(on: Mapping[str, str], service: str) -> Iterator[Fault]:
    """Yield what a service's wire has to spoil, all the time."""
    if service == "aws" and on.get("sts"):
        yield Fault("sts.*", "cut-before", times=0, where=_elsewhere)
    for name, suffix in (("proxy", ""), ("answers", "-after")):
        kind, where, nth = _split(on.get(name, ""), 3)
        if kind and where in {"", service}:
            yield Fault("*", kind + suffix, nth=int(nth or 1), times=0)
    where, operation, rest = _split(on.get("wrong", ""), 3)
    if where == service:
        pointer, _, way = rest.rpartition(":")
        yield Fault(operation, "change-after", times=0, change=change(pointer, way))


def _split(text: str, count: int) -> Iterable[str]:
    return (text.split(":", count - 1) + [""] * count)[:count]


def _elsewhere(environ: Environ) -> bool:
    """Tell whether a request is signed for another region than the one; one that nobody signs is not."""
    signed = environ.get("HTTP_AUTHORIZATION", "")
    return bool(signed) and _REACHED not in signed
