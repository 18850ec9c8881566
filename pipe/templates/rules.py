"""What Vault has to allow: policies for secrets of KV version 2, made from selectors."""

from __future__ import annotations

from collections.abc import Iterable

from pipe.selectors import Selector


def scanning(selectors: Iterable[Selector]) -> str:
    """Return the policy with which OpenBao tells all versions below a folder in one request."""
    selectors = [*selectors]
    return _text(_read(selectors) | _places(selectors, "detailed-metadata", "scan") | _single(selectors))


def usual(selectors: Iterable[Selector]) -> str:
    """Return the policy with which folders are listed and versions asked for one by one, which both servers know."""
    selectors = [*selectors]
    return _text(_read(selectors) | _places(selectors, "metadata", "read", "list") | _single(selectors))


def _read(selectors: Iterable[Selector]) -> dict[str, list[str]]:
    return {_path(each, "data"): ["read"] for each in selectors}


def _places(selectors: Iterable[Selector], view: str, *capabilities: str) -> dict[str, list[str]]:
    """Return what is asked about whole folders."""
    return {_path(each, view): [*capabilities] for each in selectors if each.recursive}


def _single(selectors: Iterable[Selector]) -> dict[str, list[str]]:
    """Return what is asked about single secrets."""
    return {_path(each, "metadata"): ["read"] for each in selectors if not each.recursive}


def _path(selector: Selector, view: str) -> str:
    mount, _, place = selector.path.partition("/")
    # A path may be written as the API has it.
    place = place.removeprefix("data/")
    parts = [mount, view, place, "*" if selector.recursive else ""]
    return "/".join(filter(None, parts))


def _text(rules: dict[str, list[str]]) -> str:
    lines = []
    for path, capabilities in rules.items():
        listed = ", ".join(f'"{each}"' for each in capabilities)
        lines.append(f'path "{path}" {{ capabilities = [{listed}] }}\n')
    return "".join(lines)
