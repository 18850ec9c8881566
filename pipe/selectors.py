"""Which secrets are meant: the selectors of `SECRETS`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from pipe.naming import NAME, RESERVED_PREFIX, reserved

# A selector: everything up to a semicolon that is not between double quotes.
_ITEM = re.compile(r'(?:"[^"]*"|[^;])+')
# A word, whole in double quotes or without any, or the bar.
_TOKEN = re.compile(r'\s*(?:"(?P<quoted>[^"]*)"(?=[\s|]|$)|(?P<bar>\|)|(?P<word>[^\s"|]+)(?=[\s|]|$))')
_NEEDS_QUOTES = re.compile(r"[\s|;]|^#|^$")
_BELOW = "/**"

# Secrets Manager's own: a tag, a secret with a version behind a colon, an ARN, and what a name is made of.
_TAG = "tag:"
_TAGGED = re.compile(r"(?P<key>[^=*]{1,128})=(?P<value>[^*]{0,256})")
_STAGED = re.compile(r"(?P<path>arn(?::[^:]*){5}:[^:]+|(?!arn:)[^:]*)(?::(?P<stage>.*))?")
_ARN = re.compile(r"arn:aws[\w-]*:secretsmanager:[\w-]+:\d{12}:secret:(?P<name>.+)", re.ASCII)
_SECRET = re.compile(r"(?!!)[A-Za-z0-9/_+=.@!-]{1,512}")
_STAGE = re.compile(r"[A-Za-z0-9_+=,.@:/-]{1,256}")


@dataclass(frozen=True)
class Selector:
    """Which secrets, which of their keys, and what their variables are called.

    `path` is as it was written, without slashes at its ends and without the recursive wildcard. `key` is `*` for all
    keys. `name` is the variable's name, or behind a wildcard what the names begin with. `stage` is the version that is
    asked for, by a stage or its id. With `tagged` the path is a tag, `key=value`, and all that has it is meant.
    """

    path: str
    key: str
    recursive: bool = False
    name: str = ""
    stage: str = ""
    tagged: bool = False

    @property
    def wild(self) -> bool:
        """Whether it may give any number of variables."""
        return self.recursive or self.key == "*"

    @cached_property
    def text(self) -> str:
        """The selector as one would write it; selectors that mean the same have the same text."""
        path = _TAG + self.path if self.tagged else self.path + (_BELOW if self.recursive else "")
        words = [_quoted(f"{path}:{self.stage}" if self.stage else path)]
        if self.key:
            words.append(_quoted(self.key))
        return " ".join([*words, "|", self.name] if self.name else words)


class _Problem(Exception):
    """What is wrong with one selector."""


def read_selectors(text: str | Iterable[str], source: str = "vault") -> tuple[tuple[Selector, ...], list[str]]:
    """Return the selectors that a text or its lines hold, and what is wrong with the others.

    A selector is `path key | VARIABLE`, one a line or separated by semicolons; words with blanks stand in double
    quotes. `source` is `vault`, or `secretsmanager`, where a path is any name and a key may be left out.
    """
    selectors: list[Selector] = []
    problems: list[str] = []
    for item in _items(text):
        try:
            selector = _selector(item, source)
        except _Problem as problem:
            problems.append(f"“{item}” {problem}")
            continue
        if selector in selectors:
            problems.append(f"“{item}” is there twice; leave one out.")
        else:
            selectors.append(selector)
    return tuple(selectors), problems


def _items(text: str | Iterable[str]) -> Iterator[str]:
    """Yield each selector's own text; a line that begins with # is a comment."""
    for block in [text] if isinstance(text, str) else text:
        for line in block.splitlines():
            if not line.lstrip().startswith("#"):
                yield from filter(None, (item.strip() for item in _ITEM.findall(line)))


