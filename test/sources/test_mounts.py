"""Which mounts selectors are on, what each engine costs, and how a secret is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from pipe.errors import Busy, Denied, Invalid, Missing
from pipe.secrets import Engine, Mount, Version
from pipe.sources.source import FoundSecret
from pipe.sources.vault import VaultSource
from test.sources.asking import addresses, seen, survey
from test.sources.fake import NOW, USUAL, FakeVault

KV2, KV1, OTHER = Engine.KV2, Engine.KV1, Engine.OTHER


def with_mounts(**engines: Engine) -> FakeVault:
    """Return a Vault with these mounts, in whose paths `__` is a slash, and a secret `x/db` on each."""
    vault = FakeVault(
        [
            Mount(path.replace("__", "/"), engine, "database" if engine is OTHER else "kv")
            for path, engine in engines.items()
        ]
    )
    vault.put(*(f"{mount.path}/x/db" for mount in vault.mounts))
    return vault


def test_what_had_no_versions_before_is_asked_about_first() -> None:
    vault = with_mounts(one=KV1, db=OTHER, secret=KV2)
    vault.put("one/data/x/db")
    for text, address in (("one/x/db a", "one/x/db"), ("db/x/db a", "db/x/db"), ("secret/x/db a", "secret/x/db")):
        (looked,) = survey(vault, text, known=False)
        assert addresses(looked) == [address]
        asked = vault.asked[:]
        vault.asked.clear()
        assert asked[0] == ("mount", address)
        assert [kind for kind, _ in asked].count("data") <= 1


def test_each_mount_is_asked_for_once_where_a_guess_is_wrong() -> None:
    vault = with_mounts(secret=KV2, other=KV1, team__a=KV2, team__b__kv=KV1, team__b__x=KV2)
    text = "; ".join(
        f"{path}/x/db {key}" for path in ("secret", "other", "team/a", "team/b/kv", "team/b/x") for key in "ab"
    )
    found = survey(vault, text)
    assert all(len(looked.found) == 1 for looked in found)
    assert vault.counted()["mount"] == 5


def test_a_mount_that_does_not_answer_is_a_problem_of_its_selectors_alone() -> None:
    vault = with_mounts(secret=KV2)
    unknown, good = survey(vault, "typo/x/db k; secret/x/db k")
    assert isinstance(unknown.problem, Missing)
    assert addresses(good) == ["secret/x/db"]


def test_a_server_that_names_another_mount_than_asked_for_is_not_believed() -> None:
    vault = with_mounts(secret=KV2)
    vault.told = Mount("elsewhere", KV2)
    problem = survey(vault, "secret/no k")[0].problem
    assert isinstance(problem, Invalid)
    assert "elsewhere" in problem.what


def test_the_api_form_of_a_path_is_for_version_2_only() -> None:
    vault = with_mounts(two=KV2, one=KV1)
    vault.put("one/data/x/db", "two/data/x/db")
    text = "two/data/x/db k; one/data/x/db k; two/data/data/x/db k; one/data/** k; two/data k"
    looked = survey(vault, text)
    assert [addresses(each) for each in looked] == [
        ["two/x/db"], ["one/data/x/db"], ["two/data/x/db"], ["one/data/x/db"], [],
    ]  # fmt: skip


def test_version_1_is_read_each_run() -> None:
    vault = with_mounts(one=KV1)
    vault.put("one/x/sub/key")
    found = survey(vault, "one/x/** *; one/x/db *", dry_run=True)
    assert seen(found[0]) == [("one/x/db", "db", None, True), ("one/x/sub/key", "sub/key", None, True)]
    assert vault.counted() == {"scan": 1, "detailed": 1, "names": 3, "metadata": 1, "data": 2, "mount": 1}


def test_a_secret_of_version_1_that_goes_between_list_and_look_is_not_there() -> None:
    vault = with_mounts(one=KV1)
    vault.errors[("data", "one/x/db")] = Missing("gone", "Check it.")
    assert survey(vault, "one/** *")[0].found == ()


def test_a_dynamic_secret_is_made_once_for_all_its_selectors_and_never_in_a_dry_run() -> None:
    vault = with_mounts(db=OTHER)
    text = "db/x/db username; db/x/db password"
    user, password = survey(vault, text)
    assert seen(user) == seen(password) == [("db/x/db", "", None, True)]
    lease = user.found[0].content.lease if user.found[0].content else None
    assert lease is not None
    assert user.found[0].content is password.found[0].content
    assert [kind for kind, address in vault.asked if address == "db/x/db"].count("data") == 1
    dry = survey(vault, text, dry_run=True)
    assert seen(dry[0]) == [("db/x/db", "", None, False)]
    assert vault.asked[-1][0] == "mount"


def test_a_dynamic_engine_has_nothing_to_list() -> None:
    vault = with_mounts(db=OTHER)
    problem = survey(vault, "db/** *")[0].problem
    assert isinstance(problem, Invalid)
    assert "db is a secrets engine of the kind database, which has nothing to list" in problem.what
    assert vault.counted()["mount"] == 1


@pytest.mark.parametrize("engine", [KV2, KV1])
@pytest.mark.parametrize("selector", ["secret/x/** *", "secret/x/db *"])
def test_each_version_is_found_as_what_it_is(engine: Engine, selector: str) -> None:
    vault = with_mounts(secret=engine)
    (looked,) = survey(vault, selector)
    assert [(each.address, each.engine) for each in looked.found] == [("secret/x/db", engine)]
    assert (looked.found[0].version is None) is (engine is KV1)
    assert vault.counted().get("mount", 0) == (engine is KV1)


def test_a_mount_that_was_guessed_well_is_asked_about_once_where_something_is_missing() -> None:
    vault = with_mounts(secret=KV2)
    looked = survey(vault, "secret/x/db k; secret/no k; secret/nor k; secret/none/** k")
    assert [len(each.found) for each in looked] == [1, 0, 0, 0]
    assert vault.counted() == {"scan": 1, "detailed": 1, "names": 1, "metadata": 3, "mount": 1}


def test_a_mount_that_is_deeper_is_found_there() -> None:
    vault = with_mounts(team__kv=KV2)
    found = survey(vault, "team/kv/x/db k; team/kv/no k")
    assert [addresses(each) for each in found] == [["team/kv/x/db"], []]


@pytest.mark.parametrize("error", [Busy("sealed", "Check it."), Denied("no", "Check it.")])
def test_where_the_mount_cannot_be_asked_for_missing_is_not_certain(error: Busy | Denied) -> None:
    vault = with_mounts(secret=KV2)
    vault.errors = {("mount", path): error for path in ("secret/x/db", "secret/no")}
    good, missing = survey(vault, "secret/x/db k; secret/no k")
    assert (addresses(good), good.problem) == (["secret/x/db"], None)
    assert missing.problem == error


def test_one_mount_that_was_guessed_wrong_costs_the_others_nothing() -> None:
    vault = with_mounts(secret=KV2, team__kv=KV2)
    found = survey(vault, "secret/x/db k; team/kv/x/db k")
    assert [addresses(each) for each in found] == [["secret/x/db"], ["team/kv/x/db"]]
    assert vault.counted()["metadata"] == 3


def content_of(vault: FakeVault, found: FoundSecret) -> Mapping[str, Any] | None:
    return VaultSource(vault, ()).read(found).values


def one(vault: FakeVault, text: str = "secret/x/** *") -> FoundSecret:
    found = survey(vault, text)[0].found[0]
    vault.counted()
    return found


def test_a_secret_is_read_in_the_version_that_was_found() -> None:
    vault = with_mounts(secret=KV2)
    found = one(vault)
    vault.put("secret/x/db")
    assert content_of(vault, found) == {"password": "of secret/x/db 1"}
    assert vault.asked == [("data", "secret/x/db@1")]


@pytest.mark.parametrize("kept", [True, False])
def test_a_version_that_is_gone_by_now_gives_way_to_the_present_one(kept: bool) -> None:
    vault = with_mounts(secret=KV2)
    found = one(vault)
    vault.put("secret/x/db")
    if kept:
        vault.secrets["secret/x/db"].values[1] = None
    else:
        del vault.secrets["secret/x/db"].values[1]
    content = VaultSource(vault, ()).read(found)
    assert content.values == {"password": "of secret/x/db 2"}
    assert content.version == Version(2, "c1-2")
    assert vault.asked == [("data", "secret/x/db@1"), ("data", "secret/x/db")]


def test_a_secret_that_is_gone_by_now() -> None:
    vault = with_mounts(secret=KV2)
    found = one(vault)
    vault.change("secret/x/db", deleted_at=NOW)
    assert content_of(vault, found) is None
    del vault.secrets["secret/x/db"]
    with pytest.raises(Missing):
        content_of(vault, found)


def test_what_the_survey_has_read_is_not_read_again() -> None:
    vault = with_mounts(secret=KV1)
    assert content_of(vault, one(vault)) == {"password": "of secret/x/db 1"}
    assert vault.asked == []
    assert content_of(vault, replace(one(vault), content=None)) == {"password": "of secret/x/db 1"}


def test_signing_in_and_out() -> None:
    vault = FakeVault()
    source = VaultSource(vault, ())
    assert source.open() == NOW
    assert source.origin == vault.origin
    source.close(leased=True)
    assert vault.sign_ins == ["in", "out, leased=True"]


def test_data_alone_is_enough_for_a_usual_first_run() -> None:
    vault = with_mounts(secret=KV2)
    vault.allowed = {"": USUAL - {"metadata"}}
    found = survey(vault, "secret/x/** *", known=False)
    assert seen(found[0]) == [("secret/x/db", "db", 1, True)]
