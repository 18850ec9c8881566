"""With PRUNE, a list that lacks a secret does not prove that it is gone: it may be old, or leave something out."""

from __future__ import annotations

from typing import Any

from sandbox.wire import Fault
from test.pull.case import Case
from test.pull.manager import WHO, ManagerCase
from test.pull.pruning import SESSION, deleted, kept
from test.pull.spoiling import lacking, out_of_the_scan


def out_of_the_list(body: dict[str, Any]) -> None:
    body["SecretList"] = [each for each in body["SecretList"] if each["Name"] != "ci/session"]


def out_of_the_parameters(body: dict[str, Any]) -> None:
    body["Parameters"] = [each for each in body["Parameters"] if each["Name"] != "/ci/session/signing_key"]


def test_a_secret_of_vault_that_a_list_lacks_is_asked_for(case: Case) -> None:
    case.given["PRUNE"] = "true"
    case.well()
    case.vault.wire.spoil(Fault("SCAN *", "change-after", change=lacking(out_of_the_scan), times=0))
    result = case.run()
    assert result.code == 1, result.output
    kept(case, result)
    assert "secret/ci/session is there, but the list of its folder lacks it." in result.output
    case.mend()
    case.idle()
    case.vault.remove("secret/ci/session")
    assert deleted(case.well()) == 2


def test_a_secret_of_vault_that_may_not_be_read_any_more_is_not_gone(case: Case) -> None:
    case.given["PRUNE"] = "true"
    case.well()
    change = lacking(out_of_the_scan)
    case.vault.wire.spoil(Fault("SCAN *", "change-after", change=change, times=0), Fault("GET */session", "403"))
    result = case.run()
    assert result.code == 1, result.output
    kept(case, result)


def test_a_secret_of_secrets_manager_that_an_old_list_lacks_is_asked_for(managed: ManagerCase) -> None:
    managed.given["PRUNE"] = "true"
    managed.well()
    managed.aws.wire.spoil(
        Fault("secretsmanager.ListSecrets", "change-after", change=lacking(out_of_the_list), times=0)
    )
    result = managed.run()
    assert result.code == 1, result.output
    kept(managed, result, SESSION)
    assert "ci/session is there, but the list of its folder lacks it." in result.output
    managed.aws.wire.mend()
    managed.idle()


def test_a_parameter_that_an_old_list_lacks_is_asked_for_and_one_that_is_gone_is_pruned(managed: ManagerCase) -> None:
    managed.given |= {"PRUNE": "true", "SOURCE": "ssm", "SECRETS": "/ci/** *"}
    for name in ("/ci/session/signing_key", "/ci/db/password"):
        managed.aws.put_parameter(name, "the-first-value-of-this", "SecureString")
    managed.well()
    wire = managed.aws.wire
    wire.spoil(Fault("ssm.DescribeParameters", "change-after", change=lacking(out_of_the_parameters), times=0))
    result = managed.run()
    assert result.code == 1, result.output
    kept(managed, result, SESSION)
    wire.mend()
    managed.idle()
    managed.aws.delete_parameter("/ci/session/signing_key")
    result = managed.well()
    assert deleted(result) == 2, result.output
    assert result.of_aws == [WHO, "ssm.DescribeParameters", "ssm.GetParameters"], "one request proves it"
