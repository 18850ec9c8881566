"""Some of it fails; the rest is done, what failed is said once, and the next run finishes it."""

from __future__ import annotations

import json

import pytest

from sandbox.aws.policies import allowing
from sandbox.vault import SCAN
from sandbox.wire import Fault
from sandbox.world import REPLICAS, USER
from test.replicate.case import Case

NEEDED = {
    "ListSecrets": "",
    "CreateSecret": "write",
    "TagResource": "tag",
    "PutSecretValue": "write",
    "UpdateSecretVersionStage": "put back",
    "RestoreSecret": "restore",
    "DeleteSecret": "prune",
    "DescribeSecret": "write",
}


def by_user(case: Case, policy: str) -> None:
    """Let runs sign in as a user with this policy."""
    pair = case.company.old_key
    case.aws.set_policy(USER, policy)
    case.secrets.add(pair.secret_access_key)
    case.given |= {
        "AWS_OIDC_ROLE_ARN": None,
        "AWS_ACCESS_KEY_ID": pair.access_key_id,
        "AWS_SECRET_ACCESS_KEY": pair.secret_access_key,
    }


def smallest(*without: str) -> str:
    """Return the policy that is enough, or lacks something; what has a resource is for the replicas alone."""
    actions = [f"secretsmanager:{action}" for action in NEEDED if action not in without]
    listing = [action for action in actions if action.endswith("ListSecrets")]
    statements = [
        {"Effect": "Allow", "Action": listing, "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": [action for action in actions if action not in listing],
            "Resource": f"arn:aws:secretsmanager:*:*:secret:{REPLICAS}*",
        },
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def unrest(case: Case) -> None:
    """Let there be something to do of every kind: each permission is needed."""
    case.put("secret/ci/database", {"password": "the-next-password"})
    case.put("secret/ci/fresh", {"password": "the-fresh-password"})
    case.company.secrets["secret/ci/fresh"] = {}
    case.edit("ci/chat")
    case.store.delete(REPLICAS + "ci/errors", 7)
    case.vault.remove("secret/ci/session")
    case.given["PRUNE"] = "true"


def test_the_smallest_policy_is_enough(case: Case) -> None:
    by_user(case, smallest())
    case.well()
    unrest(case)
    case.aws.freeze()
    case.well()
    case.aws.thaw()
    case.assert_right()
    case.idle()


@pytest.mark.parametrize("without", [*NEEDED])
@pytest.mark.sample(3)
def test_the_permission_that_is_missing_is_named_and_the_rest_is_done(kept: Case, without: str) -> None:
    by_user(kept, smallest(without))
    unrest(kept)
    if without == "DescribeSecret":
        # Only where the list did not show what is there is one secret looked at by itself.
        kept.aws.freeze()
        kept.edit("ci/fresh")
    result = kept.run()
    # Without a tag nothing can be made, either, and what failed is said by what was to be done.
    assert len(result.problems) == (2 if without == "TagResource" else 1)
    for problem in result.problems:
        assert f"secretsmanager:{without} on resource" in problem or f"permission secretsmanager:{without}." in problem
    assert result.code == (2 if NEEDED[without] else 1), result.output
    kept.aws.thaw()
    by_user(kept, smallest())
    kept.well(ADOPT="true")
    kept.assert_right()
    kept.idle()


def test_who_may_only_list_is_told_once_and_nothing_is_changed(case: Case) -> None:
    by_user(case, allowing(["secretsmanager:ListSecrets"]))
    result = case.run()
    assert result.code == 1, result.output
    assert len(result.problems) == 1
    assert result.last_line.startswith("✖ Failed; no replica was changed: write vault/ci/")
    assert "secretsmanager:CreateSecret" in result.last_line
    by_user(case, smallest())
    case.well()


def test_who_may_nothing_is_told_so_before_anything_is_read(case: Case) -> None:
    by_user(case, allowing(["sts:*"]))
    result = case.run()
    assert result.code == 1
    assert "secretsmanager:ListSecrets" in result.output
    assert case.reads(result) == []
    assert case.vault.tokens() == set()


def test_of_many_that_are_denied_not_all_are_tried(case: Case) -> None:
    case.heard(case.vault.put_many("secret/ci/many", 120))
    by_user(case, allowing(["secretsmanager:ListSecrets"]))
    result = case.run()
    assert len(result.problems) == 1
    assert 16 <= case.to_aws(result).count("CreateSecret") < 16 + 16


def test_of_many_that_are_throttled_not_all_are_tried(case: Case) -> None:
    case.heard(case.vault.put_many("secret/ci/many", 120))
    case.spoil(Fault("secretsmanager.CreateSecret", "429-bare", times=0))
    result = case.run()
    assert result.code == 1, result.output
    assert len(result.problems) == 1
    # Each is tried up to six times, and those that are under way when the last refusal comes.
    assert case.to_aws(result).count("CreateSecret") <= 2 * 16 * 6
    case.mend()
    case.well()


def test_a_replica_whose_first_request_is_denied_has_not_changed(kept: Case) -> None:
    arn = kept.seen("ci/database").arn
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "secretsmanager:Put*", "Resource": [arn]},
    ]
    by_user(kept, json.dumps({"Version": "2012-10-17", "Statement": statements}))
    before = kept.seen("ci/database")
    kept.put("secret/ci/database", {"value": "the-next-value"})
    result = kept.run()
    assert result.code == 1, result.output
    assert result.last_line.startswith("✖ Failed; no replica was changed: "), result.output
    assert kept.seen("ci/database") == before


