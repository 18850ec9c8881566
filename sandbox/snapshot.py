"""What the sandbox holds at a moment, as tables to look at, and what has changed between two moments."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipe.jobs.pull.state_variable import last_sync_of
from pipe.jobs.rotate.state import notes_of, remembered
from pipe.values import count
from sandbox.bitbucket import Environment, Repository, Scope
from sandbox.vault import Vault, VaultError
from sandbox.world import STATE, World

VARIABLES = ("Variable", "Secured", "Value")


@dataclass(frozen=True)
class Row:
    """One thing: its full `name`, the `cells` that show it, the `fact` that may change, and its hidden `secret`."""

    name: str
    cells: tuple[str, ...]
    fact: str
    secret: str = field(default="", repr=False)


@dataclass(frozen=True)
class Table:
    """Rows under a heading; `signs` tells whether the AWS access key among them signs, None where there is none."""

    title: str
    head: tuple[str, ...]
    rows: tuple[Row, ...]
    signs: bool | None = None


def snapshot(world: World) -> list[Table]:
    """Return everything that a run can change."""
    tables = [*_variables(world), _keys(world), _secrets(world)]
    return tables if world.vault is None else [*tables, _vault(world.vault)]


def changes(before: Sequence[Table], after: Sequence[Table]) -> list[tuple[str, str]]:
    """Return what has changed, as names and words; never a secret's value."""
    old, new = ({row.name: row for table in tables for row in table.rows} for tables in (before, after))
    found = []
    for name in [*new, *(name for name in old if name not in new)]:
        if name not in old:
            found.append((name, f"new: {new[name].fact}"))
        elif name not in new:
            found.append((name, f"gone; it was: {old[name].fact}"))
        elif old[name].fact != new[name].fact:
            found.append((name, f"{old[name].fact} → {new[name].fact}"))
        elif old[name].secret != new[name].secret:
            found.append((name, "another value"))
    return found


def state_in_words(text: str) -> str:
    """Say what the pipe reads in a state variable."""
    return "; ".join(_said(text)) or "nothing yet"


def rotation_in_words(text: str) -> str:
    """Say what the pipe reads in the variable in which a target remembers the rotation of its pair."""
    known, notes = remembered(text), notes_of(text)
    said = [
        f"{known.user}'s key" if known.user else "",
        f"from {known.secret}" if known.secret else "",
        f"which is {known.id}" if known.id else "",
        "and a rotation that has begun and not finished" if notes.get("Intent") else "",
    ]
    return " ".join(filter(None, said)) or "nothing yet"


def _said(text: str) -> Iterator[str]:
    pulled = last_sync_of(text)
    if not pulled.readable:
        yield "cannot be read"
    for selector, group in pulled.groups.items():
        names = [name for entry in group.entries.values() for name in entry.names]
        yield f"pulled by “{selector}”: {count(len(names), 'variable')} of {count(len(group.entries), 'secret')}"


def _variables(world: World) -> Iterator[Table]:
    for scope in world.bitbucket.scopes():
        title, variables = _title(scope), world.bitbucket.variables(scope)
        pair = world.consumer(scope)
        rows = []
        for key, variable in sorted(variables.items()):
            words = state_in_words if key == STATE else rotation_in_words if key.startswith("KEYTURN_") else str
            value = words(variable.value)
            secured = "secured" if variable.secured else "not secured"
            fact = secured if variable.secured else value
            hidden = variable.value if variable.secured or words is not str else ""
            rows.append(Row(f"{title}: {key}", (key, secured, "" if variable.secured else value), fact, hidden))
        if rows or isinstance(scope, Environment):
            signs = world.aws.signs(pair) if pair.access_key_id else None
            yield Table(title, VARIABLES, tuple(rows), signs)


def _title(scope: Scope) -> str:
    match scope:
        case Environment():
            return f"{scope.repository.full_name} {scope.name}"
        case Repository():
            return f"{scope.full_name}, the repository"
        case _:
            return f"{scope.slug}, the workspace"


def _keys(world: World) -> Table:
    now, rows = world.clock.now(), []
    for user in world.aws.users():
        keys = world.aws.keys(user)
        if not keys:
            rows.append(Row(f"IAM user {user}", (user, "none", "", "", ""), "no access key"))
        for key in keys:
            age = count((now - key.created).days, "day")
            used = _minute(key.used) if key.used else "never"
            cells = (user, key.id, key.status, age, used)
            rows.append(Row(f"IAM user {user}: key {key.id}", cells, key.status, key.secret))
    return Table("IAM: users and access keys", ("User", "Access key", "Status", "Age", "Last used"), tuple(rows))


def _secrets(world: World) -> Table:
    rows = []
    for region, secret in sorted(world.aws.secrets(), key=lambda found: (found[1].name, found[0])):
        place = secret.name if region == world.aws.region else f"{secret.name} in {region}"
        gone = "to be deleted" if secret.deleted else ""
        if not secret.versions:
            rows.append(Row(f"Secrets Manager: {place}", (place, "none", gone, ""), gone or "no version"))
        for version in secret.versions.values():
            labels = ", ".join(filter(None, [*sorted(version.stages), gone])) or "no label"
            cells = (place, version.id, labels, _minute(version.created))
            rows.append(Row(f"Secrets Manager: {place}, version {version.id}", cells, labels, version.body))
    return Table("Secrets Manager: secrets and versions", ("Secret", "Version", "Labels", "Created"), tuple(rows))


def _vault(vault: Vault) -> Table:
    rows = []
    try:
        paths = vault.paths()
    except VaultError as error:
        # Somebody may have sealed it.
        return Table(f"OpenBao: {error}", (), ())
    for path in paths:
        # A mount of version 1 knows none.
        known = vault.metadata(path)
        version = f"version {known['current_version']}" if known else "no versions"
        values = vault.read(path)
        state = "deleted" if values is None else ", ".join(values)
        fact = version if values is not None else f"{version}, deleted"
        rows.append(Row(f"OpenBao: {path}", (path, version, state), fact, json.dumps(values) if values else ""))
    return Table("OpenBao: secrets and versions", ("Path", "Version", "Keys"), tuple(rows))


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
