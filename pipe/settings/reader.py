"""Reads the variables that a job takes, and collects what is wrong with them, and with the names that are given."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pipe.errors import Problem
from pipe.redact import learn, show, visible
from pipe.settings.face import Face
from pipe.settings.rules import read
from pipe.settings.variables import BY_NAME, STEP_SECRETS, VARIABLES

# What Bitbucket hands to each step, as far as it is told to people.
_OF_THE_STEP = re.compile(r"BITBUCKET_(WORKSPACE|REPO|BUILD|DEPLOYMENT|PIPELINE|STEP|BRANCH|COMMIT)(_(?!.*TOKEN)\w+)?")

# Shorter names differ by one letter from too much. What is taken for a slip of a name with so many letters is refused.
_SHORTEST, _SURE = 5, 6
_ITEM = re.compile(r"(\w+)_(COUNT|\d+)")


def learn_secrets(environ: Mapping[str, str]) -> None:
    """Hide every secret that the environment holds from all that goes out, but not the names that it gives."""
    for name in (*(variable.name for variable in VARIABLES if variable.secret), *STEP_SECRETS):
        learn(environ.get(name, ""))
    for name, value in environ.items():
        variable = BY_NAME.get(re.sub(r"_\d+$", "", name))
        if variable.may_show(value) if variable else _OF_THE_STEP.fullmatch(name):
            show(value)


# Characters of what Bitbucket hands to a step; its token is the longest.
LONGEST_OF_A_STEP = 10_000


class Reader:
    """The environment, variable by variable; one that is empty, or that the job does not take, is not given.

    What is wrong with a value is noted when it is read: what nobody asks for need not be right. `gaps` says what stands
    for variables that are missing, where that is no problem.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._face = Face(environ, environ.get("ACTION", "").strip().lower())
        self._lenient = False
        self._asked: set[str] = set()
        self.misnamed = misnamed(environ)
        self.problems: list[Problem] = []
        self.gaps: dict[str, str] = {}

    def lenient(self, action: str) -> Reader:
        """Return a reader of the same environment for an action, to which nothing is wrong with what is missing.

        Both note problems in one list. What stands for variables that the action takes does so from the beginning.
        """
        reader = Reader({**self._environ, "ACTION": action})
        reader._lenient, reader.problems = True, self.problems
        reader.gaps = {
            name: stands for name, stands in self.gaps.items() if name not in BY_NAME or action in BY_NAME[name].jobs
        }
        return reader

    @property
    def environ(self) -> Mapping[str, str]:
        """All that the step gives, as it is given."""
        return self._environ

    def problem(self, variable: str, what: str, advice: str = "", *, lacks: str = "") -> None:
        """Note what is wrong with a variable, and what helps; `lacks` names one that is not given."""
        self.problems.append(Problem(variable, what, advice, lacks))

    def gap(self, name: str, stands: str = "") -> str:
        """Let a text stand for a variable that is missing, by default its name in angle brackets; return what does."""
        self._asked.add(name)
        stands = self.gaps.setdefault(name, stands or f"<{name}>")
        show(stands)
        return stands

    def missing(self, variable: str, why: str, advice: str = "", *, stands: str = "") -> None:
        """Note that a variable is needed, and which one that is given was probably meant; or what `stands` for it."""
        if self._lenient:
            self.gap(variable, stands)
            return
        given = self.misnamed.get(variable) or nearest(self._environ, variable)
        hint = f"{given} is given: is {variable} meant?" if given else ""
        self.problem(variable, why, f"{advice} {hint}".strip(), lacks=variable)

    def complained(self, name: str) -> bool:
        """Tell whether a problem with this variable was noted already."""
        return any(problem.variable == name for problem in self.problems)

    def taken(self) -> tuple[Problem, ...]:
        """Return what was noted so far, each once, and forget it."""
        problems, self.problems = tuple(dict.fromkeys(self.problems)), []
        return problems

    def plain(self, name: str) -> str:
        """Return what Bitbucket hands to the step, or an empty string."""
        return self.gaps.get(name) or visible(self._environ.get(name, "").strip()[:LONGEST_OF_A_STEP])

    def is_given(self, name: str) -> bool:
        """Tell whether a variable has a value, be it right or wrong."""
        return bool(self._face.variables.get(name)) or name in self._face.refused or name in self.gaps

    def given(self) -> dict[str, str | tuple[str, ...]]:
        """Return all that was asked for and is given, as it was given, or what stands for it."""
        found = {name: self.gaps.get(name) or self._face.variables.get(name) for name in BY_NAME if name in self._asked}
        return {name: value if isinstance(value, str) else tuple(value) for name, value in found.items() if value}

    def value(self, name: str) -> Any:
        """Return what a variable's value says by its rule, by default its default; None where there is neither.

        A value that the rule refuses is noted, and is None, too.
        """
        self._asked.add(name)
        if name in self.gaps:
            return self.gaps[name]
        refused = self._face.refused.get(name)
        if refused:
            self.problems += refused
            return None
        text = self._face.variables.get(name) or BY_NAME[name].default
        return read(BY_NAME[name].rule, text) if text else None

    def text(self, name: str) -> str:
        """Return a variable's text, or an empty one."""
        return self.value(name) or ""

    def switch(self, name: str) -> bool:
        """Return what `true` or `false` says."""
        return bool(self.value(name))

    def number(self, name: str) -> int | None:
        """Return a whole number, None where none is given."""
        number: int | None = self.value(name)
        return number

    def listed(self, name: str) -> tuple[Any, ...]:
        """Return what each item of a list says; those that the rule refuses are noted, and then there are none."""
        self._asked.add(name)
        refused = self._face.refused.get(name)
        if refused:
            self.problems += refused
            return ()
        return tuple(read(BY_NAME[name].rule, text) for text in self._face.variables.get(name) or ())

    def distinct(self, names: Mapping[str, str]) -> None:
        """Note where several settings give one name."""
        used: dict[str, str] = {}
        for setting, name in names.items():
            if name and name in used:
                self.problem(setting, f"must differ from {used[name]}; both are “{name}”.")
            used.setdefault(name, setting)

    def session_name(self) -> str:
        """Return the name that AWS's own log shows, 64 characters at most, and the build whole in it.

        Braces and slashes do not pass there.
        """
        build = f"-{self.plain('BITBUCKET_BUILD_NUMBER')}"[:32]
        name = f"keyturn-{self.plain('BITBUCKET_REPO_SLUG')}"[: 64 - len(build)] + build
        return re.sub(r"[^\w+=,.@-]", "-", name, flags=re.ASCII).strip("-")


