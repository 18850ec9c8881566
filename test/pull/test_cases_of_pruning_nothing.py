"""Case 14: empty is not "delete all"; nothing is deleted where too little is known, or too much would go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.vault import SCAN, USUAL
from sandbox.wire import Fault
from test.clients.vault_front import Front
from test.pull.case import STATE, Case
from test.pull.pruning import deleted, kept
from test.pull.spoiling import answering, many


@pytest.fixture
def pruning(case: Case) -> Case:
    """Return a company that prunes, all of whose secrets are written."""
    case.given["PRUNE"] = "true"
    case.well()
    return case


@pytest.fixture
def other_address(case: Case) -> Iterator[str]:
    """Return another address of the same Vault."""
    front = Front(case.vault.url)
    yield front.url
    front.close()


@pytest.mark.parametrize("text", ["{", "1.bm90IHRoYXQ=", "9.eJw=", "[1]", "17"])
@pytest.mark.sample(2)
def test_14_a_state_that_cannot_be_read_deletes_nothing(pruning: Case, text: str) -> None:
    for scope in (pruning.staging, pruning.production):
        pruning.world.bitbucket.set_variable(scope, STATE, text)
    pruning.vault.remove("secret/ci/session")
    result = pruning.unmet()
    kept(pruning, result)
    assert f"{STATE} is not as Keyturn wrote it; everything is written anew, and nothing is pruned." in result.output
    kept(pruning, pruning.idle())


def test_14_a_state_that_was_made_secured_deletes_nothing(pruning: Case) -> None:
    text = pruning.world.bitbucket.variables(pruning.staging)[STATE].value
    for scope in (pruning.staging, pruning.production):
        pruning.world.bitbucket.set_variable(scope, STATE, text, secured=True)
    pruning.vault.remove("secret/ci/session")
    kept(pruning, pruning.unmet())
    assert not pruning.world.bitbucket.variables(pruning.staging)[STATE].secured
    kept(pruning, pruning.idle())


def test_14_a_state_that_somebody_has_deleted_deletes_nothing(pruning: Case) -> None:
    for scope in (pruning.staging, pruning.production):
        pruning.world.bitbucket.remove_variable(scope, STATE)
    pruning.vault.remove("secret/ci/session")
    kept(pruning, pruning.well())
    kept(pruning, pruning.idle())


@pytest.mark.parametrize("policy", ["scan", "usual"])
def test_14_a_source_with_nothing_in_it_deletes_nothing(pruning: Case, policy: str) -> None:
    """SCAN answers 200 without a key, LIST answers 404."""
    if policy == "usual":
        pruning.vault.role(policies=(USUAL,))
    for path in pruning.company.secrets:
        pruning.vault.remove(path)
    assert "nothing is there" in pruning.refused()
    result = pruning.unmet(ON_MISSING="keep")
    kept(pruning, result)
    assert "not deleted, since nothing was found" in result.last_line


def test_14_a_single_secret_that_is_not_there_deletes_nothing(case: Case) -> None:
    given = {"SECRETS": "secret/ci/database *\nsecret/ci/session *", "PRUNE": "true", "ON_MISSING": "keep"}
    case.well(**given)
    case.vault.remove("secret/ci/session")
    kept(case, case.unmet(**given), "SIGNING_KEY")


@pytest.mark.parametrize("kind", ["500-before", "403", "429-hint"])
@pytest.mark.sample(1)
def test_14_a_list_that_fails_deletes_nothing(pruning: Case, kind: str) -> None:
    pruning.vault.remove("secret/ci/session")
    pruning.vault.wire.spoil(Fault("SCAN *", kind, times=0), Fault("LIST *", kind, times=0))
    result = pruning.run()
    assert result.code == 1, result.output
    kept(pruning, result)
    pruning.mend()
    assert deleted(pruning.well()) == 2


def test_14_a_folder_that_cannot_be_listed_deletes_nothing(case: Case) -> None:
    case.vault.role(policies=(USUAL,))
    case.given["PRUNE"] = "true"
    case.well()
    case.vault.remove("secret/ci/session")
    case.vault.wire.spoil(Fault("LIST */mobile", "500-before", times=0))
    result = case.run()
    assert result.code != 0, result.output
    kept(case, result)


@pytest.mark.parametrize(
    ("status", "body"),
    [("404 Not Found", {"errors": []}), ("200 OK", {"status": "ok"}), ("200 OK", {}), ("200 OK", {"data": {}})],
)
@pytest.mark.parametrize("operation", ["LIST secret/metadata/ci/mobile", "GET secret/metadata/ci/smtp"])
@pytest.mark.sample(2)
def test_14_nothing_where_the_folder_above_has_just_listed_something_deletes_nothing(
    case: Case, operation: str, status: str, body: dict[str, Any]
) -> None:
    case.vault.role(policies=(USUAL,))
    case.given["PRUNE"] = "true"
    case.well()
    case.vault.remove("secret/ci/session")
    case.vault.wire.spoil(answering(operation, status, body, times=0))
    result = case.run()
    assert result.code == 1, result.output
    assert "VAULT_ADDR" in result.output or "the folder above lists it" in result.output
    kept(case, result)
    case.mend()
    assert deleted(case.well()) == 2


def test_14_a_version_that_cannot_be_asked_for_deletes_nothing(case: Case) -> None:
    case.vault.role(policies=(USUAL,))
    case.given["PRUNE"] = "true"
    case.well()
    case.vault.remove("secret/ci/session")
    case.vault.wire.spoil(Fault("GET secret/metadata/ci/smtp", "500-before", times=0))
    result = case.run()
    assert result.code != 0, result.output
    kept(case, result)


@pytest.mark.parametrize("secrets", ["secret/cii/** *", "secret/ci/databas/** *", "secret/ci/mobile/** *"])
@pytest.mark.sample(1)
def test_14_another_prefix_deletes_nothing(pruning: Case, secrets: str) -> None:
    pruning.vault.remove("secret/ci/session")
    result = pruning.run(SECRETS=secrets, ON_MISSING="keep")
    kept(pruning, result)
    assert deleted(pruning.well()) == 2


def test_14_a_typo_is_an_error(pruning: Case) -> None:
    assert "secret/ci/databas/**" in pruning.refused(SECRETS="secret/ci/databas/** *")


@pytest.mark.parametrize(
    ("before", "after", "goes"),
    [(8, 0, False), (8, 2, False), (8, 3, True), (40, 30, True), (40, 26, False)],
    ids=["8 of 26", "6 of 26", "5 of 26", "10 of 58", "14 of 58"],
)
@pytest.mark.sample(2)
def test_14_more_than_five_and_a_fifth_are_never_deleted_at_once(
    case: Case, before: int, after: int, goes: bool
) -> None:
    case.given |= {"PRUNE": "true", "TARGETS": "deployment:staging"}
    keys = many(before)
    case.put("secret/ci/bulk", keys)
    case.well()
    if after:
        case.put("secret/ci/bulk", dict(list(keys.items())[:after]))
    else:
        case.vault.remove("secret/ci/bulk")
    result = case.run()
    assert result.code == (0 if goes else 2), result.output
    assert deleted(result) == (before - after if goes else 0), result.output
    assert goes or f": {before - after} of {before + 18} " in result.last_line
    if not goes:
        # One less than that is no more than nothing; that many go, and no more are left.
        assert deleted(case.run(PRUNE=str(before - after - 1))) == 0
        assert deleted(case.well(PRUNE=str(before - after))) == before - after
    case.forget()
    assert deleted(case.well()) == 0


def test_14_the_same_path_at_another_address_deletes_nothing(pruning: Case, other_address: str) -> None:
    pruning.vault.remove("secret/ci/session")
    kept(pruning, pruning.well(VAULT_ADDR=other_address))
    kept(pruning, pruning.well(VAULT_ADDR=other_address))
    kept(pruning, pruning.well())


def test_14_the_same_path_in_another_namespace_deletes_nothing(pruning: Case) -> None:
    pruning.vault.remove("secret/ci/session")
    kept(pruning, pruning.well(VAULT_NAMESPACE="root"))


def test_14_the_same_secrets_on_another_mount_delete_nothing(pruning: Case) -> None:
    secrets = dict(pruning.company.secrets)
    del secrets["secret/ci/session"]
    for path, values in secrets.items():
        pruning.vault.put(path.replace("secret/", "legacy/"), values)
    pruning.vault.role(policies=(SCAN, USUAL))
    kept(pruning, pruning.well(SECRETS="legacy/ci/** *"))