def _selector(item: str, source: str) -> Selector:
    words, names = _words(item)
    if len(words) > 2:
        raise _Problem(
            "has more than a path and a key; selectors are separated by line breaks or “;”, and a path or key with "
            "blanks stands in double quotes."
        )
    path, key = (*words, "", "")[:2]
    name = names[0] if names else ""
    if source == "vault":
        path = path.strip("/")
        recursive = path.endswith(_BELOW)
        selector = Selector(path.removesuffix(_BELOW), key, recursive, name)
        _check_path(selector.path)
    else:
        selector = _in_secrets_manager(path, key, name)
    if not key and source == "vault":
        raise _Problem("does not say which key of the secret, or * for all of them.")
    if key == "**":
        raise _Problem("says ** for the keys, but names are always upper-case here; write * for all keys.")
    if "*" in key and key != "*":
        raise _Problem(f"has a wildcard in the key {key}; a key is one name, or * for all of them.")
    _check_name(selector)
    return selector


def _in_secrets_manager(path: str, key: str, name: str) -> Selector:
    """Return a selector of a tag, a secret's name or ARN, with or without a version, or of a beginning of names."""
    if path.startswith(_TAG):
        tag = path.removeprefix(_TAG)
        if not _TAGGED.fullmatch(tag):
            raise _Problem("names no tag; write tag:<key>=<value>, in double quotes where it has blanks.")
        return Selector(tag, key, recursive=True, name=name, tagged=True)
    staged = _STAGED.fullmatch(path)
    if not staged or (path.startswith("arn:") and not _ARN.match(path)):
        raise _Problem("has no whole ARN; it is arn:aws:secretsmanager:<region>:<account>:secret:<name>.")
    path, stage = staged["path"], staged["stage"]
    recursive = path.endswith(_BELOW)
    path = path.removesuffix(_BELOW)
    if path in ("**", "*", ""):
        raise _Problem("does not say which secrets; write a name, an ARN, a tag, or a beginning such as ci/** *.")
    _check_wildcard(path)
    arn = _ARN.fullmatch(path)
    if recursive and arn:
        raise _Problem("has a wildcard behind an ARN; write the beginning of the names, e.g. ci/** *.")
    if not _SECRET.fullmatch(arn["name"] if arn else path):
        raise _Problem("has a character that no secret's name in AWS has; those are A-Z a-z 0-9 / _ + = . @ -.")
    if stage is not None and (recursive or not _STAGE.fullmatch(stage)):
        raise _Problem("has no version behind “:”; behind one secret's name that is a stage or a version's id.")
    return Selector(path, key, recursive, name, stage or "")


def _words(item: str) -> tuple[list[str], list[str]]:
    """Return the words before the bar and the one behind it, if there is a bar."""
    words: list[str] = []
    bars: list[int] = []
    at = 0
    while at < len(item):
        found = _TOKEN.match(item, at)
        if not found:
            raise _Problem("has a double quote within a word; put the whole word into double quotes.")
        if found["bar"]:
            bars.append(len(words))
        else:
            words.append(found["word"] if found["quoted"] is None else found["quoted"])
        at = found.end()
    if not bars:
        return words, []
    names = words[bars[0] :]
    if len(bars) > 1 or len(names) != 1:
        raise _Problem("must have one variable's name behind “|”, or no “|” at all.")
    return words[: bars[0]], names


def _check_path(path: str) -> None:
    if path in ("**", "*"):
        raise _Problem("has a wildcard instead of a path; say which mount, e.g. secret/** *.")
    if not path:
        raise _Problem("has no path; write path and key, e.g. secret/ci/db password.")
    _check_wildcard(path)
    if {"", ".", ".."} & set(path.split("/")):
        raise _Problem("has an empty part or dots alone between the slashes of its path.")


def _check_wildcard(path: str) -> None:
    if "*" in path:
        raise _Problem("has a wildcard within the path; it can only end in /**, which is everything below.")


def _check_name(selector: Selector) -> None:
    name = selector.name
    if name and not NAME.fullmatch(name):
        raise _Problem(f"names {name}, which no variable can be called; use letters, digits and _, and no digit first.")
    # Behind a wildcard it is only what the names begin with; the whole names are checked once they are known.
    if name.startswith(RESERVED_PREFIX) if selector.wild else reserved(name):
        raise _Problem(f"names {name}, which is reserved by Bitbucket.")


def _quoted(word: str) -> str:
    return f'"{word}"' if _NEEDS_QUOTES.search(word) else word
