"""What variables are called, and where names would meet."""

from __future__ import annotations

import pytest

from pipe.errors import Refused
from pipe.jobs.pull.resolve import Named, collisions, variable_name
from pipe.reserved_names import NAME, OBEYED, reserved
from pipe.selectors import Selector, read_selectors
from pipe.settings.variables import VARIABLES


def named(text: str, key: str = "password", below: str = "") -> str:
    selector = read_selectors(text)[0][0]
    return variable_name(selector, "/".join(filter(None, (selector.path, below))), below, key, "KEYTURN_STATE")


@pytest.mark.parametrize(
    ("text", "key", "below", "expected"),
    [
        ("secret/ci/db password", "password", "", "PASSWORD"),
        ("secret/ci/db password | Db_Pass", "password", "", "Db_Pass"),
        ("secret/ci/db *", "api-key.v2", "", "API_KEY_V2"),
        ("secret/ci/db *", "the key/two", "", "THE_KEY_TWO"),
        ("secret/ci/db * | db_", "password", "", "db_PASSWORD"),
        ("secret/ci/db * | DB_", "2nd", "", "DB_2ND"),
        ("secret/ci/db config.host", "config.host", "", "CONFIG_HOST"),
        ("secret/ci/** *", "password", "db", "DB_PASSWORD"),
        ("secret/ci/** *", "password", "eu/live-1/db", "EU_LIVE_1_DB_PASSWORD"),
        ("secret/ci/** password", "password", "db", "DB_PASSWORD"),
        ("secret/ci/** password | X_", "password", "db", "X_DB_PASSWORD"),
    ],
)
def test_names(text: str, key: str, below: str, expected: str) -> None:
    assert named(text, key, below) == expected


@pytest.mark.parametrize(
    ("text", "key", "below", "words"),
    [
        ("secret/ci/db *", "КЛЮЧ", "", "secret/ci/db КЛЮЧ"),
        ("secret/ci/db *", "straße", "", "secret/ci/db straße"),
        ("secret/ci/db *", "", "", "secret/ci/db: no variable can be called “”"),
        ("secret/ci/db * | DB_", "", "", "secret/ci/db: no variable can be called “”"),
        ("secret/ci/** *", "", "db", "secret/ci/db: no variable can be called “”"),
        ("secret/ci/db *", "2nd", "", "secret/ci/db 2nd"),
        ("secret/ci/db *", "a$b", "", "secret/ci/db a$b"),
        ("secret/ci/db *", "a\nb", "", "secret/ci/db a b"),
        ("secret/ci/** *", "password", "1db", "secret/ci/1db password"),
        ("secret/ci/db *", "path", "", "PATH is reserved"),
        ("secret/ci/db *", "bitbucket-token", "", "BITBUCKET_TOKEN is reserved"),
        ("secret/ci/** *", "host", "docker", "DOCKER_HOST is reserved"),
        ("secret/ci/db *", "keyturn.state", "", "KEYTURN_STATE is the variable that Keyturn remembers in"),
        ("secret/ci/** *", "aws-access-key-id", "keyturn", "KEYTURN_AWS_ACCESS_KEY_ID is reserved by Keyturn"),
    ],
)
def test_names_that_cannot_be(text: str, key: str, below: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        named(text, key, below)
    assert words in str(refused.value.problems[0])


def test_a_whole_secret_is_named_by_its_path() -> None:
    assert variable_name(Selector("prod/db-url", ""), "prod/db-url", "", None, "KEYTURN_STATE") == "PROD_DB_URL"
    below = Selector("prod", "", recursive=True)
    assert variable_name(below, "prod/eu/db", "eu/db", None, "KEYTURN_STATE") == "EU_DB"


def test_the_remedy_is_one_that_the_selector_can_have() -> None:
    remedies = {"secret/ci/db path": "give it another name with", "secret/ci/db *": "name the keys one by one"}
    for text, remedy in remedies.items():
        with pytest.raises(Refused) as refused:
            named(text, "path")
        assert remedy in str(refused.value.problems[0])


def test_two_sources_for_one_name() -> None:
    entries = [
        Named("PASSWORD", "secret/ci/db", "password"),
        Named("PASSWORD", "secret/ci/cache", "password"),
        Named("A_B", "secret/ci/db", "a-b"),
        Named("A_B", "secret/ci/db", "a.b"),
        Named("USER", "secret/ci/db", "user"),
    ]
    problems, warnings = collisions(entries)
    assert [problem.split(". ")[0] for problem in problems] == [
        "PASSWORD would come from 2 sources: secret/ci/db password; secret/ci/cache password",
        "A_B would come from 2 sources: secret/ci/db a-b; secret/ci/db a.b",
    ]
    assert warnings == []


def test_one_source_twice_is_no_collision() -> None:
    known, unknown = Named("PASSWORD", "secret/ci/db", "password"), Named("PASSWORD", "secret/ci/db")
    assert collisions([known, known, unknown]) == ([], [])
    assert collisions([unknown, unknown]) == ([], [])
    assert len(collisions([known, unknown, Named("PASSWORD", "secret/ci/cache")])[0]) == 1


def test_an_address_and_a_key_are_not_taken_for_others_of_the_same_text() -> None:
    assert len(collisions([Named("C", "secret/a b", "c"), Named("C", "secret/a", "b c")])[0]) == 1


def test_names_that_differ_only_by_case_are_warned_of() -> None:
    problems, warnings = collisions([Named("Token", "secret/a", "k"), Named("TOKEN", "secret/b", "k")])
    assert (problems, warnings) == ([], ["Token and TOKEN differ only by case"])


def test_the_names_that_programs_obey_are_those_that_matter_and_no_more() -> None:
    """What a wildcard must not bring: an attacker's way into a step, Keyturn's own settings, a rotation's pair."""
    assert {
        "BASH_ENV", "ENV", "LD_PRELOAD", "LD_LIBRARY_PATH", "NODE_OPTIONS", "PYTHONPATH", "PYTHONSTARTUP", "HOME",
        "IFS",
        "GIT_SSH_COMMAND", "HTTPS_PROXY", "DOCKER_CONFIG", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE",
        "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_DEFAULT_REGION", "AWS_REGION",
    } <= OBEYED  # fmt: skip
    assert not {"DOCKER_PASSWORD", "GIT_TOKEN", "AWS_ACCOUNT_ID", "PASSWORD", "USERNAME", "API_KEY"} & OBEYED
    handed = {variable.name for variable in VARIABLES if variable.from_step}
    assert {name for name in handed if not reserved(name)} <= OBEYED, "pipe.yml hands them to Keyturn unasked"
    assert all(name == name.upper() and NAME.fullmatch(name) and not reserved(name) for name in OBEYED)
