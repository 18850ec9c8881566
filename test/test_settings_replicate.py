"""What the environment says of a replication, and what is wrong with it."""

from __future__ import annotations

import pytest

from pipe.errors import Refused
from pipe.jobs.registry import read_settings
from pipe.jobs.replicate.job import ReplicateJob
from test.support import JWT

LEAST = {
    "ACTION": "replicate",
    "SECRETS": "secret/ci/** *",
    "VAULT_ADDR": "https://vault.example.com",
    "VAULT_ROLE": "keyturn",
    "BITBUCKET_STEP_OIDC_TOKEN": JWT,
    "AWS_OIDC_ROLE_ARN": "arn:aws:iam::123456789012:role/keyturn",
    "AWS_DEFAULT_REGION": "eu-central-1",
}


def job(**variables: str) -> ReplicateJob:
    found = read_settings({**LEAST, **variables}).job
    assert isinstance(found, ReplicateJob)
    return found


def problems(**variables: str) -> str:
    with pytest.raises(Refused) as refused:
        read_settings({**LEAST, **variables})
    return "\n".join(map(str, refused.value.problems))


def test_the_least_that_is_enough() -> None:
    least = job()
    assert [selector.text for selector in least.replication.selectors] == ["secret/ci/** *"]
    replication = least.replication
    assert (replication.prefix, replication.kms_key, replication.window) == ("", "", 30)
    assert (replication.prune, replication.adopt, replication.force) == (False, False, False)
    assert replication.fail_on_missing
    assert (least.vault.address, least.aws.region) == ("https://vault.example.com", "eu-central-1")


def test_nothing_of_bitbucket_is_needed() -> None:
    assert not [name for name in LEAST if name.startswith("BITBUCKET_") and name != "BITBUCKET_STEP_OIDC_TOKEN"]
    job(TARGETS="")


def test_all_that_can_be_said() -> None:
    replication = job(
        AWS_SECRET_PREFIX="acme/vault_1+2=3.4@5-6/", KMS_KEY_ID="alias/replicas", RECOVERY_WINDOW_DAYS="7",
        PRUNE="true", ADOPT="true", FORCE="true", ON_MISSING="keep",
    ).replication  # fmt: skip
    assert (replication.prefix, replication.kms_key) == ("acme/vault_1+2=3.4@5-6/", "alias/replicas")
    assert (replication.window, replication.fail_on_missing) == (7, False)
    assert (replication.prune, replication.adopt, replication.force) == (True, True, True)


@pytest.mark.parametrize("days", ["6", "31", "0", "-7", "7.5", "a week", "²"])
def test_a_recovery_window_that_aws_does_not_have(days: str) -> None:
    assert "RECOVERY_WINDOW_DAYS: must be a whole number of days, from 7 to 30, not “" in problems(
        RECOVERY_WINDOW_DAYS=days
    )


@pytest.mark.parametrize("prefix", ["with blank/", "ümlaut/", "star*", "!not", "x" * 401])
def test_a_prefix_that_no_name_can_have(prefix: str) -> None:
    assert "AWS_SECRET_PREFIX: must be the beginning of names" in problems(AWS_SECRET_PREFIX=prefix)


@pytest.mark.parametrize("source", ["secretsmanager", "elsewhere"])
def test_vault_is_the_only_source(source: str) -> None:
    assert "SOURCE: must be vault" in problems(SOURCE=source)


def test_a_replica_has_no_variables_name() -> None:
    assert "“secret/ci/db password | DB” names a variable" in problems(SECRETS="secret/ci/db password | DB")


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("SECRETS", "SECRETS: needed"),
        ("VAULT_ADDR", "VAULT_ADDR: needed"),
        ("AWS_DEFAULT_REGION", "AWS_DEFAULT_REGION: needed; the region of the replicas."),
        ("AWS_OIDC_ROLE_ARN", "AWS_OIDC_ROLE_ARN: no way to sign in to AWS is given."),
    ],
)
def test_what_is_needed(missing: str, said: str) -> None:
    assert said in problems(**{missing: ""})


@pytest.mark.parametrize("name", ["PRUNE", "ADOPT", "FORCE"])
def test_a_switch_is_true_or_false(name: str) -> None:
    problem = problems(**{name: "yes"})
    assert problem.startswith(f"{name}: must be true or false")
    assert problem.endswith(", not “yes”.")


@pytest.mark.parametrize(("text", "said"), [("true", (True, 0)), ("False", (False, 0)), ("12", (True, 12))])
def test_prune_may_say_how_many(text: str, said: tuple[bool, int]) -> None:
    replication = job(PRUNE=text).replication
    assert (replication.prune, replication.prune_count) == said


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "all"])
def test_prune_takes_no_other_number(text: str) -> None:
    assert problems(PRUNE=text) == (
        f"PRUNE: must be true or false, or a whole number: exactly that many, not “{text}”."
    )


def test_all_problems_are_said_together() -> None:
    said = problems(PRUNE="perhaps", RECOVERY_WINDOW_DAYS="1", AWS_SECRET_PREFIX="ü", ON_MISSING="cry", SECRETS="x")
    for name in ("PRUNE", "RECOVERY_WINDOW_DAYS", "AWS_SECRET_PREFIX", "ON_MISSING", "SECRETS"):
        assert f"{name}: " in said
