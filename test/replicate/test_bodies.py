"""What a replica is called and what is in it: selectors, engines, names and sizes."""

from __future__ import annotations

import pytest

from sandbox.vault import SCAN, USUAL
from sandbox.world import REPLICAS
from test.replicate.case import Case

LARGEST = 65_536


def test_single_keys_are_the_whole_of_it(case: Case) -> None:
    case.given["SECRETS"] = "secret/ci/database password"
    case.well()
    assert case.body("ci/database") == {"password": case.company.secrets["secret/ci/database"]["password"]}
    case.idle()


def test_several_selectors_of_one_secret_make_one_json(case: Case) -> None:
    values = case.company.secrets["secret/ci/database"]
    keys = ["secret/ci/database host", "secret/ci/database password"]
    case.well(SECRETS="\n".join(keys))
    assert case.body("ci/database") == {key: values[key] for key in ("host", "password")}
    case.idle(SECRETS="\n".join(keys))
    result = case.well(SECRETS="\n".join(reversed(keys)))
    assert case.to_aws(result) == ["ListSecrets", "TagResource"], "the same, by another selector first"
    case.well(SECRETS="\n".join([*keys, "secret/ci/** *"]))
    case.assert_right()
    case.idle(SECRETS="\n".join([*keys, "secret/ci/** *"]))


def test_the_same_path_as_the_api_has_it(kept: Case) -> None:
    values = kept.company.secrets["secret/ci/database"]
    kept.well(SECRETS="secret/data/ci/database password")
    assert kept.body("ci/database") == {"password": values["password"]}


def test_values_are_kept_as_they_are(case: Case) -> None:
    odd = {"none": None, "number": 9007199254740991, "list": [1, "zwei", {"drei": False}], "": "no name", "ü": "€\n"}
    case.put("secret/ci/odd", odd)
    case.well()
    assert case.body("ci/odd") == odd
    current = case.seen("ci/odd").at("AWSCURRENT")
    assert current is not None
    assert '"ü":"€\\n"' in current.body


def test_a_secret_without_a_key_has_a_replica_without_one(case: Case) -> None:
    case.put("secret/ci/empty", {})
    case.well()
    assert case.body("ci/empty") == {}
    case.idle()


def test_kv_1_has_no_versions_and_is_written_each_run(case: Case) -> None:
    case.vault.role(policies=(USUAL,))
    case.put("legacy/ci/old/db", {"password": "the-legacy-password"})
    case.given["SECRETS"] = "legacy/ci/** *"
    versions = set()
    for _ in range(3):
        case.well()
        assert case.body("ci/old/db") == {"password": "the-legacy-password"}
        assert case.seen("ci/old/db").tags["vault-version"] == "none"
        versions.add(case.current("ci/old/db"))
    assert len(versions) == 3
    case.edit("ci/old/db")
    case.well()
    assert case.body("ci/old/db") == {"password": "the-legacy-password"}


def test_a_dynamic_engine_is_refused_and_makes_nothing(case: Case) -> None:
    case.vault.ask("POST", "sys/mounts/totp", {"type": "totp"})
    case.vault.ask("POST", "totp/keys/shop", {"generate": True, "issuer": "acme", "account_name": "shop"})
    case.vault.policy("codes", 'path "totp/code/*" { capabilities = ["read"] }')
    case.vault.role(policies=(SCAN, "codes"))
    case.vault.forget_audit()
    for dry in ("true", "false"):
        problems = case.refused(SECRETS="totp/code/shop code\nsecret/ci/** *", DRY_RUN=dry)
        assert "SECRETS: “totp/code/shop code”: dynamic secrets are made anew by each reading" in problems
    assert ("read", "totp/code/shop") not in case.vault.audited()


@pytest.mark.parametrize("name", ["with blank", "ümlaut", "colon:here", "star*", "percent%"])
def test_names_that_secrets_manager_does_not_take(case: Case, name: str) -> None:
    case.put(f"secret/ci/{name}", {"password": "password-of-a-strange-name"})
    problems = case.refused()
    assert f"secret/ci/{name} would be replicated to {REPLICAS}ci/{name}, but Secrets Manager takes letters" in problems
    assert case.aws.secret(REPLICAS + "ci/database") is None


@pytest.mark.parametrize("name", ["signing-secret", "a.b_c+d=e@f-g", "x" * 400])
def test_names_that_it_takes(case: Case, name: str) -> None:
    case.put(f"secret/ci/{name}", {"password": "password-of-a-good-name"})
    case.well()
    assert case.body(f"ci/{name}") == {"password": "password-of-a-good-name"}
    case.idle()


def test_a_name_that_is_too_long(case: Case) -> None:
    case.put(f"secret/ci/{'x' * 250}/{'y' * 250}", {"password": "password-of-a-long-name"})
    assert "at most 512" in case.refused(AWS_SECRET_PREFIX="vault-of-acme/")


def test_two_sources_for_one_name(case: Case) -> None:
    case.vault.role(policies=(SCAN, USUAL))
    case.put("legacy/ci/database", {"password": "the-legacy-password"})
    problems = case.refused(SECRETS="secret/ci/** *\nlegacy/ci/** *")
    assert (
        f"{REPLICAS}ci/database would be the replica of 2 secrets: secret/ci/database; legacy/ci/database." in problems
    )


def test_what_is_too_large_by_a_byte_ends_the_run(case: Case) -> None:
    most = LARGEST - len('{"text":""}') - 1
    case.put("secret/ci/large", {"text": "ü" + "x" * (most - 1)})
    case.well()
    assert len(case.body("ci/large")["text"]) == most
    case.idle()
    case.put("secret/ci/large", {"text": "üü" + "x" * (most - 2)})
    assert "secret/ci/large: it has more than 64 KiB, too much for Secrets Manager." in case.refused()
