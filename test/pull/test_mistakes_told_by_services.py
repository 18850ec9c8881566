"""The mistakes that only a service can tell, and that each can be mended within a minute; see test/test_mistakes.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sandbox.vault import USUAL
from test.pull.case import Case

DB = "secret/ci/database"


def no_such_environment(_: Case) -> dict[str, str]:
    return {"TARGETS": "deployment:prodution"}


def closed_port(_: Case) -> dict[str, str]:
    return {"VAULT_ADDR": "http://127.0.0.1:1"}


def without_tls(case: Case) -> dict[str, str]:
    return {"VAULT_ADDR": case.vault.url.replace("http://", "https://")}


def another_repository(_: Case) -> dict[str, str]:
    return {"TARGETS": "acme/gone:deployment:production"}


def the_workspace(_: Case) -> dict[str, str]:
    return {"TARGETS": "workspace"}


def bad_token(_: Case) -> dict[str, str]:
    return {"VAULT_AUTH_METHOD": "token", "VAULT_TOKEN": "hvs.expired-long-ago-and-never-renewed"}


def no_such_role(_: Case) -> dict[str, str]:
    return {"VAULT_ROLE": "keytrun"}


def no_such_path(_: Case) -> dict[str, str]:
    return {"VAULT_AUTH_PATH": "jwtt"}


def wrong_key(_: Case) -> dict[str, str]:
    return {"SECRETS": f"{DB} pasword"}


def other_case(_: Case) -> dict[str, str]:
    return {"SECRETS": f"{DB} Password"}


def wrong_mount(_: Case) -> dict[str, str]:
    return {"SECRETS": "secrets/ci/database password"}


def outside_the_policy(_: Case) -> dict[str, str]:
    return {"SECRETS": "secret/other/database password"}


def trailing_newline(case: Case) -> dict[str, str]:
    case.put(DB, {"password": "one-line-of-some-length\n"})
    return {"SECRETS": f"{DB} password"}


TOLD: dict[str, tuple[Callable[[Case], dict[str, str]], tuple[str, ...]]] = {
    "1 no such environment": (
        no_such_environment, ("has no deployment environment “prodution”; it has: ",),
    ),
    "28 a repository's token": (the_workspace, ("workspace acme", "a repository's access token reaches")),
    "29 another repository": (another_repository, ("acme/gone is not there, or the token may not see it",)),
    "32 no TLS": (without_tls, ("speaks no TLS", "VAULT_ADDR")),
    "33 a closed port": (closed_port, ("127.0.0.1:1 refuses the connection", "VAULT_ADDR")),
    "35 a token that has expired": (bad_token, ("Vault does not take the token", "VAULT_TOKEN")),
    "36 no such role": (no_such_role, ("keytrun", "VAULT_ROLE")),
    "37 no such log-in": (no_such_path, ("VAULT_AUTH_PATH: is jwt mounted there?",)),
    "42 a key's typo": (wrong_key, ("has no key pasword; it has host, password, username",)),
    "42 a key's case": (other_case, ("has no key Password; it has host, password, username",)),
    "43 a mount's typo": (wrong_mount, ("secrets/ci/database", ". Is there such a mount")),
    "43 outside of the policy": (outside_the_policy, ("secret/data/other/database", "The token's policy needs")),
    "44 a newline at the end": (trailing_newline, ("use TRIM: newline, since there is only one, at its end",)),
}  # fmt: skip


@pytest.mark.parametrize("mistake", TOLD)
def test_a_mistake_is_told_in_words_that_mend_it(case: Case, mistake: str) -> None:
    case.vault.role([USUAL])
    make, words = TOLD[mistake]
    result = case.run(**make(case))
    assert result.code == 1, result.output
    assert result.writes == []
    said = "\n".join([*result.problems, result.last_line])
    assert all(word in said for word in words), said
    assert "Forbidden The" not in said, "two sentences have a full stop between them"
