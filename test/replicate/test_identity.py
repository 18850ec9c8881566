"""What tells which version of which secret a replica is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pipe.jobs.replicate.identity import (
    OURS,
    holds_keys,
    is_current,
    mark_in,
    mark_of,
    next_id,
    of_origin,
    owner,
    source_tag,
    staged,
    tags_of,
    token_of,
)
from pipe.secrets import Described, Engine, Version
from pipe.selectors import Selector
from pipe.sources.source import FoundSecret

ORIGIN = "https://vault.example.com team"
SELECTOR = Selector("secret/ci", "*", recursive=True)
FOUND = FoundSecret(SELECTOR, "secret/ci/db", "secret", Engine.KV2)
VERSION = Version(2, "2026-01-01T00:00:00Z")
TOKEN = token_of(FOUND, VERSION, ("password", "user"), ORIGIN)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def replica(*ids: str, changed: datetime | None = NOON) -> Described:
    """Return a secret whose versions have the stages AWSCURRENT, AWSPREVIOUS and one of people's own."""
    stages = dict(zip(ids, (frozenset({name}) for name in ("AWSCURRENT", "AWSPREVIOUS", "KEPT")), strict=False))
    return Described("arn", stages, {}, changed=changed)


def test_the_order_of_keys_and_the_selector_that_found_it_make_no_other_id() -> None:
    other = replace(FOUND, selector=Selector("secret/ci/db", "password"))
    assert token_of(other, VERSION, ("user", "password"), ORIGIN) == TOKEN


@pytest.mark.parametrize(
    ("found", "version", "keys", "origin"),
    [
        (replace(FOUND, address="secret/ci/db2"), VERSION, ("password", "user"), ORIGIN),
        (replace(FOUND, mount="secret/ci"), VERSION, ("password", "user"), ORIGIN),
        (FOUND, VERSION._replace(number=3), ("password", "user"), ORIGIN),
        (FOUND, VERSION._replace(created="2026-01-01T00:00:01Z"), ("password", "user"), ORIGIN),
        (FOUND, VERSION, (), ORIGIN),
        (FOUND, VERSION, ("password",), ORIGIN),
        (FOUND, VERSION, ("password", "user"), "https://vault.example.com "),
    ],
)
def test_all_else_makes_another_id(found: FoundSecret, version: Version, keys: tuple[str, ...], origin: str) -> None:
    assert token_of(found, version, keys, origin) != TOKEN


def test_what_has_no_version_has_another_id_each_time() -> None:
    first, second = (token_of(FOUND, None, (), ORIGIN, run) for run in ("run-1", "run-2"))
    assert first != second


@pytest.mark.parametrize("token", [TOKEN, token_of(FOUND, None, (), ORIGIN)], ids=["versions", "none"])
def test_an_id_is_one_that_secrets_manager_takes_and_ours(token: str) -> None:
    for version in (token, next_id(replica(token), token)):
        assert 32 <= len(version) <= 64
        assert version.startswith(OURS)


def test_who_sees_the_same_chooses_the_same_next_id_and_nobody_else_does() -> None:
    seen = replica("theirs")
    later = seen._replace(changed=datetime(2026, 1, 1, 12, 0, 0, 1000, tzinfo=UTC))
    ids = [next_id(each, TOKEN) for each in (seen, later, replica("others"), seen._replace(changed=None))]
    assert next_id(replica("theirs"), TOKEN) == ids[0]
    assert len({*ids, TOKEN}) == 5
    assert all(is_current(replica(version), TOKEN) for version in ids)


def test_only_the_version_of_a_token_is_current_for_it() -> None:
    assert is_current(replica(TOKEN), TOKEN)
    assert not is_current(replica(), TOKEN)
    assert not is_current(replica("theirs", TOKEN), TOKEN)
    assert not is_current(replica(f"{TOKEN}0"), TOKEN)
    assert not is_current(replica(TOKEN[:-1]), TOKEN)


def test_a_version_with_any_stage_can_be_put_back() -> None:
    following = next_id(replica("theirs"), TOKEN)
    assert staged(replica("theirs", TOKEN), TOKEN) == TOKEN
    assert staged(replica("theirs", "others", following), TOKEN) == following
    assert staged(replica("theirs", "others"), TOKEN) is None


def test_tags_tell_the_vault_and_the_selector_without_naming_them() -> None:
    tags = tags_of(FOUND, VERSION, ORIGIN)
    assert tags["keyturn:replica"] == owner(ORIGIN, SELECTOR.text)
    ours = replica()._replace(tags=tags)
    assert of_origin(ours, ORIGIN)
    assert not of_origin(ours, "https://vault.example.com ")
    assert owner(ORIGIN, "secret/ci/db *") != owner(ORIGIN, SELECTOR.text)
    assert not holds_keys(ours)
    assert not any(word in tags["keyturn:replica"] for word in ("vault", "team", "secret"))


def test_the_id_of_the_current_version_or_the_one_before_tells_whose_it_is_and_no_tag_does() -> None:
    mark, other = mark_of("secret/ci/db", ORIGIN), token_of(replace(FOUND, address="secret/x"), VERSION, (), ORIGIN)
    for ids in ([TOKEN], [next_id(replica(), TOKEN)], ["theirs", TOKEN], [TOKEN, other]):
        assert mark_in(replica(*ids)) == mark
    assert mark_in(replica(token_of(FOUND, None, (), ORIGIN, "run"))) == mark
    tagged = tags_of(FOUND, VERSION, ORIGIN)
    for ids in ([], ["theirs"], ["theirs", "others", TOKEN], [f"{TOKEN}0"], [TOKEN.replace("keyturn", "keyturm")]):
        assert mark_in(replica(*ids)._replace(tags=tagged)) == ""
    assert len({mark, mark_of("secret/ci/db", "other"), mark_of("secret/x", ORIGIN)}) == 3


def test_the_journal_of_a_rotation_is_told_by_its_labels() -> None:
    journal = Described("arn", {"a": frozenset({"AWSCURRENT"}), "b": frozenset({"keyturn-targets"})}, {})
    assert holds_keys(journal)
    assert not holds_keys(replica(TOKEN))


def test_a_tag_is_one_that_aws_takes() -> None:
    assert source_tag("secret/ci/ümlaut und (mehr)*") == "secret/ci/ümlaut und _mehr__"
    assert len(source_tag("x" * 300)) == 256
    assert tags_of(FOUND, None, ORIGIN)["vault-version"] == "none"
