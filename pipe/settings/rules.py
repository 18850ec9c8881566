"""One variable of the public interface, and its rule: it reads a text, and says what is wrong with one it refuses."""

import ipaddress
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from pipe.errors import Problem
from pipe.redact import one_line
from pipe.reserved_names import NAME, reserved
from pipe.selectors import Selector, read_selectors
from pipe.sources.registry import SOURCES, stored_forms

# `$NAME` alone is what a step's variable is called, and not what it holds.
_UNEXPANDED = re.compile(r"\$(?:\{[A-Z_][A-Z0-9_]*\}|[A-Z_][A-Z0-9_]*)")
_QUOTES = ('"', "'")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
# How many characters of a value are shown.
_SHOWN = 80

# What credentials of all kinds look like; whoever mixes up two variables may have put one into any of them.
_CREDENTIAL = re.compile(
    r"(ATATT|ATCTT|ATBB|hv[sbr]\.|eyJ).*|.*-----BEGIN .*"
    r"|(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[A-Za-z0-9/+=_.-]{30,}",
    re.DOTALL,
)

_UUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


class Wrong(Exception):
    """A value that a rule refuses: what it must be, and what helps; `hint` helps, too, and repeats a part of it.

    With `shows` false the value may hold a secret, such as an address with a password.
    """

    def __init__(self, must: str, advice: str = "", *, hint: str = "", shows: bool = True) -> None:
        super().__init__(must)
        self.must = must
        self.advice = advice
        self.hint = hint
        self.shows = shows


class Rule(Protocol):
    """What a value has to be."""

    def read(self, text: str) -> Any:
        """Return what a text says; raises Wrong."""


class Text:
    """Any text at all, of several lines, too."""

    def read(self, text: str) -> str:
        """Return the text."""
        return text


class Pattern(NamedTuple):
    """A text that fits a pattern as a whole; `hints` are patterns of usual mistakes, with what helps each time."""

    pattern: str
    what: str
    hints: tuple[tuple[str, str], ...] = ()

    def read(self, text: str) -> str:
        """Return the text; raises Wrong."""
        if re.fullmatch(self.pattern, text, re.ASCII):
            return text
        for pattern, advice in self.hints:
            found = re.fullmatch(pattern, text, re.ASCII)
            if found:
                raise Wrong(f"must be {self.what}", hint=advice.format(*found.groups()))
        raise Wrong(f"must be {self.what}")


class Token(NamedTuple):
    """One word of characters that a header can carry; `others` are beginnings of other kinds, with what helps."""

    others: tuple[tuple[str, str], ...] = ()

    def read(self, text: str) -> str:
        """Return the token; raises Wrong."""
        for beginning, advice in self.others:
            if text.startswith(beginning):
                raise Wrong(f"begins with {beginning}, so that it is of another kind", advice)
        if _is_quoted(text):
            raise Wrong("must not stand in quotes", "They are part of the value; leave them out.")
        if not _PRINTABLE.fullmatch(text):
            scheme = re.match(r"(bearer|basic|token) ", text, re.IGNORECASE)
            advice = f"Leave the word “{scheme[1]}” out." if scheme else ""
            raise Wrong("must be one word of printable characters", advice)
        return text


class Choice(NamedTuple):
    """One of several words, in upper or lower case."""

    words: tuple[str, ...]

    def read(self, text: str) -> str:
        """Return the word as it is written here; raises Wrong."""
        if text.lower() not in self.words:
            raise Wrong(f"must be {' or '.join(self.words)}")
        return text.lower()


class Switch(NamedTuple):
    """`true` or `false`, in upper or lower case; `others` are further words for a kind of `true`."""

    others: tuple[str, ...] = ()

    def read(self, text: str) -> bool | str:
        """Return what is said, one of the other words as itself; raises Wrong."""
        word = text.lower()
        return word if word in self.others else Choice(("true", "false")).read(text) == "true"


