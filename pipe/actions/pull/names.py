"""What variables are called, and which sources would give one name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from pipe.errors import Refused
from pipe.naming import NAME, reserved
from pipe.redact import one_line
from pipe.selectors import Selector

_TO_UNDERSCORE = str.maketrans(".-/ ", "____")


@dataclass(frozen=True)
class Entry:
    """A variable's name and where its value comes from; `key` is empty where it is unknown or all of the secret."""

    name: str
    address: str
    key: str = ""

    @property
    def origin(self) -> str:
        """Where the value comes from, as people are told."""
        return origin(self.address, self.key)


def origin(address: str, key: str) -> str:
    """Return where a value comes from, as people are told."""
    return one_line(f"{address} {key}")


def variable_name(selector: Selector, address: str, below: str, key: str, state_variable: str) -> str:
    """Return what the variable for a key of a secret is called.

    `below` is the secret's path below a recursive selector's folder, else empty. Raises Refused, naming path and key.
    """
    name = selector.name if selector.name and not selector.wild else _derived(selector, below, key)
    if not NAME.fullmatch(name):
        raise Refused([f"{origin(address, key)}: no variable can be called “{name}”; {_remedy(selector)}"])
    if reserved(name):
        raise Refused([f"{origin(address, key)}: the name {name} is reserved by Bitbucket; {_remedy(selector)}"])
    if name == state_variable:
        raise Refused(
            [f"{origin(address, key)}: {name} is the variable that Keyturn remembers in; {_remedy(selector)}"]
        )
    return name


def collisions(entries: Iterable[Entry]) -> tuple[list[str], list[str]]:
    """Return a problem for each name that several sources would give, and a warning for names that differ by case."""
    # Dictionaries instead of sets, so that messages keep the selectors' order.
    sources: dict[str, dict[Entry, None]] = defaultdict(dict)
    alike: dict[str, dict[str, None]] = defaultdict(dict)
    for entry in entries:
        sources[entry.name][entry] = None
        alike[entry.name.upper()][entry.name] = None
    clashes = {name: _apart(list(same)) for name, same in sources.items()}
    problems = [
        f"{name} would come from {len(same)} sources: {'; '.join(entry.origin for entry in same)}. "
        "Give them different names with | NAME, or behind a wildcard with | PREFIX."
        for name, same in clashes.items()
        if len(same) > 1
    ]
    warnings = [f"{' and '.join(names)} differ only by case" for names in alike.values() if len(names) > 1]
    return problems, warnings


def _derived(selector: Selector, below: str, key: str) -> str:
    """Return the name that path and key give, or as much of it as shows that they give none."""
    within = f"{below}/{key}" if below and key else key
    mapped = (within if key else below or selector.path.strip("/")).translate(_TO_UNDERSCORE)
    # Upper case could turn other letters into ASCII, as it does with ß; and a beginning alone is no name.
    return selector.name + mapped.upper() if mapped and mapped.isascii() else mapped


def _apart(entries: list[Entry]) -> list[Entry]:
    """Return the entries that certainly are of different sources: one without its key is none beside others of it."""
    whole = {entry.address for entry in entries if entry.key}
    return [entry for entry in entries if entry.key or entry.address not in whole]


def _remedy(selector: Selector) -> str:
    if selector.wild:
        return "name the keys one by one with | NAME, or give all names a beginning with | PREFIX."
    return "give it another name with | NAME."
