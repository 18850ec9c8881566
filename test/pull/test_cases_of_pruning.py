"""Case 14: what nothing brings any more is deleted, if it is ours."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from pipe.jobs.pull.state_variable import SyncedSecret, as_state, last_sync_of, uuid_digest
from sandbox.vault import USUAL
from sandbox.wire import Fault
from test.pull.case import STATE, Case
from test.pull.pruning import SESSION, deleted, kept
from test.pull.spoiling import answering


@pytest.fixture
def pruning(case: Case) -> Case:
    """Return a company that prunes, all of whose secrets are written."""
    case.given["PRUNE"] = "true"
    case.well()
    return case


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
    assert result.last_line == "✔ Nothing to do: 11 secrets looked at; 2 warnings, see above."
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


def test_14_a_forged_note_lets_prune_delete_what_its_forger_could_delete_anyway(pruning: Case) -> None:
    """Somebody has made a variable by hand, and notes its name and uuid in the state as if Keyturn had written it.

    Both can be seen by everybody who may read variables, so that the note proves nothing about the variable. It is
    believed: whoever can write it may change and delete all variables there. A name alone is not enough: a variable
    that was deleted and made anew has another uuid, and is kept.
    """
    bitbucket, staging = pruning.world.bitbucket, pruning.staging
    made = bitbucket.set_variable(staging, "BY_HAND", "value")
    again = bitbucket.set_variable(staging, "MADE_ANEW", "value")
    state = bitbucket.variables(staging)[STATE].value
    remembered = last_sync_of(state)
    (text, group), *_ = remembered.groups.items()
    digests = {"BY_HAND": uuid_digest(made.uuid), "MADE_ANEW": uuid_digest(f"{{{again.uuid}-before}}")}
    entries = {**group.entries, "secret/ci/forged": SyncedSecret("", digests)}
    forged = replace(remembered, groups={**remembered.groups, text: replace(group, entries=entries)})
    bitbucket.set_variable(staging, STATE, as_state(forged))
    result = pruning.well()
    assert "BY_HAND" not in pruning.held(staging), result.output
    assert "MADE_ANEW" in pruning.held(staging)
    assert deleted(result) == 1
