"""What the secrets that were found give: variables by name, or what is wrong with them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pipe.actions.pull.names import Entry, collisions, origin, variable_name
from pipe.actions.pull.remembered import stamp_of
from pipe.actions.pull.render import pick, render
from pipe.actions.pull.world import World
from pipe.actions.sources.guards import condition
from pipe.actions.sources.source import Found, Looked
from pipe.errors import Problem, Refused
from pipe.material import Material, State, Version
from pipe.redact import Secret
from pipe.values import Pull


@dataclass(frozen=True)
class Gift:
    """A variable that a secret gives; `encoded` is whether its text is base64 of the value."""

    name: str
    key: str
    text: Secret
    encoded: bool = False


@dataclass(frozen=True)
class Brought:
    """A live secret that a selector brings, in which version; without `gifts` it was not read: no target needs it."""

    found: Found
    version: Version | None
    stamp: str
    gifts: tuple[Gift, ...] | None
    lease: str = ""


@dataclass
class Bringing:
    """Everything that is brought, by the selectors' texts, and what people have to know of the rest.

    `problems` refuse the whole run. `notices` are told, each about a selector or a secret. `gone` are the addresses,
    with the selectors' texts, of secrets that were found and are no longer live, `unsure` of those that could not be
    looked at.
    """

    brought: dict[str, list[Brought]] = field(default_factory=dict)
    problems: list[Problem | str] = field(default_factory=list)
    notices: list[tuple[str, str]] = field(default_factory=list)
    gone: dict[tuple[str, str], State] = field(default_factory=dict)
    unsure: set[tuple[str, str]] = field(default_factory=set)

    @property
    def everything(self) -> Iterator[Brought]:
        """Every secret that is brought."""
        return itertools.chain.from_iterable(self.brought.values())


def bring(world: World, policy: Pull) -> Bringing:
    """Return what all selectors bring; nothing of it is written yet."""
    bringing = Bringing()
    for looked in world.looked:
        if looked.missing:
            _missing(bringing, policy, looked.selector.text, looked.missing)
        if looked.warning:
            bringing.notices.append((looked.selector.text, looked.warning))
        bringing.unsure |= {(looked.selector.text, address) for address in looked.failed}
        for found in looked.found:
            _bring(bringing, world, policy, looked, found)
    problems, warnings = collisions(_entries(world, bringing.everything))
    bringing.problems += problems
    bringing.notices += [("names", warning) for warning in warnings]
    return bringing


def _bring(bringing: Bringing, world: World, policy: Pull, looked: Looked, found: Found) -> None:
    if found.address in world.unread:
        bringing.unsure.add((looked.selector.text, found.address))
        return
    material = world.materials.get(found.address)
    now = condition(found, material, world.now)
    if now.state is not State.LIVE:
        bringing.gone[(looked.selector.text, found.address)] = now.state
        if looked.selector.recursive:
            bringing.notices.append((found.address, now.note))
        else:
            _missing(bringing, policy, looked.selector.text, now.note)
        return
    if now.note:
        bringing.notices.append((found.address, now.note))
    stamp = stamp_of(found, world.origin, policy, now.version)
    gifts = _gifts(bringing, policy, found, material) if material and material.values is not None else None
    brought = Brought(found, now.version, stamp, gifts, _lease(material))
    bringing.brought.setdefault(looked.selector.text, []).append(brought)


def _gifts(bringing: Bringing, policy: Pull, found: Found, material: Material) -> tuple[Gift, ...]:
    selector = found.selector
    values = material.values or {}
    keys = list(values) if selector.key == "*" else [selector.key]
    if selector.key and material.whole is not None and not values:
        if selector.recursive:
            bringing.notices.append(
                (found.address, "it is no JSON object and has no keys; a selector without a key takes it")
            )
        else:
            bringing.problems.append(
                f"{found.address}: the secret is no JSON object and has no keys; leave the key out to take all of it."
            )
        return ()
    gifts = []
    for key in keys:
        try:
            value = material.whole if not key else values[key] if selector.key == "*" else pick(values, key)
        except KeyError:
            if not selector.recursive:
                _missing(bringing, policy, selector.text, f"the secret has no key {key}")
            continue
        try:
            name = variable_name(selector, found.address, found.below, key, policy.state_variable)
        except Refused as refused:
            bringing.problems += refused.problems
            continue
        what = origin(found.address, key)
        rendered = render(value, what, named=not selector.wild, encode=policy.encode, trim=policy.trim)
        bringing.notices += [(name, warning) for warning in rendered.warnings]
        if rendered.problem:
            bringing.problems.append(rendered.problem)
        elif rendered.text is not None:
            gifts.append(Gift(name, key, rendered.text, rendered.encoded))
    return tuple(gifts)


def _missing(bringing: Bringing, policy: Pull, selector: str, why: str) -> None:
    if policy.fail_on_missing:
        advice = "Check the path and the policy, or set ON_MISSING: keep."
        bringing.problems.append(Problem("SECRETS", f"“{selector}”: {why}", advice))
    else:
        bringing.notices.append((selector, why))


def _lease(material: Material | None) -> str:
    if material is None or material.lease is None:
        return ""
    return f"a lease of {material.lease.seconds} s, {'' if material.lease.renewable else 'not '}renewable"


def _entries(world: World, brought: Iterable[Brought]) -> Iterator[Entry]:
    """Yield every name and its source; those of secrets that were not read are remembered by the targets."""
    for each in brought:
        found = each.found
        if each.gifts is not None:
            yield from (Entry(gift.name, found.address, gift.key) for gift in each.gifts)
            continue
        for target in world.targets:
            entry = target.remembered.entry(found.selector.text, found.address)
            yield from (Entry(name, found.address) for name in (entry.names if entry else ()))
