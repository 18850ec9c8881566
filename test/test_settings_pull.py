"""What the environment says of a pull, and what is wrong with it."""

from __future__ import annotations

import base64

import pytest

from pipe.access.vault import VaultAccess
from pipe.errors import Refused
from pipe.jobs.pull.job import PullJob
from pipe.jobs.registry import read_settings
from pipe.redact import Secret
from pipe.selectors import Selector
from test.clients.vault_tls import authority
from test.support import JWT

LEAST = {
    "ACTION": "pull",
    "TARGETS": "repository",
    "BITBUCKET_WORKSPACE": "acme",
    "BITBUCKET_REPO_SLUG": "shop",
    "BITBUCKET_ACCESS_TOKEN": "token-of-a-test",
    "BITBUCKET_STEP_OIDC_TOKEN": JWT,
    "VAULT_ADDR": "https://vault.example.com:8200/",
    "VAULT_ROLE": "keyturn",
    "SECRETS": "secret/ci/db password | DB_PASSWORD",
}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAXXXXXXXXXXXXTEST", "AWS_SECRET_ACCESS_KEY": "secret-of-a-test"}
MANAGER = {
    **KEYS,
    "SOURCE": "secretsmanager",
    "SECRETS": "ci/db password",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "VAULT_ADDR": "",
    "VAULT_ROLE": "",
}
ARN = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:ci/db-AbCdEf"
NO_TOKEN = {"BITBUCKET_STEP_OIDC_TOKEN": "", "VAULT_ROLE": ""}


def job(**variables: str) -> PullJob:
    found = read_settings({**LEAST, **variables}).job
    assert isinstance(found, PullJob)
    return found


def vault_of(**variables: str) -> VaultAccess:
    found = job(**variables)
    assert found.vault is not None
    assert found.aws is None
    return found.vault


def problems(**variables: str) -> tuple[str, ...]:
    with pytest.raises(Refused) as refused:
        read_settings({**LEAST, **variables})
    return tuple(map(str, refused.value.problems))


def test_the_least_that_is_enough() -> None:
    least = job()
    assert least.pull.selectors == (Selector("secret/ci/db", "password", name="DB_PASSWORD"),)
    assert (least.pull.secured, least.pull.fail_on_missing, least.pull.state_variable) == (True, True, "KEYTURN_STATE")
    assert not any((least.pull.prune, least.pull.force, least.pull.encode, least.pull.trim))
    vault = vault_of()
    assert (vault.address, vault.method, vault.path, vault.role) == (
        "https://vault.example.com:8200", "jwt", "jwt", "keyturn",
    )  # fmt: skip
    assert vault.secret == Secret(JWT)


def test_secrets_may_be_a_list_lines_or_separated_by_semicolons() -> None:
    for given in (
        {"SECRETS": "secret/a x; secret/b *"},
        {"SECRETS": "\n secret/a x\n# a comment\nsecret/b   *\n"},
        {"SECRETS": "", "SECRETS_COUNT": "2", "SECRETS_0": "secret/a x", "SECRETS_1": "secret/b *"},
    ):
        assert [selector.text for selector in job(**given).pull.selectors] == ["secret/a x", "secret/b *"]


@pytest.mark.parametrize(
    ("given", "method"),
    [
        ({"VAULT_TOKEN": "token-of-vault"}, "token"),
        ({"VAULT_ROLE_ID": "role-id", "VAULT_SECRET_ID": "secret-id"}, "approle"),
        ({"VAULT_ROLE_ID": "role-id", "VAULT_WRAPPED_SECRET_ID": "wrapping-token"}, "approle"),
        ({"VAULT_USERNAME": "bot", "VAULT_PASSWORD": "password-of-a-bot"}, "userpass"),
        ({"VAULT_USERNAME": "bot", "VAULT_PASSWORD": "password-of-a-bot", "VAULT_AUTH_METHOD": "ldap"}, "ldap"),
        ({"VAULT_AUTH_METHOD": "kubernetes", "VAULT_ROLE": "keyturn"}, "kubernetes"),
    ],
)
def test_without_the_steps_token_the_method_follows_from_what_is_given(given: dict[str, str], method: str) -> None:
    vault = vault_of(**{**NO_TOKEN, **given})
    assert (vault.method, vault.path) == (method, method)


def test_the_steps_token_comes_first_and_a_named_method_before_it() -> None:
    given = {"VAULT_TOKEN": "token-of-vault"}
    assert vault_of(**given).method == "jwt"
    assert vault_of(**given, VAULT_AUTH_METHOD="token").secret == Secret("token-of-vault")


def test_a_wrapped_secret_id_is_known_as_one() -> None:
    vault = vault_of(**NO_TOKEN, VAULT_ROLE_ID="role-id", VAULT_WRAPPED_SECRET_ID="wrapping-token")
    assert (vault.wrapped, vault.name, vault.secret) == (True, "role-id", Secret("wrapping-token"))