class Number(NamedTuple):
    """A whole number, from the least to the most."""

    of: str
    least: int
    most: int

    def read(self, text: str) -> int:
        """Return the number; raises Wrong."""
        if re.fullmatch(r"[0-9]{1,9}", text) and self.least <= int(text) <= self.most:
            return int(text)
        with_unit = re.fullmatch(rf"([0-9]{{1,9}}) ?(?:{self.of[0]}|{self.of}?)", text)
        hint = f"Give the number alone: {with_unit[1]}." if with_unit else ""
        raise Wrong(f"must be a whole number of {self.of}, from {self.least} to {self.most:,}", hint=hint)


class SwitchOrCount:
    """`true` or `false`, or how many."""

    def read(self, text: str) -> tuple[bool, int]:
        """Return what is said, and how many, 0 where that is not said; raises Wrong."""
        if re.fullmatch(r"[1-9][0-9]{0,5}", text):
            return True, int(text)
        if text.lower() not in ("true", "false"):
            raise Wrong("must be true or false, or a whole number: exactly that many")
        return text.lower() == "true", 0


class Address(NamedTuple):
    """An address: https, or http on this machine. One that is a secret as a whole may have a query."""

    secret: bool = False

    def read(self, text: str) -> str:
        """Return the address; raises Wrong."""
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            parts, host, port = urlsplit(""), "", None
        odd = parts.username or parts.password or parts.fragment or (parts.query and not self.secret)
        shows = not (self.secret or odd or "@" in text)
        if not host or port == 0 or odd or not _PRINTABLE.fullmatch(text):
            lacks = shows and "://" not in text and re.fullmatch(r"[\w.-]+(:\d+)?(/.*)?", text)
            without = "user or fragment" if self.secret else "user, query or fragment"
            raise Wrong(
                f"must be an address such as https://host/path, without {without}",
                "It lacks https:// at its beginning." if lacks else "",
                shows=shows,
            )
        if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
            raise Wrong("must begin with https://", "http:// is for this machine only.", shows=shows)
        return text


class VariableName(NamedTuple):
    """The name of a variable in Bitbucket; `own` is whether it is one of Keyturn's own, such as the state's."""

    own: bool = False

    def read(self, text: str) -> str:
        """Return the name; raises Wrong."""
        if not NAME.fullmatch(text):
            raise Wrong("must be a name of a variable: letters, digits and _, and no digit first")
        whose = reserved(text)
        if whose and not (self.own and whose == "Keyturn"):
            raise Wrong(f"must be a name that {whose} does not reserve for itself")
        return text


class Listing(NamedTuple):
    """A list, of which each item keeps a rule of its own."""

    item: Rule = Text()

    def read(self, text: str) -> Any:
        """Return what one item says; raises Wrong."""
        return self.item.read(text)


class Lines:
    """Lines, or a text with semicolons."""

    def read(self, text: str) -> str:
        """Return the text; raises Wrong."""
        if text[:1] in ("[", "{") and _json(text) is not None:
            raise Wrong("must not be JSON", "Give a YAML list, or one secret a line.")
        return text


class SessionPolicy:
    """`minimal`, or a policy of IAM as JSON."""

    def read(self, text: str) -> str | dict[str, Any]:
        """Return the word, or the policy; raises Wrong."""
        if text.lower() == "minimal":
            return "minimal"
        policy = _json(text)
        if not isinstance(policy, dict) or not policy.get("Statement"):
            raise Wrong("must be `minimal`, or a policy of IAM as JSON")
        return policy


class StoredSecret:
    """Where one key of one secret is stored."""

    def read(self, text: str) -> tuple[str, Selector]:
        """Return the source and what selects the secret there; raises Wrong."""
        source, _, place = text.partition(":")
        selectors, problems = read_selectors(place, source) if source in SOURCES else ((), [])
        if problems or len(selectors) != 1 or selectors[0].wild or selectors[0].name:
            raise Wrong(f"must name one key of one secret: {stored_forms()}; but for vault, the key may be left out")
        return source, selectors[0]


