"""Fetches one value of one secret, without asking what else there is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipe.actions.sources.kv import Kv
from pipe.actions.sources.look import mistake
from pipe.actions.sources.mounts import locate, mounts_of
from pipe.actions.sources.secretsmanager import ID, Bodies
from pipe.errors import Invalid, Missing, ServiceError
from pipe.redact import Secret
from pipe.selectors import Selector

# What a header can carry.
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Single:
    """One value; `leased` is one that ends with the sign-in that read it."""

    value: Secret
    leased: bool


def from_vault(kv: Kv, selector: Selector) -> Single:
    """Return the value of a selector's key, by who is signed in; raises ServiceError."""
    mount = mounts_of(kv, [selector.path])[selector.path]
    if isinstance(mount, ServiceError):
        raise mount
    located = locate(selector, mount)
    wrong = mistake(located)
    if wrong is not None:
        raise wrong
    material = kv.read(mount, located.path)
    values = material.values
    if values is None:
        raise Missing(f"The current version of {selector.path} is deleted.", "Check SECRETS.")
    value = _value(selector, values.get(selector.key), has_key=selector.key in values)
    return Single(value, leased=material.lease is not None)


def from_secretsmanager(bodies: Bodies, selector: Selector) -> Secret:
    """Return the value of a selector's key, without one the secret's whole text; raises ServiceError."""
    stage = selector.stage
    body = bodies.read(selector.path, version=stage) if ID.fullmatch(stage) else bodies.read(selector.path, stage=stage)
    if not selector.key:
        return _value(selector, body.value, has_key=True)
    fields = body.fields
    if fields is None:
        raise Invalid(f"{selector.path} is no JSON object, so that it has no keys.", "Check SECRETS.")
    return _value(selector, fields.get(selector.key), has_key=selector.key in fields)


def _value(selector: Selector, value: object, *, has_key: bool) -> Secret:
    name = f"The key {selector.key} of {selector.path}" if selector.key else selector.path
    if not has_key:
        raise Missing(f"{selector.path} has no key {selector.key}.", "Check SECRETS.")
    text = value.strip() if isinstance(value, str) else None
    if text == "" or value is None:
        raise Invalid(f"{name} is empty.", "Check SECRETS.")
    if text is None or not _PRINTABLE.fullmatch(text):
        raise Invalid(f"{name} is no token: it is not one word of printable characters.", "Check SECRETS.")
    return Secret(text)
