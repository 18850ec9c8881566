"""Resolves the secrets that were found into named variables; pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pipe.errors import Refused
from pipe.jobs.pull.observe import PullFacts
from pipe.jobs.pull.render import pick, render
from pipe.jobs.pull.state_variable import TargetState, stamp_of
from pipe.redact import Secret, one_line
from pipe.reserved_names import NAME, OBEYED, reserved
from pipe.secrets import Content, Version
from pipe.selectors import Selector
from pipe.sources.inventory import Inventory, Live, no_key, take_inventory
from pipe.sources.source import FoundSecret
from pipe.values import Pull, count

_TO_UNDERSCORE = str.maketrans(".-/ ", "____")


class ResolvedVariable(NamedTuple):
    """A variable that a secret gives; `encoded` is whether its text is base64 of the value."""

    name: str
    key: str
    text: Secret
    encoded: bool = False


class ResolvedSecret(NamedTuple):
    """A live secret and its version; without `variables` it was not read, since no target needs it.

    `left_out` are names that its wildcard would give and that programs obey.
    """

    found: FoundSecret
    version: Version | None
    stamp: str
    variables: tuple[ResolvedVariable, ...] | None
    lease: str = ""
    left_out: tuple[str, ...] = ()

    def names(self, target: TargetState) -> Iterable[str]:
        """Return what it is called in a target; what was not read is called there as the target remembers."""
        if self.variables is not None:
            return [variable.name for variable in self.variables]
        entry = target.last_sync.entry(self.found.selector.text, self.found.address)
        return entry.names if entry else ()

    def unwanted(self, target: TargetState) -> Iterable[str]:
        """Return the names that are left out; of what was not read, as the target remembers."""
        if self.variables is not None:
            return self.left_out
        entry = target.last_sync.entry(self.found.selector.text, self.found.address)
        return entry.left_out if entry else ()


class Named(NamedTuple):
    """A variable's name and where its value comes from; `key` is empty where it is unknown or all of the secret."""

    name: str
    address: str
    key: str = ""

    @property
    def origin(self) -> str:
        """Where the value comes from, as people are told."""
        return origin(self.address, self.key)


def resolve(facts: PullFacts, policy: Pull) -> tuple[Inventory, list[ResolvedSecret]]:
    """Return the inventory with all that is wrong or to be told, and what each live secret gives."""
    inventory = take_inventory(facts, fail_on_missing=policy.fail_on_missing)
    resolved = [_resolve(inventory, facts, policy, live) for live in inventory.live]
    problems, warnings = collisions(_named(facts, resolved))
    inventory.problems += [*problems, *_rotated(facts, resolved)]
    _tell_of_unwanted(inventory, facts, resolved)
    _tell_of_nothing(inventory, facts, resolved)
    for warning in warnings:
        inventory.note("names", warning)
    return inventory, resolved


def _resolve(inventory: Inventory, facts: PullFacts, policy: Pull, live: Live) -> ResolvedSecret:
    data = live.data
    variables: tuple[ResolvedVariable, ...] | None = None
    left_out: tuple[str, ...] = ()
    if data is not None:
        given = _variables(inventory, policy, live.found, data)
        obeyed = OBEYED if live.found.selector.wild else frozenset()
        variables = tuple(each for each in given if each.name not in obeyed)
        left_out = tuple(sorted({each.name for each in given} & obeyed))
    lease = data.lease if data else None
    words = f"a lease of {lease.seconds} s, {'' if lease.renewable else 'not '}renewable" if lease else ""
    stamp = stamp_of(live.found, facts.origin, policy, live.version)
    return ResolvedSecret(live.found, live.version, stamp, variables, words, left_out)


def _tell_of_unwanted(inventory: Inventory, facts: PullFacts, resolved: Iterable[ResolvedSecret]) -> None:
    """Tell of every name that a wildcard does not bring since programs obey it, and that no selector names."""
    plain = [looked.selector for looked in facts.looked if not looked.selector.wild]
    named = {each.name or _derived(each, "", each.key or None) for each in plain}
    for each in resolved:
        names = {name for target in facts.targets for name in each.unwanted(target)}
        for name in sorted(names - named):
            inventory.note(
                name,
                f"{each.found.address} would give it by a wildcard, and programs in a step obey that name; it is left "
                f"out. A selector of its own that ends in | {name} brings it, and one with ! leaves the path out",
                unmet=True,
            )


def _tell_of_nothing(inventory: Inventory, facts: PullFacts, resolved: Sequence[ResolvedSecret]) -> None:
    """Note as missing what a selector of one key in a whole folder names, where no secret has that key."""
    for selector in dict.fromkeys(each.found.selector for each in resolved):
        own = [each for each in resolved if each.found.selector == selector]
        given = any([*each.names(target), *each.unwanted(target)] for each in own for target in facts.targets)
        unknown = any(text == selector.text for text, _ in inventory.unknown)
        if selector.recursive and selector.key not in ("", "*") and not given and not unknown:
            inventory.missing(selector, f"{count(len(own), 'secret')} there, none with a key {selector.key}")