class TargetText:
    """A target as it is written, whose workspace and repository may be the step's own."""

    def read(self, text: str) -> tuple[str, str, str, str]:
        """Return kind, workspace, repository and environment; the last three may be empty. Raises Wrong."""
        found = re.fullmatch(
            r"(?:(?P<workspace>[^/:\s]+)(?:/(?P<repository>[^/:\s]+))?:\s*)?"
            r"(?P<kind>deployment\s*:|repository|workspace)(?P<environment>.*)",
            text,
            re.IGNORECASE,
        )
        form = (
            "must be [workspace/repository:]deployment:<environment>, [workspace/repository:]repository or "
            "[<workspace>:]workspace"
        )
        if not found:
            alone = re.fullmatch(r"(?!deployment$)[\w-]+", text)
            raise Wrong(form, hint=f"Is deployment:{text} meant?" if alone else "")
        kind, workspace = found["kind"].rstrip(": ").lower(), found["workspace"] or ""
        repository, environment = found["repository"] or "", found["environment"].strip()
        if kind == "workspace":
            if repository or environment:
                raise Wrong(form, "A workspace has no repository." if repository else "")
        elif workspace and not repository:
            raise Wrong(form, hint=f"Name the workspace, too: <workspace>/{text}.")
        elif bool(environment) != (kind == "deployment"):
            raise Wrong(form)
        return kind, workspace, repository, f"{{{environment}}}" if re.fullmatch(_UUID, environment) else environment


def read(rule: Rule, text: str) -> Any:
    """Return what a text says by a rule; raises Wrong, for what is wrong by any rule, too."""
    if _UNEXPANDED.fullmatch(text):
        raise Wrong("is the name of a variable and not its value", "Nothing has put the variable's value there.")
    try:
        return rule.read(text)
    except Wrong as wrong:
        if _is_quoted(text):
            raise Wrong(wrong.must, "The quotes are part of the value; leave them out.", shows=wrong.shows) from None
        raise


class Variable(NamedTuple):
    """One variable: which jobs take it, what its value must be, and what it means.

    `default` is the text that stands for an empty or missing value, `shown_default` says in words what does where that
    is no text. `secret` is a value that is never shown; `private` is one beside a secret, so that somebody who mixes
    the two up puts the secret there: it is not shown either. `from_step` is taken from the step's own variable of that
    name, by pipe.yml's default. `way` is the service that it signs in to; `of_run` belongs to a run, and not to one of
    the jobs of a fleet. `also` has other names that people give it, with blanks between them.
    """

    name: str
    rule: Rule
    meaning: str
    group: str = ""
    jobs: frozenset[str] = frozenset()
    default: str = ""
    shown_default: str = ""
    secret: bool = False
    private: bool = False
    from_step: bool = False
    required: bool = False
    way: str = ""
    of_run: bool = False
    also: str = ""

    @property
    def is_list(self) -> bool:
        """Whether it may be given as NAME_COUNT, NAME_0, …, or as one text with commas."""
        return isinstance(self.rule, Listing)

    @property
    def is_lines(self) -> bool:
        """Whether it is a text of several lines, which may be given as a list, too."""
        return isinstance(self.rule, Lines)

    @property
    def may_hold_a_secret(self) -> bool:
        """Whether a value that the rule takes may be a secret: by mistake, too, where it has no form of its own."""
        return self.secret or (self.private and not isinstance(self.rule, Lines | SessionPolicy | StoredSecret))

    def problems(self, value: str | Sequence[str]) -> Iterator[Problem]:
        """Yield what is wrong with a value, or with each item of a list; nothing that may be secret is repeated."""
        texts = [value] if isinstance(value, str) else list(value)
        if self.is_list and texts[0].startswith("["):
            yield Problem(self.name, "must not be JSON", "Give a YAML list, or one text with commas.")
            return
        for text in texts:
            try:
                read(self.rule, text)
            except Wrong as wrong:
                shows = wrong.shows and self.may_show(text)
                shown = f", not “{one_line(text, _SHOWN)}”" if shows else ""
                yield Problem(self.name, f"{wrong.must}{shown}", wrong.advice or (wrong.hint if shows else ""))

    def may_show(self, text: str) -> bool:
        """Tell whether a value may be printed: whoever mixes up two variables may have put a secret into this one."""
        return not (self.secret or self.private or _CREDENTIAL.fullmatch(text))


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] and text[0] in _QUOTES


def _json(text: str) -> Any:
    """Return what a text says as JSON; None where it is none, or has too many levels."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
