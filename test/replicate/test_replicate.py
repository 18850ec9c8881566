"""What an ordinary replication does, and what it asks for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox.vault import SCAN, USUAL
from sandbox.world import REPLICAS
from test.replicate.case import Case

SCANNED = "SCAN secret/detailed-metadata/ci"
LISTED = "secretsmanager.ListSecrets"


def test_the_first_run_makes_every_replica(case: Case) -> None:
    result = case.well()
    assert result.last_line == "✔ Replicas: 12 made; 12 secrets looked at."
    case.assert_right()
    assert sorted(case.to_aws(result)) == ["CreateSecret"] * 12 + ["ListSecrets"]
    assert len(case.reads(result)) == 12
    assert case.vault.tokens() == set()


def test_nothing_changed_is_asked_for_by_two_requests(kept: Case) -> None:
    for _ in range(2):
        result = kept.idle()
        assert sorted(kept.asked(result)) == [SCANNED, LISTED]
        assert len(result.requests) == 5, "signing in at both, and out at Vault"
        assert result.last_line == "✔ Nothing to do: 12 secrets looked at, and all replicas are right."
    assert not any("/data/" in path for _, path in kept.vault.audited())


@pytest.mark.parametrize("times", [1, 2])
def test_what_changed_is_read_put_and_tagged(kept: Case, times: int) -> None:
    for number in range(times):
        kept.put("secret/ci/database", {"password": f"the-next-password-{number}"})
        result = kept.well()
        assert kept.reads(result) == ["GET secret/data/ci/database"]
        assert kept.to_aws(result) == ["ListSecrets", "PutSecretValue", "TagResource"]
        assert result.last_line == "✔ Replicas: 1 updated; 12 secrets looked at."
        assert kept.seen("ci/database").tags["vault-version"] == str(number + 2)
    kept.assert_right()
    kept.idle()


def test_a_secret_that_was_removed_and_made_anew_is_version_1_again_and_written(kept: Case) -> None:
    kept.vault.remove("secret/ci/session")
    kept.put("secret/ci/session", {"signing-key": "the-key-of-the-new-one"})
    assert kept.to_aws(kept.well()) == ["ListSecrets", "PutSecretValue"], "the tag says version 1 already"
    kept.assert_right()
    kept.idle()


def test_folders_in_folders_are_names_with_slashes(case: Case) -> None:
    case.put("secret/ci/a/b/c/d", {"deep": "deep-in-the-folders"})
    case.well()
    assert case.body("ci/a/b/c/d") == {"deep": "deep-in-the-folders"}
    case.idle()


def test_without_the_right_to_scan_the_same_replicas_are_as_idle(kept: Case) -> None:
    """What a version is called does not depend on how it was learned."""
    kept.vault.role(policies=(USUAL,))
    result = kept.idle()
    assert len(result.asked("GET secret/metadata/ci/")) == 12
    kept.vault.role(policies=(SCAN,))
    kept.idle()


def test_without_the_right_to_scan_a_first_run_reads_each_secret_once(case: Case) -> None:
    case.vault.role(policies=(USUAL,))
    result = case.well()
    assert len(case.reads(result)) == 12
    assert result.asked("GET secret/metadata/") == []
    case.idle()
    case.vault.role(policies=(SCAN,))
    case.idle()


def test_a_mount_of_several_words_is_left_out_of_the_name(case: Case) -> None:
    case.vault.mount("team/kv", 2)
    case.put("team/kv/app/db", {"password": "the-team-password"})
    rules = ('metadata/*" { capabilities = ["read", "list"] }', 'data/*" { capabilities = ["read"] }')
    case.vault.policy("team", "\n".join(f'path "team/kv/{rule}' for rule in rules))
    case.vault.role(policies=("team",))
    case.given["SECRETS"] = "team/kv/app/** *"
    case.well()
    assert case.body("app/db") == {"password": "the-team-password"}
    case.idle()


@pytest.mark.parametrize("times", [1, 3])
def test_force_writes_everything_each_time_and_leaves_nothing_to_do(kept: Case, times: int) -> None:
    for _ in range(times):
        result = kept.well(FORCE="true")
        assert result.last_line == "✔ Replicas: 12 updated; 12 secrets looked at."
        assert len(kept.reads(result)) == 12
    kept.assert_right()
    kept.idle()


def test_a_dry_run_shows_it_and_writes_nothing(kept: Case) -> None:
    kept.put("secret/ci/database", {"password": "the-next-password"})
    kept.put("secret/ci/fresh", {"password": "the-fresh-password"})
    kept.edit("ci/chat")
    kept.vault.remove("secret/ci/session")
    result = kept.well(DRY_RUN="true", PRUNE="true")
    assert result.writes == []
    assert result.last_line == (
        "✔ Dry run: to do: 1 updated, 1 made, 1 put back, 1 scheduled for deletion; "
        "12 secrets looked at, nothing was written."
    )
    for name in ("ci/database", "ci/fresh", "ci/chat", "ci/session"):
        assert f"{REPLICAS}{name} " in result.output


def test_a_dry_run_of_what_cannot_be_read_says_so(kept: Case) -> None:
    kept.put("secret/ci/session", {"signing-key": "the-next-signing-key"})
    kept.vault.policy("not-all", 'path "secret/data/ci/session" { capabilities = ["deny"] }')
    kept.vault.role(policies=(SCAN, "not-all"))
    result = kept.run(DRY_RUN="true")
    assert result.code == 1, result.output
    assert "1 of what was asked for could not be read" in result.last_line


def test_the_report_has_every_step_and_no_value(case: Case, tmp_path: Path) -> None:
    case.well(REPORT_DIR=str(tmp_path))
    text = (tmp_path / "keyturn-replicate.json").read_text()
    report = json.loads(text)
    assert len(report["plan"]) == len(report["done"]) == 12
    assert {"do": "write", "on": "vault/ci/chat"} in report["done"]
    assert (report["exit_code"], report["failed"]) == (0, [])
    assert not any(secret in text for secret in case.secrets)


def test_what_is_not_there_ends_the_run_or_is_kept(kept: Case) -> None:
    secrets = "secret/ci/** *\nsecret/ci/nothing password\nsecret/none/** *"
    kept.vault.policy("none", 'path "secret/detailed-metadata/none/*" { capabilities = ["scan", "list"] }')
    kept.vault.role(policies=(SCAN, "none"))
    problems = kept.refused(SECRETS=secrets)
    assert "“secret/ci/nothing password”: nothing is there" in problems
    assert "ON_MISSING: keep" in problems
    result = kept.well(SECRETS=secrets, ON_MISSING="keep")
    assert result.writes == []
    for selector in ("secret/ci/nothing password", "secret/none/** *"):
        assert f"WARNING: {selector}: nothing is there." in result.output


def test_a_key_that_is_not_there_ends_the_run_or_is_kept(case: Case) -> None:
    case.given["SECRETS"] = "secret/ci/database password\nsecret/ci/database port"
    assert "“secret/ci/database port”: the secret has no key port; it has host, password, username" in case.refused()
    case.well(ON_MISSING="keep")
    assert case.body("ci/database").keys() == {"password"}


def test_a_version_that_will_be_deleted_soon_is_warned_of(case: Case) -> None:
    case.vault.delete_version_after("secret/ci/fleeting", "1h")
    case.put("secret/ci/fleeting", {"password": "fleeting-password"})
    assert "WARNING: secret/ci/fleeting: it will be deleted on" in case.well().output
    case.idle()
