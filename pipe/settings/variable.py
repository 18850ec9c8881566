"""One variable of the public interface, and what is wrong with a value of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipe.errors import Problem
from pipe.redact import one_line
from pipe.settings.rules import Lines, Listing, Rule, SessionPolicy, StoredSecret, Wrong, read

# How many characters of a value are shown.
_SHOWN = 80

# What credentials of all kinds look like; whoever mixes up two variables may have put one into any of them.
_CREDENTIAL = re.compile(
    r"(ATATT|ATCTT|ATBB|hv[sbr]\.|eyJ).*|.*-----BEGIN .*"
    r"|(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[A-Za-z0-9/+=_.-]{30,}",
    re.DOTALL,
)


@dataclass(frozen=True)
class Variable:
    """One variable: which jobs take it, what its value must be, and what it means.

    `default` is the text that stands for an empty or missing value, `shown_default` says in words what does where that
    is no text. `secret` is a value that is never shown; `private` is one beside a secret, so that somebody who mixes
    the two up puts the secret there: it is not shown either. `from_step` is taken from the step's own variable of that
    name, by pipe.yml's default.
    """

    name: str
    group: str
    jobs: frozenset[str]
    rule: Rule
    meaning: str
    default: str = ""
    shown_default: str = ""
    secret: bool = False
    private: bool = False
    from_step: bool = False
    required: bool = False

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
