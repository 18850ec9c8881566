"""The hard case 1 where there are no versions at all: engines that make a secret when they are asked for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.vault import SCAN
from sandbox.wire import Fault
from test.pull.case import Case
from test.pull.valkey import Valkey, valkey_in

CREDS = "database/creds/shop"
NAMES = {"username", "password"}


@pytest.fixture
def valkey(case: Case) -> Iterator[Valkey]:
    """Give the company's Vault a database, and have nothing pulled but its credentials."""
    case.given |= {"SECRETS": f"{CREDS} * | DB_", "TARGETS": "deployment:staging"}
    with valkey_in(case.vault, default_ttl="4m") as server:
        case.vault.role([SCAN, "dynamic"])
        yield server


def in_use(case: Case) -> tuple[str, str]:
    held = case.held(case.staging)
    return held["DB_USERNAME"], held["DB_PASSWORD"]


def test_case_1_a_dynamic_secret_is_read_anew_and_written_each_run(case: Case, valkey: Valkey) -> None:
    users = set()
    for count in (1, 2, 3):
        result = case.well()
        assert result.asked(f"GET {CREDS}") == [f"GET {CREDS}"]
        user, password = in_use(case)
        case.heard({CREDS: {"password": password}})
        assert valkey.users[user] == password
        users.add(user)
        assert len(users) == count
        assert "Wrote 2 variables in 1 target" in result.last_line


def test_case_1_the_lease_is_shown_and_the_token_lives_on_while_what_it_leased_is_in_use(
    case: Case, valkey: Valkey
) -> None:
    result = case.well()
    assert f"{CREDS}: a lease of 240 s, renewable" in result.output
    assert result.asked("POST auth/token/") == [], "with the token its leases would end"
    assert len(case.vault.tokens()) == 1
    assert in_use(case)[0] in valkey.users


def test_case_1_a_lease_that_nobody_uses_ends_with_the_run(case: Case, valkey: Valkey) -> None:
    case.spoil(Fault("POST /2.0/*/variables", "403", times=0))
    result = case.run()
    assert result.code == 1
    assert result.asked(f"GET {CREDS}") == [f"GET {CREDS}"]
    assert result.asked("POST auth/token/") == ["POST auth/token/revoke-self"]
    assert valkey.emptied()


def test_case_1_a_dynamic_secret_is_made_once_for_all_targets_and_selectors(case: Case, valkey: Valkey) -> None:
    secrets = f"{CREDS} username | DB_USER; {CREDS} password | DB_WORD"
    result = case.well(TARGETS="deployment:staging, deployment:production, repository", SECRETS=secrets)
    assert result.asked(f"GET {CREDS}") == [f"GET {CREDS}"]
    ((user, password),) = valkey.users.items()
    for scope in (case.staging, case.production, case.company.repository):
        held = case.held(scope)
        assert (held["DB_USER"], held["DB_WORD"]) == (user, password)


def test_case_1_beside_a_dynamic_secret_what_has_versions_stays_unread(case: Case, valkey: Valkey) -> None:
    secrets = f"{CREDS} * | DB_; secret/ci/** *"
    case.well(SECRETS=secrets)
    result = case.well(SECRETS=secrets)
    assert case.reads(result) == []
    assert case.written(result) == 2


def test_case_1_a_dry_run_makes_no_dynamic_secret(case: Case, valkey: Valkey) -> None:
    for _ in range(2):
        result = case.well(DRY_RUN="true")
        assert result.asked(f"GET {CREDS}") == []
        assert result.writes == []
        assert "read anew by each run, but by no dry one" in result.output
        assert result.asked("POST auth/token/") == ["POST auth/token/revoke-self"]
        assert len(valkey.users) < 2
        case.vault.wire.forget()
        case.well()
        valkey.users.clear()


def test_case_1_a_dynamic_engine_has_nothing_to_list(case: Case, valkey: Valkey) -> None:
    result = case.run(SECRETS="database/creds/** *")
    assert result.code == 1
    assert "database is a secrets engine of the kind database, which has nothing to list" in result.output
    assert "In SECRETS, write each of its paths" in result.output
    assert (result.writes, valkey.users) == ([], {})


def test_case_1_a_dynamic_secret_that_is_denied_is_said_and_the_rest_is_written(case: Case, valkey: Valkey) -> None:
    case.vault.policy("dynamic", 'path "database/roles/shop" { capabilities = ["read"] }')
    result = case.run(SECRETS=f"{CREDS} * | DB_; secret/ci/database *")
    assert result.code == 2
    assert f"read {CREDS}" in result.output
    assert case.held(case.staging).keys() >= {"HOST", "USERNAME", "PASSWORD"}
    case.vault.policy("dynamic", f'path "{CREDS}" {{ capabilities = ["read"] }}')
    case.well(SECRETS=f"{CREDS} * | DB_; secret/ci/database *")
    assert in_use(case)[0] in valkey.users


def test_case_1_an_engine_without_versions_and_leases_is_written_each_run_and_signed_out_of(case: Case) -> None:
    case.vault.ask("POST", "sys/mounts/totp", {"type": "totp"})
    case.vault.ask("POST", "totp/keys/shop", {"generate": True, "issuer": "acme", "account_name": "shop"})
    case.vault.policy("codes", 'path "totp/code/*" { capabilities = ["read"] }')
    case.vault.role(["codes"])
    for verb in ("POST", "PUT"):
        result = case.well(SECRETS="totp/code/shop code | CODE", TARGETS="deployment:staging")
        assert len(result.asked(f"{verb} /2.0/")) == 2, "the code, and the state"
        assert "totp/code/shop: dynamic has no versions" in result.output
        assert case.held(case.staging)["CODE"].isdecimal()
    assert case.vault.tokens() == set()