def test_by_iam_it_is_aws_that_is_asked_who_this_is() -> None:
    vault = vault_of(VAULT_AUTH_METHOD="aws", **KEYS)
    assert vault.aws is not None
    assert vault.aws.pair is not None
    assert "AWS_OIDC_ROLE_ARN: no way to sign in to AWS is given." in problems(VAULT_AUTH_METHOD="aws")[0]


def test_certificates_may_be_text_or_base64() -> None:
    certificate, _ = authority()
    for given in (certificate, base64.b64encode(certificate.encode()).decode()):
        assert vault_of(VAULT_CACERT=given).ca.strip() == certificate.strip()
    assert problems(VAULT_CACERT="no certificate")[0].startswith("VAULT_CACERT: must be certificates")


def test_all_problems_at_once() -> None:
    found = problems(
        SOURCE="drawer", SECRETS="secret/a; secret/b x | 1ST; secret/c x | KEYTURN_STATE", SECURED="yes", PRUNE="0",
        ON_MISSING="shrug", ENCODE="hex", TRIM="all", FORCE="maybe", VAULT_ADDR="http://vault.example.com",
        VAULT_AUTH_METHOD="magic", STATE_VARIABLE="KEYTURN_STATE",
    )  # fmt: skip
    assert sorted({problem.partition(":")[0] for problem in found}) == sorted(
        {
            "SOURCE", "SECRETS", "SECURED", "PRUNE", "ON_MISSING", "ENCODE", "TRIM", "FORCE", "VAULT_ADDR",
            "VAULT_AUTH_METHOD",
        }
    )  # fmt: skip
    assert sum(problem.startswith("SECRETS:") for problem in found) == 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"SECRETS": ""}, "SECRETS: needed"),
        ({"VAULT_ADDR": ""}, "VAULT_ADDR: needed"),
        ({"VAULT_ROLE": ""}, "VAULT_ROLE: needed for VAULT_AUTH_METHOD jwt"),
        (NO_TOKEN, "VAULT_AUTH_METHOD: the step has no OIDC token"),
        ({**NO_TOKEN, "VAULT_ROLE": "r", "VAULT_AUTH_METHOD": "jwt"}, "Put `oidc: true` into the step"),
        (
            {**NO_TOKEN, "VAULT_ROLE_ID": "id"},
            "VAULT_SECRET_ID: needed for VAULT_AUTH_METHOD approle, or VAULT_WRAPPED_SECRET_ID.",
        ),
        (
            {**NO_TOKEN, "VAULT_ROLE_ID": "id", "VAULT_SECRET_ID": "a", "VAULT_WRAPPED_SECRET_ID": "b"},
            "VAULT_SECRET_ID: give either it or VAULT_WRAPPED_SECRET_ID",
        ),
        ({**NO_TOKEN, "VAULT_USERNAME": "bot"}, "VAULT_PASSWORD: needed"),
    ],
)
def test_what_is_missing_is_named(given: dict[str, str], said: str) -> None:
    assert any(said in problem for problem in problems(**given))


def test_from_secrets_manager_nothing_of_vault_is_needed() -> None:
    found = job(**{**MANAGER, "SECRETS": f"ci/** *; tag:team=payments *; {ARN}:AWSPREVIOUS | BEFORE"})
    assert found.vault is None
    assert found.aws is not None
    assert found.aws.pair is not None
    assert (found.aws.region, found.aws.pair.id) == ("eu-west-1", KEYS["AWS_ACCESS_KEY_ID"])
    assert [selector.stage for selector in found.pull.selectors] == ["", "", "AWSPREVIOUS"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"AWS_DEFAULT_REGION": ""}, "AWS_DEFAULT_REGION: needed; the region of the secrets."),
        ({"AWS_DEFAULT_REGION": "here"}, "AWS_DEFAULT_REGION: must be a region"),
        ({"AWS_ACCESS_KEY_ID": ""}, "AWS_ACCESS_KEY_ID: needed"),
        ({"SECRETS": ""}, "SECRETS: needed; which secrets. Give one a line, e.g. ci/db password | DB_PASSWORD."),
        ({"SECRETS": "** *"}, "SECRETS: “** *” does not say which secrets"),
        ({"AWS_DEFAULT_REGION": "eu-central-1", "SECRETS": f"{ARN} password"}, "is in eu-west-1, and"),
    ],
)
def test_what_is_wrong_with_a_pull_from_secrets_manager(given: dict[str, str], said: str) -> None:
    (problem,) = problems(**{**MANAGER, **given})
    assert said in problem


def test_no_repr_shows_a_secret() -> None:
    shown = repr(read_settings({**LEAST, "VAULT_AUTH_METHOD": "token", "VAULT_TOKEN": "token-of-vault"}))
    assert "token-of-vault" not in shown
    assert JWT not in shown
