"""Which secrets are meant: the selectors of `SECRETS`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from pipe.reserved_names import NAME, RESERVED_PREFIXES, reserved
from pipe.sources.registry import source_type

# A selector: everything up to a semicolon that is not between double quotes.
_ITEM = re.compile(r'(?:"[^"]*"|[^;])+')
# A word, whole in double quotes or without any, or the bar.
_TOKEN = re.compile(r'\s*(?:"(?P<quoted>[^"]*)"(?=[\s|]|$)|(?P<bar>\|)|(?P<word>[^\s"|]+)(?=[\s|]|$))')
_NEEDS_QUOTES = re.compile(r"[\s|;]|^#|^$")
# What the path of a recursive selector ends with, and how one begins that means all with a tag.
BELOW, TAG = "/**", "tag:"


@dataclass(frozen=True)
class Selector:
    """Which secrets, which of their keys, and what their variables are called.

    `path` is as it was written, without slashes at its ends and without the recursive wildcard. `key` is `*` for all
    keys. `name` is the variable's name, or behind a wildcard what the names begin with. `stage` is the version that is
    asked for, by a stage or its id. With `tagged` the path is a tag, `key=value`, and all that has it is meant.
    `without` is what `!` takes away from a recursive selector.
    """

    path: str
    key: str
    recursive: bool = False
    name: str = ""
    stage: str = ""
    tagged: bool = False
    without: tuple[Selector, ...] = ()

    @property
    def wild(self) -> bool:
        """Whether it may give any number of variables."""
        return self.recursive or self.key == "*"

    @cached_property
    def text(self) -> str:
        """The selector as one would write it; selectors that mean the same have the same text."""
        path = TAG + self.path if self.tagged else self.path + (BELOW if self.recursive else "")
        words = [_quoted(f"{path}:{self.stage}" if self.stage else path)]
        if self.key:
            words.append(_quoted(self.key))
        return " ".join([*words, "|", self.name] if self.name else words)


class WrongSelector(Exception):
    """What is wrong with one selector."""


def read_selectors(text: str | Iterable[str], source: str = "vault") -> tuple[tuple[Selector, ...], list[str]]:
    """Return the selectors that a text or its lines hold, and what is wrong with the others.

    A selector is `path key | VARIABLE`, one a line or separated by semicolons; words with blanks stand in double
    quotes. What a path may be, and whether a key may be left out, the source says. `!path` takes a secret away from all
    recursive selectors, and `!path/**` everything below a folder.
    """
    selectors: list[Selector] = []
    away: list[Selector] = []
    problems: list[str] = []
    for item in _items(text):
        excludes = item.startswith("!")
        try:
            selector = _exclusion(item, source) if excludes else _selector(item, source)
        except WrongSelector as problem:
            problems.append(f"“{item}” {problem}")
            continue
        if selector in (selectors if not excludes else away):
            problems.append(f"“{item}” is there twice; leave one out.")
        else:
            (away if excludes else selectors).append(selector)
    if away and not problems and not any(selector.recursive for selector in selectors):
        problems.append(f"“!{away[0].text}” takes paths away from wildcards that end in /**, and there is none.")
    return tuple(replace(each, without=tuple(away)) if each.recursive else each for each in selectors), problems


def covers(exclusions: Iterable[Selector], path: str, *, folder: bool = False) -> bool:
    """Tell whether any of what `!` takes away is a secret's path, or a whole folder."""
    for each in exclusions:
        below = not each.path or path.startswith(f"{each.path}/")
        if (below or (folder and path == each.path)) if each.recursive else (path == each.path and not folder):
            return True
    return False


def _items(text: str | Iterable[str]) -> Iterator[str]:
    """Yield each selector's own text; a line that begins with # is a comment."""
    for block in [text] if isinstance(text, str) else text:
        for line in block.splitlines():
            if not line.lstrip().startswith("#"):
                yield from filter(None, (item.strip() for item in _ITEM.findall(line)))


def _selector(item: str, source: str) -> Selector:
    words, names = _words(item)
    if len(words) > 2:
        raise WrongSelector(
            "has more than a path and a key; selectors are separated by line breaks or “;”, not by commas, and a path "
            "or key with blanks stands in double quotes."
        )
    path, key = (*words, "", "")[:2]
    name = names[0] if names else ""
    selector = source_type(source).selector(path, key, name)
    if key == "**":
        raise WrongSelector("says ** for the keys, but names are always upper-case here; write * for all keys.")
    if "*" in key and key != "*":
        raise WrongSelector(f"has a wildcard in the key {key}; a key is one name, or * for all of them.")
    _check_name(selector)
    return selector


def _exclusion(item: str, source: str) -> Selector:
    words, names = _words(item[1:])
    if len(words) != 1 or names:
        raise WrongSelector("must be a path alone behind “!”, with /** at its end for everything below a folder.")
    selector = source_type(source).selector(words[0], "*", "")
    if selector.tagged or selector.stage:
        raise WrongSelector("must be a path behind “!”, without a tag or a version.")
    return replace(selector, key="")


def _words(item: str) -> tuple[list[str], list[str]]:
    """Return the words before the bar and the one behind it, if there is a bar."""
    words: list[str] = []
    bars: list[int] = []
    at = 0
    while at < len(item):
        found = _TOKEN.match(item, at)
        if not found:
            raise WrongSelector("has a double quote within a word; put the whole word into double quotes.")
        if found["bar"]:
            bars.append(len(words))
        else:
            words.append(found["word"] if found["quoted"] is None else found["quoted"])
        at = found.end()
    if not bars:
        return words, []
    names = words[bars[0] :]
    if len(bars) > 1 or len(names) != 1:
        raise WrongSelector("must have one variable's name behind “|”, or no “|” at all.")
    return words[: bars[0]], names


def check_no_wildcard(path: str) -> None:
    """Raise WrongSelector for a path that has a wildcard anywhere but at its end."""
    if "*" in path:
        raise WrongSelector("has a wildcard within the path; it can only end in /**, which is everything below.")


def _check_name(selector: Selector) -> None:
    name = selector.name
    if name and not NAME.fullmatch(name):
        raise WrongSelector(
            f"names {name}, which no variable can be called; use letters, digits and _, and no digit first."
        )
    # Behind a wildcard it is only what the names begin with; the whole names are checked once they are known.
    whose = reserved(name)
    if whose and (not selector.wild or name.startswith(RESERVED_PREFIXES)):
        raise WrongSelector(f"names {name}, which is reserved by {whose}.")


def _quoted(word: str) -> str:
    return f'"{word}"' if _NEEDS_QUOTES.search(word) else word
