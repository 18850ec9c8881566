"""The survey over HTTP, of a real OpenBao under the policies that teams give."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import pytest

from pipe.clients.vault import Vault
from pipe.clients.vault_kv import Kv
from pipe.clients.vault_logins import Token
from pipe.redact import Secret
from pipe.retry import Deadline
from pipe.secrets import Engine, State
from pipe.selectors import read_selectors
from pipe.sources.source import SelectorResult
from pipe.sources.vault import VaultSource
from test.clients.vault_bao import Bao
from test.clients.vault_front import Front
from test.sources.asking import addresses

# How the metadata-only policy of Vault's own docs comes to a list of names: two refusals first.
REFUSED = ["LIST detailed-metadata", *["LIST metadata"] * 2, "SCAN detailed-metadata"]


class Session:
    """A sign-in by token."""

    origin = "OpenBao"

    def __init__(self, vault: Vault, token: str) -> None:
        self._vault = vault
        self._token = token
        self.kv = Kv(vault)

    def sign_in(self) -> None:
        self._vault.sign_in(Token(Secret(self._token)))

    def now(self) -> datetime:
        return self._vault.now()

    def sign_out(self, *, leased: bool) -> None:
        self._vault.sign_out(leased=leased)


def source_of(front: Front, token: str, text: str) -> VaultSource:
    vault = Vault(front.url, deadline=Deadline(pace=0.02))
    source = VaultSource(Session(vault, token), read_selectors(text)[0])
    source.open()
    return source


def survey(source: VaultSource, known: Collection[str] = ()) -> tuple[SelectorResult, ...]:
    return source.survey(lambda _, address: address in known)


def asked(front: Front) -> list[str]:
    """Return what was asked since the last time, each as verb and part of the API."""
    operations = [request.operation.replace("sys/internal/ui/", "").split("/") for request in front.seen]
    front.seen.clear()
    return sorted(parts[0].strip() + " " + parts[2 if parts[2] == "mounts" else 3] for parts in operations)


@pytest.mark.parametrize(
    ("policy", "lists", "first", "then"),
    [
        ({"detailed-metadata/ci/*": ["scan"]}, ["SCAN detailed-metadata"], [], []),
        ({"detailed-metadata/ci/*": ["list"]}, ["LIST detailed-metadata"] * 2 + ["SCAN detailed-metadata"], [], []),
        ({"metadata/ci/*": ["read", "list"]}, REFUSED, ["GET data"] * 2, ["GET metadata"] * 2),
        ({"metadata/ci/*": ["list"]}, REFUSED, ["GET data"] * 2, ["GET data"] * 2 + ["GET metadata"] * 2),
    ],
)
def test_each_policy(
    bao: Bao, front: Front, policy: dict[str, list[str]], lists: list[str], first: list[str], then: list[str]
) -> None:
    mount = bao.mount(version="2")
    rules = {f"{mount}/data/ci/*": ["read"], **{f"{mount}/{path}": needed for path, needed in policy.items()}}
    name = bao.policy(**{path: '", "'.join(needed) for path, needed in rules.items()})
    for path in ("ci/db", "ci/eu/db", "cicero/db"):
        bao.write(f"{mount}/data/{path}", {"data": {"password": f"of {path}"}})
    source = source_of(front, bao.token(policies=[name]), f"{mount}/ci/** *")

    (looked,) = survey(source)
    wanted = [f"{mount}/ci/db", f"{mount}/ci/eu/db"]
    assert addresses(looked) == wanted
    assert asked(front) == sorted(["GET mounts", *lists, *first])

    bao.write(f"{mount}/data/ci/eu/db", {"data": {"password": "another"}})
    (looked,) = survey(source, known=["", *wanted])
    assert [each.version.number for each in looked.found if each.version] == [1, 2]
    assert asked(front) == sorted([*lists, *then])
    assert source.read(looked.found[1]).values == {"password": "another"}


def test_secrets_that_are_no_longer_live(bao: Bao, front: Front) -> None:
    mount = bao.mount(version="2")
    for path in ("deleted", "destroyed", "live"):
        bao.write(f"{mount}/data/ci/{path}", {"data": {"password": "some word"}})
    bao.write(f"{mount}/metadata/ci/empty", {"max_versions": 5})
    bao.write(f"{mount}/data/ci/deleted", verb="DELETE")
    bao.write(f"{mount}/destroy/ci/destroyed", {"versions": [1]})
    expected = [State.DELETED, State.DESTROYED, State.EMPTY, State.LIVE]
    usual = bao.policy(**{f"{mount}/data/*": "read", f"{mount}/metadata/*": 'read", "list'})
    wanted = [f"{mount}/ci/{path}" for path in ("deleted", "destroyed", "empty", "live")]
    limited = bao.token(policies=[usual])
    for token, known in [(bao.root, wanted), (limited, wanted), (limited, [])]:
        source = source_of(front, token, f"{mount}/ci/** *")
        found = survey(source, known)[0].found
        assert [each.address for each in found] == wanted
        # The server tells its time in whole seconds.
        now = source.open() + timedelta(seconds=1)
        assert [each.version.state(now) for each in found if each.version] == expected


def test_a_mount_that_was_made_anew_in_another_version(bao: Bao, front: Front) -> None:
    mount = bao.mount(version="2")
    bao.write(f"{mount}/data/ci/db", {"data": {"password": "of version 2"}})
    text = f"{mount}/ci/** *; {mount}/ci/db password"
    source = source_of(front, bao.root, text)
    assert [addresses(looked) for looked in survey(source)] == [[f"{mount}/ci/db"]] * 2
    bao.write(f"sys/mounts/{mount}", verb="DELETE")
    bao.write(f"sys/mounts/{mount}", {"type": "kv", "options": {"version": "1"}})
    bao.write(f"{mount}/ci/db", {"password": "of version 1"})
    found = survey(source)
    assert [addresses(looked) for looked in found] == [[f"{mount}/ci/db"]] * 2
    assert source.read(found[0].found[0]).values == {"password": "of version 1"}
    assert found[0].found[0].engine is Engine.KV1
    bao.write(f"sys/mounts/{mount}", verb="DELETE")
    bao.write(f"sys/mounts/{mount}", {"type": "kv", "options": {"version": "2"}})
    bao.write(f"{mount}/data/ci/db", {"data": {"password": "of version 2"}})
    back = survey(source)
    assert [addresses(looked) for looked in back] == [[f"{mount}/ci/db"]] * 2
    assert back[0].found[0].engine is Engine.KV2
