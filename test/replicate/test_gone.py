"""What becomes of the replicas of what Vault has no more."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from sandbox.vault import SCAN, USUAL
from sandbox.wire import Fault
from sandbox.world import REPLICAS
from test.pull.spoiling import lacking, out_of_the_scan
from test.replicate.case import Case
from test.support import Result

SESSION = "ci/session"


@pytest.fixture
def pruning(kept: Case) -> Case:
    """Return a company with its replicas, whose runs prune."""
    kept.given["PRUNE"] = "true"
    return kept


def delete(case: Case) -> None:
    case.vault.delete("secret/ci/session")
    # Vault's answers tell the time to the second, and what will be deleted is live until then.
    time.sleep(1)


def destroy(case: Case) -> None:
    case.vault.destroy("secret/ci/session")


def remove(case: Case) -> None:
    case.vault.remove("secret/ci/session")


WAYS = pytest.mark.parametrize("end", [delete, destroy, remove])


def scheduled(case: Case, result: Result) -> int:
    """Return how many replicas a run scheduled for deletion, none of them for good."""
    return len([each for each in case.to_aws(result) if each == "DeleteSecret"])


def unpruned(case: Case, result: Result, name: str = SESSION) -> None:
    assert scheduled(case, result) == 0, result.output
    assert case.seen(name).deleted is None


@WAYS
@pytest.mark.sample(1)
def test_it_is_kept_and_named(kept: Case, end: Callable[[Case], None]) -> None:
    end(kept)
    for _ in range(2):
        result = kept.idle()
        assert f"WARNING: {REPLICAS}{SESSION}: the source is not there any more; set PRUNE: true" in result.output
        assert result.last_line.endswith(" looked at; 1 warning, see above.")
    assert kept.body(SESSION)


@WAYS
@pytest.mark.parametrize("days", [7, 30])
@pytest.mark.sample(1)
def test_prune_schedules_its_deletion(pruning: Case, end: Callable[[Case], None], days: int) -> None:
    end(pruning)
    now = pruning.world.clock.now()
    result = pruning.well(RECOVERY_WINDOW_DAYS=str(days))
    assert scheduled(pruning, result) == 1
    assert result.last_line.startswith("✔ Replicas: 1 scheduled for deletion;")
    assert pruning.seen(SESSION).deleted is not None
    assert pruning.idle().output.count(SESSION) <= 2, "only the secret itself is named"
    assert now <= pruning.world.clock.now()
    pruning.world.clock.move(days=days - 1)
    assert pruning.aws.secret(REPLICAS + SESSION) is not None
    pruning.world.clock.move(days=2)
    assert pruning.aws.secret(REPLICAS + SESSION) is None
    pruning.idle()


def test_what_is_undeleted_is_restored_without_a_new_version(pruning: Case) -> None:
    version = pruning.current(SESSION)
    delete(pruning)
    pruning.well()
    pruning.vault.undelete("secret/ci/session")
    result = pruning.well()
    assert pruning.to_aws(result) == ["ListSecrets", "RestoreSecret"]
    assert pruning.reads(result) == []
    assert pruning.current(SESSION) == version
    pruning.assert_right()
    pruning.idle()


@WAYS
@pytest.mark.sample(2)
def test_what_is_made_anew_is_restored_and_written(pruning: Case, end: Callable[[Case], None]) -> None:
    end(pruning)
    pruning.well()
    pruning.put("secret/ci/session", {"signing-key": "the-key-of-the-new-one"})
    asked = pruning.to_aws(pruning.well())
    assert asked[:3] == ["ListSecrets", "RestoreSecret", "PutSecretValue"]
    pruning.assert_right()
    pruning.idle()


def test_what_is_scheduled_already_is_done(pruning: Case) -> None:
    remove(pruning)
    pruning.spoil(
        Fault("secretsmanager.DeleteSecret", "call", call=lambda: pruning.store.delete(REPLICAS + SESSION, 7))
    )
    result = pruning.well()
    assert result.last_line.startswith("✔ Replicas: 1 scheduled for deletion;")
    pruning.idle()


def test_what_is_gone_for_good_meanwhile_is_done(pruning: Case) -> None:
    remove(pruning)

    def end() -> None:
        pruning.client.delete_secret(SecretId=REPLICAS + SESSION, ForceDeleteWithoutRecovery=True)

    pruning.spoil(Fault("secretsmanager.DeleteSecret", "call", call=end))
    pruning.well()
    pruning.idle()


def test_a_key_that_no_secret_has_any_more(case: Case) -> None:
    case.given |= {"SECRETS": "secret/ci/** api-key", "PRUNE": "true"}
    case.well()
    assert case.body("ci/search").keys() == {"api-key"}
    assert case.aws.secret(REPLICAS + "ci/chat") is None
    case.put("secret/ci/search", {"another-key": "not-for-the-replica"})
    result = case.well(PRUNE="false")
    assert f"WARNING: {REPLICAS}ci/search: the source is not there any more" in result.output
    assert scheduled(case, case.well()) == 1
    assert case.well().writes == []


@pytest.mark.parametrize("policy", [SCAN, USUAL])
def test_a_source_with_nothing_in_it_deletes_nothing(pruning: Case, policy: str) -> None:
    pruning.vault.role(policies=(policy,))
    for path in pruning.company.secrets:
        pruning.vault.remove(path)
    assert "nothing is there" in pruning.refused()
    result = pruning.unmet(ON_MISSING="keep")
    unpruned(pruning, result)
    assert "not deleted, since nothing was found" in result.last_line


@pytest.mark.parametrize("kind", ["500-before", "403", "429-hint"])
@pytest.mark.sample(2)
def test_a_list_that_fails_deletes_nothing(pruning: Case, kind: str) -> None:
    remove(pruning)
    pruning.spoil(Fault("SCAN *", kind, times=0), Fault("LIST *", kind, times=0))
    result = pruning.run()
    assert result.code == 1, result.output
    assert result.last_line.startswith("✖ Failed; no replica was changed: read secret/ci/** *: ")
    unpruned(pruning, result)
    assert "not there any more" not in pruning.run(PRUNE="false").output
    pruning.mend()
    assert scheduled(pruning, pruning.well()) == 1


@pytest.mark.parametrize("operation", ["LIST */mobile", "GET secret/metadata/ci/smtp"])
@pytest.mark.parametrize("prune", ["true", "false"])
@pytest.mark.sample(2)
def test_what_cannot_be_asked_for_deletes_nothing_and_is_not_called_gone(
    kept: Case, operation: str, prune: str
) -> None:
    kept.vault.role(policies=(USUAL,))
    kept.vault.remove("secret/ci/session")
    kept.spoil(Fault(operation, "500-before", times=0))
    result = kept.run(PRUNE=prune)
    assert result.code == 1, result.output
    unpruned(kept, result)
    assert f"{REPLICAS}ci/smtp" not in result.output


def test_another_selector_deletes_nothing(pruning: Case) -> None:
    remove(pruning)
    unpruned(pruning, pruning.well(SECRETS="secret/ci/database *"))
    unpruned(pruning, pruning.well(SECRETS="secret/ci/mobile/** *"))
    assert scheduled(pruning, pruning.well()) == 1


def test_two_steps_with_selectors_of_their_own_share_a_prefix_in_peace(case: Case) -> None:
    case.given["PRUNE"] = "true"
    case.vault.role(policies=(USUAL,))
    one, other = "secret/ci/mobile/** *", "secret/ci/database *"
    for secrets in (one, other):
        case.well(SECRETS=secrets)
    for secrets in (one, other):
        case.idle(SECRETS=secrets)
    case.vault.remove("secret/ci/mobile/apple")
    unpruned(case, case.well(SECRETS=other), "ci/mobile/apple")
    assert scheduled(case, case.well(SECRETS=one)) == 1


@pytest.mark.parametrize(("before", "after", "goes"), [(8, 3, True), (8, 2, False), (40, 30, True), (40, 26, False)])
@pytest.mark.sample(1)
def test_more_than_five_and_a_fifth_are_never_deleted_at_once(case: Case, before: int, after: int, goes: bool) -> None:
    case.heard(case.vault.put_many("secret/ci/bulk", before))
    case.given["PRUNE"] = "true"
    case.well()
    for number in range(after, before):
        case.vault.remove(f"secret/ci/bulk/service-{number:04}")
    result = case.run()
    assert result.code == (0 if goes else 2), result.output
    assert scheduled(case, result) == (before - after if goes else 0), result.output
    if not goes:
        assert f": {before - after} of {before + 12} of all replicas would go" in result.last_line
        assert scheduled(case, case.run(PRUNE=str(before - after - 1))) == 0
        assert scheduled(case, case.well(PRUNE=str(before - after))) == before - after


def test_what_is_deleted_already_does_not_make_a_share_smaller(case: Case) -> None:
    case.heard(case.vault.put_many("secret/ci/bulk", 48))
    case.given["PRUNE"] = "true"
    case.well()
    for first in (38, 28):
        for number in range(first, first + 10):
            case.vault.remove(f"secret/ci/bulk/service-{number:04}")
        case.well()
    # Forty live, of which nine are more than a fifth; with the twenty that wait they are less.
    for number in range(19, 28):
        case.vault.remove(f"secret/ci/bulk/service-{number:04}")
    result = case.run()
    assert scheduled(case, result) == 0
    assert "9 of 40 of all replicas would go" in result.output


def test_a_secret_that_a_list_lacks_is_asked_for_before_its_replica_goes(kept: Case) -> None:
    kept.given["PRUNE"] = "true"
    kept.vault.wire.spoil(Fault("SCAN *", "change-after", change=lacking(out_of_the_scan), times=0))
    result = kept.run()
    assert result.code == 1, result.output
    assert "secret/ci/session is there, but the list of its folder lacks it." in result.output
    unpruned(kept, result)
    kept.mend()
    kept.idle()
