"""Case 14: empty is not "delete all"; what is deleted is ours, and is certainly gone."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from sandbox.vault import SCAN, USUAL
from sandbox.wire import Fault
from test.clients.vault_front import Front
from test.pull.case import STATE, Case
from test.pull.spoiling import answering, many
from test.support import Result

SESSION = "SESSION_SIGNING_KEY"


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


def deleted(result: Result) -> int:
    return len(result.asked("DELETE /2.0/"))


def kept(case: Case, result: Result, name: str = SESSION) -> None:
    """Nothing was deleted, and the variable is there."""
    assert deleted(result) == 0, result.output
    assert name in case.held(case.staging)
    assert name in case.held(case.production)


def test_14_what_the_source_has_no_more_is_deleted(pruning: Case) -> None:
    pruning.vault.remove("secret/ci/session")
    result = pruning.well()
    assert deleted(result) == 2
    assert SESSION not in pruning.held(pruning.staging)
    assert result.last_line.startswith("✔ Deleted 2 variables in 2 targets")
    pruning.idle()


def test_14_what_is_deleted_in_vault_is_deleted_and_comes_back_with_it(pruning: Case) -> None:
    pruning.vault.delete("secret/ci/session")
    # Vault's answers tell the time to the second, and what will be deleted is live until then.
    time.sleep(1)
    assert deleted(pruning.well()) == 2
    pruning.idle()
    pruning.vault.undelete("secret/ci/session")
    pruning.well()
    assert SESSION in pruning.held(pruning.staging)
    pruning.idle()


def test_14_what_is_destroyed_is_deleted(pruning: Case) -> None:
    pruning.vault.destroy("secret/ci/session")
    assert deleted(pruning.well()) == 2
    pruning.idle()


def test_14_a_key_that_its_secret_has_no_more_is_deleted(pruning: Case) -> None:
    pruning.put("secret/ci/smtp", {"username": "mailer@acme.example"})
    assert deleted(pruning.well()) == 2
    assert "SMTP_PASSWORD" not in pruning.held(pruning.staging)
    pruning.idle()


def test_14_without_prune_it_is_kept_and_named(pruning: Case) -> None:
    pruning.vault.remove("secret/ci/session")
    result = pruning.well(PRUNE="false")
    kept(pruning, result)
    assert f"WARNING: acme/shop Staging: {SESSION}: secret/ci/session is not there any more" in result.output
    assert "PRUNE: true" in result.output
    assert deleted(pruning.well()) == 2, "it is still ours"


def test_14_a_dry_run_lists_the_names(pruning: Case) -> None:
    pruning.vault.remove("secret/ci/smtp")
    result = pruning.well(DRY_RUN="true")
    kept(pruning, result, "SMTP_PASSWORD")
    for scope in ("Staging", "Production"):
        for name in ("SMTP_PASSWORD", "SMTP_USERNAME"):
            assert any(
                line.split()[0] == "prune" and f"acme/shop {scope}: {name}" in line
                for line in result.output.splitlines()
                if line.strip()
            ), result.output
    assert "would delete 4 variables in 2 targets" in result.last_line


@pytest.mark.parametrize("text", ["{", '{"pull":"1.bm90IHRoYXQ="}', '{"pull":"9.eJw="}', "[1]", '{"pull":17}'])
def test_14_a_state_that_cannot_be_read_deletes_nothing(pruning: Case, text: str) -> None:
    for scope in (pruning.staging, pruning.production):
        pruning.world.bitbucket.set_variable(scope, STATE, text)
    pruning.vault.remove("secret/ci/session")
    result = pruning.well()
    kept(pruning, result)
    assert f"{STATE} is not as Keyturn wrote it; everything is written anew, and nothing is pruned." in result.output
    kept(pruning, pruning.idle())


def test_14_a_state_that_was_made_secured_deletes_nothing(pruning: Case) -> None:
    text = pruning.world.bitbucket.variables(pruning.staging)[STATE].value
    for scope in (pruning.staging, pruning.production):
        pruning.world.bitbucket.set_variable(scope, STATE, text, secured=True)
    pruning.vault.remove("secret/ci/session")
    kept(pruning, pruning.well())
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
    result = pruning.well(ON_MISSING="keep")
    kept(pruning, result)
    assert "not deleted, since nothing at all was found" in result.output


def test_14_a_single_secret_that_is_not_there_deletes_nothing(case: Case) -> None:
    given = {"SECRETS": "secret/ci/database *\nsecret/ci/session *", "PRUNE": "true", "ON_MISSING": "keep"}
    case.well(**given)
    case.vault.remove("secret/ci/session")
    kept(case, case.well(**given), "SIGNING_KEY")


@pytest.mark.parametrize("kind", ["500-before", "403", "429-hint"])
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
    result = case.well()
    assert deleted(result) == (before - after if goes else 0), result.output
    assert goes or "too many for one run" in result.output
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


def test_14_foreign_variables_are_never_touched(pruning: Case) -> None:
    bitbucket = pruning.world.bitbucket
    bitbucket.set_variable(pruning.production, "SESSION_OTHER", "theirs-by-hand", secured=True)
    foreign = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "LOG_LEVEL", "SESSION_OTHER"}
    before = {name: bitbucket.variables(pruning.production)[name] for name in foreign}
    pruning.vault.remove("secret/ci/session")
    assert deleted(pruning.well()) == 2
    after = bitbucket.variables(pruning.production)
    assert {name: after[name] for name in foreign} == before


def test_14_a_variable_that_somebody_has_made_anew_is_theirs(pruning: Case) -> None:
    pruning.world.bitbucket.remove_variable(pruning.staging, SESSION)
    pruning.world.bitbucket.set_variable(pruning.staging, SESSION, "theirs-by-hand", secured=True)
    pruning.vault.remove("secret/ci/session")
    assert deleted(pruning.well()) == 1
    assert pruning.held(pruning.staging)[SESSION] == "theirs-by-hand"
    pruning.idle()


def test_14_a_variable_that_is_gone_already_is_no_failure(pruning: Case) -> None:
    pruning.vault.remove("secret/ci/session")
    body = {"error": {"message": "Not found", "detail": "No variable with that UUID exists."}}
    pruning.spoil(answering("DELETE *", "404 Not Found", body))
    pruning.well()


def test_14_a_deletion_that_fails_is_made_up_for(pruning: Case) -> None:
    pruning.vault.remove("secret/ci/session")
    pruning.spoil(Fault("DELETE *", "500-before", times=0))
    result = pruning.run()
    assert result.code == 1, result.output
    pruning.mend()
    assert deleted(pruning.well()) == 2
    pruning.idle()


def test_14_two_steps_with_different_selectors_share_a_target_in_peace(case: Case) -> None:
    case.given["PRUNE"] = "true"
    one, other = "secret/ci/mobile/** *", "secret/ci/database * | DB_"
    case.vault.role(policies=(USUAL,))
    for secrets in (one, other):
        case.well(SECRETS=secrets)
    for secrets in (one, other, one, other):
        case.idle(SECRETS=secrets)
    case.vault.remove("secret/ci/mobile/apple")
    kept(case, case.well(SECRETS=other), "APPLE_KEY_ID")
    assert deleted(case.well(SECRETS=one)) == 4
    assert {"DB_HOST", "ANDROID_KEY_PASSWORD"} <= case.held(case.staging).keys()
    for secrets in (one, other):
        case.idle(SECRETS=secrets)