@pytest.mark.parametrize("denied", [["ci/database"], ["ci/chat", "ci/database", "ci/smtp"]])
def test_what_is_denied_for_some_does_not_hold_up_the_others(kept: Case, denied: list[str]) -> None:
    before = {name: kept.body(name) for name in denied}
    arns = [kept.seen(name).arn for name in denied]
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "secretsmanager:Put*", "Resource": arns},
    ]
    by_user(kept, json.dumps({"Version": "2012-10-17", "Statement": statements}))
    for number, path in enumerate(kept.company.secrets):
        kept.put(path, {"value": f"the-next-value-{number}"})
    result = kept.run()
    assert result.code == 2, result.output
    assert result.last_line.startswith(f"✖ Partly done: {12 - len(denied)} updated; {len(denied)} still to do. ")
    assert 1 <= len(result.problems) <= len(denied)
    for problem in result.problems:
        assert problem.startswith("write vault/ci/")
        assert "AWS: secretsmanager:PutSecretValue failed: AccessDenied" in problem
    assert {name: kept.body(name) for name in denied} == before
    assert kept.seen(denied[0]).tags["vault-version"] == "1", "it is not told to be newer than it is"
    by_user(kept, smallest())
    assert kept.well().last_line.startswith(f"✔ Replicas: {len(denied)} updated;")
    kept.assert_right()
    kept.idle()


@pytest.mark.parametrize("operation", ["ListSecrets", "CreateSecret"])
@pytest.mark.parametrize("kind", ["429-bare", "500-after"])
@pytest.mark.sample(2)
def test_what_passes_is_waited_for(case: Case, operation: str, kind: str) -> None:
    case.spoil(Fault(f"secretsmanager.{operation}", kind, times=3))
    case.well()
    case.assert_right()
    case.idle()


@pytest.mark.parametrize(
    "operation", ["PutSecretValue", "TagResource", "UpdateSecretVersionStage", "RestoreSecret", "DeleteSecret"]
)
@pytest.mark.parametrize("kind", ["429-bare", "500-after"])
@pytest.mark.sample(2)
def test_a_change_whose_answer_is_lost_is_no_failure(kept: Case, operation: str, kind: str) -> None:
    unrest(kept)
    kept.spoil(Fault(f"secretsmanager.{operation}", kind))
    kept.well()
    kept.mend()
    kept.assert_right()
    kept.idle()


def test_one_that_cannot_be_written_is_one_line_and_the_next_run_finishes_it(case: Case) -> None:
    case.spoil(Fault("secretsmanager.CreateSecret", "500-before", nth=5, times=0))
    result = case.run()
    assert result.code == 2, result.output
    assert result.last_line.startswith("✖ Partly done: 4 made; 8 still to do. The next run finishes it. write vault/")
    case.mend()
    assert case.well().last_line.startswith("✔ Replicas: 8 made;")
    case.idle()


def test_a_run_that_is_told_to_stop_says_what_is_done(case: Case) -> None:
    case.heard(case.vault.put_many("secret/ci/many", 60))
    case.spoil(Fault("secretsmanager.CreateSecret", "call", nth=20, call=case.runner.terminate))
    result = case.run()
    assert result.code == 2, result.output
    assert "The run was told to stop." in result.last_line
    done = case.to_aws(result).count("CreateSecret")
    assert 20 <= done < 72
    assert case.vault.tokens() == set()
    case.mend()
    assert case.to_aws(case.well()).count("CreateSecret") == 72 - done
    case.idle()


def test_a_run_that_is_killed_is_made_up_for(kept: Case) -> None:
    unrest(kept)
    kept.edit("ci/search")
    kept.spoil(Fault("secretsmanager.TagResource", "call-before", call=kept.runner.kill))
    kept.run()
    kept.mend()
    kept.well()
    kept.assert_right()
    kept.idle()


def test_a_secret_that_vault_denies_keeps_its_replica_and_the_others_are_written(kept: Case) -> None:
    before = kept.body("ci/session")
    kept.put("secret/ci/session", {"signing-key": "the-second-signing-key"})
    kept.put("secret/ci/search", {"api-key": "the-second-search-key"})
    kept.vault.policy("not-all", 'path "secret/data/ci/session" { capabilities = ["deny"] }')
    kept.vault.role(policies=(SCAN, "not-all"))
    for code in (2, 1):
        result = kept.run(PRUNE="true")
        assert result.code == code, result.output
        (problem,) = result.problems
        assert "read secret/ci/session: Vault denies `read` on `secret/data/ci/session` (403)" in problem
        assert kept.body("ci/session") == before
        assert kept.body("ci/search") == {"api-key": "the-second-search-key"}
    kept.vault.role()
    kept.well()
    kept.assert_right()
    kept.idle()


def test_a_vault_that_is_down_ends_the_run_and_says_so(kept: Case) -> None:
    kept.vault.wire.spoil(Fault("*", "503-before", times=0))
    result = kept.run(PRUNE="true")
    assert result.code == 1, result.output
    assert result.writes == []
    assert "503" in result.output


@pytest.mark.parametrize(("first", "code"), [("cut-after", 2), ("cut-before", 1)])
@pytest.mark.parametrize("second", ["html-403", "403"])
@pytest.mark.sample(2)
def test_a_refusal_after_an_attempt_that_may_have_been_carried_out_is_looked_at(
    case: Case, first: str, second: str, code: int
) -> None:
    """A proxy's page says nothing of the attempt before: exit 1 would say that all is as it was."""
    creating = "secretsmanager.CreateSecret"
    case.spoil(Fault(creating, first, nth=1), Fault(creating, second, nth=2))
    result = case.run(SECRETS="secret/ci/chat *")
    assert result.code == code, result.output
    assert (case.aws.secret(REPLICAS + "ci/chat") is not None) is (code == 2)
    case.mend()
    case.well(SECRETS="secret/ci/chat *")
