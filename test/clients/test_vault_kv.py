"""What Vault's mounts hold, read from a real OpenBao."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from pipe.clients.vault import Vault
from pipe.clients.vault_kv import Kv
from pipe.clients.vault_logins import Token
from pipe.errors import Denied, Invalid, Missing, ServiceError, Unsupported
from pipe.redact import Secret, clean
from pipe.secrets import Engine, Mount, State, Tree
from test.clients.vault_bao import Bao
from test.clients.vault_front import Front, Reply
from test.faults.pace import Brisk

AWKWARD = ["with blank", "50%25", "é", "a+b", "#1", "why?", "Ünï/ćødé x"]


def kv_as(token: str, url: str, page: int = 1000) -> Kv:
    vault = Vault(url, deadline=Brisk())
    vault.sign_in(Token(Secret(token)))
    return Kv(vault, page=page)


@pytest.fixture
def kv(bao: Bao, front: Front) -> Kv:
    return kv_as(bao.root, front.url)


@pytest.fixture
def two(bao: Bao) -> Mount:
    return Mount(bao.mount(version="2"), Engine.KV2)


@pytest.fixture
def one(bao: Bao) -> Mount:
    return Mount(bao.mount(), Engine.KV1)


def put(bao: Bao, mount: Mount, path: str, **values: Any) -> None:
    if mount.engine is Engine.KV2:
        bao.write(f"{mount.path}/data/{quote(path)}", {"data": values})
    else:
        bao.write(f"{mount.path}/{quote(path)}", values)


@pytest.mark.parametrize("below", ["", "/ci/db", "/data/ci/db", "/nothing here"])
def test_a_mount_is_told_by_any_path_below_it(kv: Kv, two: Mount, one: Mount, below: str) -> None:
    assert kv.mount(two.path + below) == two
    assert kv.mount(one.path + below) == one


def test_other_engines_and_mounts_of_more_than_one_part_are_told(bao: Bao, kv: Kv) -> None:
    transit = bao.mount("transit")
    assert kv.mount(f"{transit}/keys/k") == Mount(transit, Engine.OTHER, "transit")
    bao.write("sys/mounts/team/a/kv", {"type": "kv", "options": {"version": "2"}})
    assert kv.mount("team/a/kv/ci/db") == Mount("team/a/kv", Engine.KV2)


def test_an_unknown_or_denied_mount_names_the_path_and_what_to_check(bao: Bao, kv: Kv, two: Mount) -> None:
    with pytest.raises(ServiceError, match="nope/ci/db") as error:
        kv.mount("nope/ci/db")
    assert isinstance(error.value, Denied | Missing)
    assert "mount" in error.value.check
    with pytest.raises(Denied, match=f"`{two.path}/ci/db`") as denied:
        kv_as(bao.token(policies=["default"]), bao.url).mount(f"{two.path}/ci/db")
    assert "policy" in denied.value.check


def test_a_whole_tree_is_told_by_one_scan(bao: Bao, kv: Kv, front: Front, two: Mount) -> None:
    for path in ("top", "ci/db", "ci/deep/er/x", "other/y"):
        put(bao, two, path, a="value-0")
    put(bao, two, "ci/db", a="value-1")
    tree = kv.tree(two, "ci", recursive=True)
    assert {path: version.number for path, version in tree.versions.items()} == {"db": 2, "deep/er/x": 1}
    assert set(kv.tree(two, "", recursive=True).versions) == {"top", "ci/db", "ci/deep/er/x", "other/y"}
    assert len(front.seen) == 2
    assert tree.versions["db"] == kv.version(two, "ci/db")


def test_a_folder_is_told_by_one_list(bao: Bao, kv: Kv, front: Front, two: Mount) -> None:
    for path in ("ci/db", "ci/deep/x", "ci/db/below"):
        put(bao, two, path, a="value-0")
    tree = kv.tree(two, "ci", recursive=False)
    assert (set(tree.versions), set(tree.folders)) == ({"db"}, {"db", "deep"})
    assert len(front.seen) == 1


@pytest.mark.parametrize(("secrets", "requests"), [(3, 2), (4, 2), (5, 3)])
def test_a_long_list_is_read_page_by_page(bao: Bao, front: Front, two: Mount, secrets: int, requests: int) -> None:
    kv = kv_as(bao.root, front.url, page=3)
    names = [f"s {number}+é" for number in range(secrets)]
    for name in names:
        put(bao, two, f"many/{name}", a="value-0")
    put(bao, two, "many/z/x", a="value-0")
    tree = kv.tree(two, "many", recursive=False)
    assert (list(tree.versions), tree.folders) == (names, ("z",))
    assert len(front.asked("LIST *")) == requests


@pytest.mark.parametrize("recursive", [True, False])
def test_a_folder_that_is_not_there_is_empty(kv: Kv, two: Mount, recursive: bool) -> None:
    assert kv.tree(two, "none", recursive=recursive) == Tree({})
    assert kv.names(two, "none") == ()


def test_a_server_without_such_lists_is_never_taken_for_an_empty_one(kv: Kv, front: Front, two: Mount) -> None:
    warned = {"data": None, "warnings": ["Invalid path for a versioned K/V secrets engine. See the API docs."]}
    front.reply("SCAN *", Reply(405), Reply(404, {"errors": ["unsupported path"]}), Reply(501, b"<h1>proxy</h1>"))
    front.reply("LIST *", Reply(404, warned), Reply(200, {"data": {"keys": ["a"], "key_info": {"a": {}}}}))
    for recursive in (True, True, True, False, False):
        with pytest.raises(Unsupported, match=f"{two.path}/detailed-metadata/ci/"):
            kv.tree(two, "ci", recursive=recursive)
    front.reply("LIST *", Reply(404, b"<h1>nginx</h1>"), Reply(404, {"errors": ["namespace not found"]}))
    for kind, check in ((Unsupported, "VAULT_ADDR"), (Invalid, "VAULT_NAMESPACE")):
        with pytest.raises(kind) as error:
            kv.tree(two, "ci", recursive=False)
        assert check in error.value.check


def test_a_real_server_is_told_from_an_empty_one(bao: Bao, kv: Kv, two: Mount, one: Mount) -> None:
    with pytest.raises(Unsupported):
        kv.tree(one, "ci", recursive=True)
    with pytest.raises(Unsupported, match="Invalid path for a versioned"):
        # What a server answers that has version 2, but not the path.
        kv.names(Mount(f"{two.path}/bogus", Engine.KV1), "ci")


def test_names_are_listed_on_both_versions(bao: Bao, kv: Kv, two: Mount, one: Mount) -> None:
    for mount in (one, two):
        put(bao, mount, "ci/db", a="value-0")
        put(bao, mount, "ci/deep/x", a="value-0")
        assert kv.names(mount, "ci") == ("db", "deep/")
        assert kv.names(mount, "") == ("ci/",)


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_names_round_trip(bao: Bao, kv: Kv, two: Mount, one: Mount, name: str) -> None:
    for mount in (one, two):
        put(bao, mount, f"ci/{name}", a=f"value of {name}")
        assert kv.read(mount, f"ci/{name}").values == {"a": f"value of {name}"}
        folder, _, last = f"ci/{name}".rpartition("/")
        assert kv.names(mount, folder) == (last,)
    assert set(kv.tree(two, "ci", recursive=True).versions) == {name}
    assert kv.version(two, f"ci/{name}").number == 1


@pytest.mark.parametrize("path", ["a/../b", "./a", "a//b", "a/.."])
def test_a_path_that_a_server_would_take_for_another_is_refused(kv: Kv, front: Front, one: Mount, path: str) -> None:
    with pytest.raises(Invalid, match="no path"):
        kv.read(one, path)
    assert front.seen == []


def test_a_secret_is_read_in_its_current_and_in_a_given_version(bao: Bao, kv: Kv, two: Mount) -> None:
    put(bao, two, "ci/db", a="the first")
    put(bao, two, "ci/db", a="the second")
    now = kv.read(two, "ci/db")
    assert (now.values, now.version, now.lease) == ({"a": "the second"}, kv.version(two, "ci/db"), None)
    then = kv.read(two, "ci/db", 1)
    assert then.values == {"a": "the first"}
    assert then.version is not None
    assert then.version.number == 1
    assert now.version is not None
    assert now.version.created.startswith(f"{datetime.now(UTC):%Y-}")
    with pytest.raises(Missing, match=f"`{two.path}/data/ci/db` in version 9"):
        kv.read(two, "ci/db", 9)
    with pytest.raises(Missing, match=f"`{two.path}/data/ci/none`"):
        kv.read(two, "ci/none")
    with pytest.raises(Missing, match=f"`{two.path}/metadata/ci/none`"):
        kv.version(two, "ci/none")


def test_deleted_destroyed_expiring_and_empty_secrets_are_told_apart(bao: Bao, kv: Kv, two: Mount) -> None:
    for path in ("live", "deleted", "destroyed", "expiring"):
        if path == "expiring":
            bao.write(f"{two.path}/metadata/s/{path}", {"delete_version_after": "24h"})
        put(bao, two, f"s/{path}", a="value-0")
    bao.write(f"{two.path}/data/s/deleted", verb="DELETE")
    bao.write(f"{two.path}/destroy/s/destroyed", {"versions": [1]}, verb="PUT")
    bao.write(f"{two.path}/metadata/s/empty", {"max_versions": 5})
    now = datetime.now(UTC) + timedelta(seconds=2)
    wanted = {
        "live": State.LIVE, "deleted": State.DELETED, "destroyed": State.DESTROYED, "expiring": State.LIVE,
        "empty": State.EMPTY,
    }  # fmt: skip
    for recursive in (True, False):
        tree = kv.tree(two, "s", recursive=recursive)
        assert {path: version.state(now) for path, version in tree.versions.items()} == wanted
        assert tree.versions == {path: kv.version(two, f"s/{path}") for path in wanted}
    assert tree.versions["expiring"].state(now + timedelta(days=2)) is State.DELETED
    for path in ("deleted", "destroyed"):
        content = kv.read(two, f"s/{path}")
        assert (content.values, content.version) == (None, tree.versions[path])
    assert kv.read(two, "s/expiring").version == tree.versions["expiring"]
    with pytest.raises(Missing):
        kv.read(two, "s/empty")


def test_a_secret_that_was_removed_and_made_anew_is_another_version_1(bao: Bao, kv: Kv, two: Mount) -> None:
    put(bao, two, "ci/db", a="value-0")
    before = kv.version(two, "ci/db")
    bao.write(f"{two.path}/metadata/ci/db", verb="DELETE")
    time.sleep(0.001)
    put(bao, two, "ci/db", a="value-0")
    after = kv.version(two, "ci/db")
    assert (before.number, after.number) == (1, 1)
    assert before != after


def test_version_1_and_dynamic_engines_have_no_version_but_may_have_a_lease(
    bao: Bao, kv: Kv, front: Front, one: Mount
) -> None:
    put(bao, one, "ci/db", a="plain", n=5)
    content = kv.read(one, "ci/db")
    assert (content.values, content.version, content.lease) == ({"a": "plain", "n": 5}, None, None)
    with pytest.raises(Missing, match=f"`{one.path}/ci/none`"):
        kv.read(one, "ci/none")
    given = {"lease_id": "database/creds/app/x", "lease_duration": 3600, "renewable": True, "data": {"username": "u"}}
    front.reply("GET /v1/database/creds/app", Reply(200, given))
    dynamic = kv.read(Mount("database", Engine.OTHER, "database"), "creds/app")
    assert dynamic.values == {"username": "u"}
    assert dynamic.lease is not None
    assert (dynamic.lease.id, dynamic.lease.seconds, dynamic.lease.renewable) == ("database/creds/app/x", 3600, True)


def test_everything_that_is_read_is_hidden(bao: Bao, kv: Kv, two: Mount, one: Mount) -> None:
    for mount in (one, two):
        nested = {"user": f"leaf-{mount.engine}", "list": [f"item-{mount.engine}", {"pin": 998877}], "b": 1}
        text = f"-----BEGIN-----\nline-of-{mount.engine}\n"
        put(bao, mount, "x", text=text, number=424242.5, nested=nested, yes=True)
        content = kv.read(mount, "x")
        compact = f'{{"b":1,"list":["item-{mount.engine}",{{"pin":998877}}],"user":"leaf-{mount.engine}"}}'
        for shown in (text, f"line-of-{mount.engine}", "424242.5", f"leaf-{mount.engine}", "998877", compact):
            assert shown not in clean(f"before {shown} after")
        assert clean("true") == "true"
        assert f"leaf-{mount.engine}" not in repr(content)


@pytest.mark.parametrize(
    ("verb", "capability", "path"), [("scan", "scan", "detailed-metadata/ci/"), ("list", "list", "metadata/ci/"),
                                     ("version", "read", "metadata/ci/db"), ("read", "read", "data/ci/db")]
)  # fmt: skip
def test_a_denial_names_the_path_and_the_capability(
    bao: Bao, two: Mount, verb: str, capability: str, path: str
) -> None:
    put(bao, two, "ci/db", a="value-0")
    policy = bao.policy(**{f"{two.path}/{path}": "create"})
    kv = kv_as(bao.token(policies=[policy]), bao.url)
    asks: dict[str, Callable[[], object]] = {
        "scan": lambda: kv.tree(two, "ci", recursive=True), "list": lambda: kv.names(two, "ci"),
        "version": lambda: kv.version(two, "ci/db"), "read": lambda: kv.read(two, "ci/db"),
    }  # fmt: skip
    with pytest.raises(Denied, match=f"`{capability}` on `{two.path}/{path}` \\(403\\)") as error:
        asks[verb]()
    assert f"`{capability}`" in error.value.check
    allowed = bao.policy(**{f"{two.path}/{path}": capability})
    kv = kv_as(bao.token(policies=[allowed]), bao.url)
    asks[verb]()