def _rotated(facts: PullFacts, resolved: Sequence[ResolvedSecret]) -> Iterator[str]:
    """Yield a problem for each variable that a rotation keeps in a target and that this run would write over."""
    for target in facts.targets if any(target.rotated for target in facts.targets) else ():
        for each in resolved:
            for name in sorted({*each.names(target), *each.unwanted(target)} & target.rotated.keys()):
                remedy = "Give it another name, or leave its path out with !" if each.found.selector.wild else ""
                yield (
                    f"{target.place.label}: {each.found.address} would write over {name}, which a rotation keeps there "
                    f"({target.rotated[name]} tells). {remedy or 'Give it another name with | NAME'}."
                )


def _variables(inventory: Inventory, policy: Pull, found: FoundSecret, data: Content) -> tuple[ResolvedVariable, ...]:
    selector, values = found.selector, data.values or {}
    # Of a plain text there is nothing but the whole, which all its keys stand for.
    whole = not selector.key or (data.plain and selector.key == "*")
    if not whole and data.whole is not None and not values:
        if selector.recursive:
            what = "it is no JSON object and has no keys; a selector without a key takes it"
            inventory.note(found.address, what)
        else:
            what = "the secret is no JSON object and has no keys; leave the key out to take all of it."
            inventory.problems.append(f"{found.address}: {what}")
        return ()
    variables = []
    for key in [""] if whole else list(values) if selector.key == "*" else [selector.key]:
        try:
            value = data.whole if whole else pick(values, key)
            name = variable_name(selector, found.address, found.below, None if whole else key, policy.state_variable)
        except KeyError:
            if not selector.recursive:
                inventory.missing(selector, no_key(key, values))
            continue
        except Refused as refused:
            inventory.problems += refused.problems
            continue
        what = origin(found.address, key)
        rendered = render(value, what, named=not selector.wild, encode=policy.encode, trim=policy.trim)
        for warning in rendered.warnings:
            inventory.note(name, warning)
        if rendered.problem:
            inventory.problems.append(rendered.problem)
        elif rendered.text is not None:
            variables.append(ResolvedVariable(name, key, rendered.text, rendered.encoded))
    return tuple(variables)


def _named(facts: PullFacts, resolved: Iterable[ResolvedSecret]) -> Iterator[Named]:
    """Yield every name and its source; those of secrets that were not read are remembered by the targets."""
    for each in resolved:
        if each.variables is not None:
            yield from (Named(variable.name, each.found.address, variable.key) for variable in each.variables)
        else:
            yield from (Named(name, each.found.address) for target in facts.targets for name in each.names(target))


def origin(address: str, key: str | None) -> str:
    """Return where a value comes from, as people are told."""
    return one_line(f"{address} {key or ''}")


def variable_name(selector: Selector, address: str, below: str, key: str | None, state_variable: str) -> str:
    """Return what the variable for a key of a secret is called, or for all of it where there is no key.

    `below` is the secret's path below a recursive selector's folder, else empty. Raises Refused, naming path and key.
    """
    name = selector.name if selector.name and not selector.wild else _derived(selector, below, key)
    if not NAME.fullmatch(name):
        raise Refused([f"{origin(address, key)}: no variable can be called “{name}”; {_remedy(selector)}"])
    if name == state_variable:
        raise Refused(
            [f"{origin(address, key)}: {name} is the variable that Keyturn remembers in; {_remedy(selector)}"]
        )
    whose = reserved(name)
    if whose:
        raise Refused([f"{origin(address, key)}: the name {name} is reserved by {whose}; {_remedy(selector)}"])
    return name


def collisions(entries: Iterable[Named]) -> tuple[list[str], list[str]]:
    """Return a problem for each name that several sources would give, and a warning for names that differ by case."""
    # Dictionaries instead of sets, so that messages keep the selectors' order.
    sources: dict[str, dict[Named, None]] = defaultdict(dict)
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


def _derived(selector: Selector, below: str, key: str | None) -> str:
    """Return the name that path and key give, or as much of it as shows that they give none."""
    within = f"{below}/{key}" if below and key else key
    mapped = (below or selector.path.strip("/") if within is None else within).translate(_TO_UNDERSCORE)
    # Upper case could turn other letters into ASCII, as it does with ß; and a beginning alone is no name.
    return selector.name + mapped.upper() if mapped and mapped.isascii() else mapped


def _apart(entries: list[Named]) -> list[Named]:
    """Return the entries that certainly are of different sources: one without its key is none beside others of it."""
    whole = {entry.address for entry in entries if entry.key}
    return [entry for entry in entries if entry.key or entry.address not in whole]


def _remedy(selector: Selector) -> str:
    if selector.wild:
        return "name the keys one by one with | NAME, or give all names a beginning with | PREFIX."
    return "give it another name with | NAME."