def doubts_of(reader: Reader) -> tuple[Problem, ...]:
    """Return the variables that are given and not Keyturn's, but look as if they were meant to be."""
    return tuple(_misnamed(given, own) for own, given in reader.misnamed.items())


def slips_of(reader: Reader, action: str) -> tuple[Problem, ...]:
    """Return those of the doubts that are one letter away from what the action takes, and that nothing else lacks.

    Such a run must not go on: without DRY_RUN, which DRY_RUM was to be, it would do what it should only show. What
    other tools call their own variables, `also` has, and no such name is a slip.
    """
    lacking = {problem.lacks for problem in reader.problems}
    return tuple(
        _misnamed(given, own)
        for own, given in reader.misnamed.items()
        if action in BY_NAME[own].jobs
        and len(own) >= _SURE
        and own not in lacking
        and given not in BY_NAME[own].also.split()
    )


def _misnamed(given: str, own: str) -> Problem:
    return Problem(given, "Keyturn has no such variable", f"Is {own} meant?")


def misnamed(environ: Mapping[str, str]) -> dict[str, str]:
    """Return variables that are given, by which of Keyturn's, which is not given, each of them is probably meant."""
    found = {}
    for name in _others(environ):
        own = meant(name)
        if own and not _is_given(environ, own):
            found[own] = name
    return found


def meant(name: str) -> str:
    """Return which of Keyturn's variables is probably meant by another name; an empty text where none is."""
    return next((own for own in BY_NAME if name in BY_NAME[own].also.split() or _is_a_slip(name, own)), "")


def nearest(environ: Mapping[str, str], name: str) -> str:
    """Return a variable that is given and that is called nearly as one that is not; an empty text where none is."""
    return next(iter(difflib.get_close_matches(name, list(_others(environ)), 1, 0.8)), "")


def _others(environ: Mapping[str, str]) -> Iterable[str]:
    """Return the names that are given and not Keyturn's."""
    for name, value in environ.items():
        item = _ITEM.fullmatch(name)
        if value.strip() and name not in BY_NAME and not (item and item[1] in BY_NAME):
            # A list by another name comes as its number and its items.
            yield item[1] if item and item[2] == "COUNT" else name


def _is_given(environ: Mapping[str, str], name: str) -> bool:
    return any(environ.get(each, "").strip() for each in (name, f"{name}_COUNT"))


def _is_a_slip(name: str, own: str) -> bool:
    """Tell whether two names differ by one character that is wrong, missing or too much, or by two that are swapped."""
    if abs(len(name) - len(own)) > 1 or min(len(name), len(own)) < _SHORTEST:
        return False
    alike = _in_common(name, own) + _in_common(name[::-1], own[::-1])
    longest = max(len(name), len(own))
    return alike >= longest - 1 or (alike == longest - 2 and sorted(name) == sorted(own))


def _in_common(name: str, own: str) -> int:
    """Return how many characters two names begin with that are the same."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(name, own, strict=False)))
