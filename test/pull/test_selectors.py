"""Which secrets `SECRETS` means, and what is wrong with it."""

from __future__ import annotations

import pytest

from pipe.selectors import Selector, covers, read_selectors


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("secret/ci/db password", Selector("secret/ci/db", "password")),
        ("secret/ci/db password | DB_PASSWORD", Selector("secret/ci/db", "password", name="DB_PASSWORD")),
        ("secret/ci/db password|Db_Password", Selector("secret/ci/db", "password", name="Db_Password")),
        ("  /secret/ci/db/   password  ", Selector("secret/ci/db", "password")),
        ("secret/data/ci/db password", Selector("secret/data/ci/db", "password")),
        ("secret/ci/db *", Selector("secret/ci/db", "*")),
        ("secret/ci/db * | DB_", Selector("secret/ci/db", "*", name="DB_")),
        ("secret/ci/** *", Selector("secret/ci", "*", recursive=True)),
        ("/secret/ci/**/ *", Selector("secret/ci", "*", recursive=True)),
        ("secret/** password", Selector("secret", "password", recursive=True)),
        ("secret/ci/** * | CI_", Selector("secret/ci", "*", recursive=True, name="CI_")),
        ('"secret/ci/my db" "the key" | DB', Selector("secret/ci/my db", "the key", name="DB")),
        ('"secret/ci/a;b" "c | d"', Selector("secret/ci/a;b", "c | d")),
        ("secret/ci/db config.host", Selector("secret/ci/db", "config.host")),
        ("secret/ci/db a,b", Selector("secret/ci/db", "a,b")),
    ],
)
def test_one_selector(text: str, expected: Selector) -> None:
    assert read_selectors(text) == ((expected,), [])
    again, problems = read_selectors(expected.text)
    assert (again, problems) == ((expected,), []), "a selector's own text means the same"


def test_selectors_are_separated_by_lines_and_semicolons_and_may_be_commented() -> None:
    text = "\n# the database; all of it\nsecret/ci/a k;secret/ci/b k ;;\n\r\n  # more\n secret/ci/c k | C;\n"
    expected = tuple(
        Selector(f"secret/ci/{name}", "k", name=given) for name, given in [("a", ""), ("b", ""), ("c", "C")]
    )
    assert read_selectors(text) == (expected, [])
    assert read_selectors(["secret/ci/a k", "secret/ci/b k;secret/ci/c k | C"]) == (expected, [])
    assert read_selectors("") == ((), [])


def test_the_same_selector_has_one_text_however_it_is_written() -> None:
    ways = ["secret/ci/db *|DB_", ' /secret/ci/db/  "*" |  DB_ ', "secret/ci/db\t*\t|\tDB_"]
    assert {read_selectors(way)[0][0].text for way in ways} == {"secret/ci/db * | DB_"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("secret/ci/db", "which key of the secret, or *"),
        ("secret/ci/db | NAME", "which key of the secret, or *"),
        ("secret/ci/**", "which key of the secret, or *"),
        ("secret/ci/db **", "write * for all keys"),
        ("secret/ci/db db_*", "wildcard in the key db_*"),
        ("secret/*/db password", "it can only end in /**"),
        ("secret/ci/* *", "it can only end in /**"),
        ("secret/ci** *", "it can only end in /**"),
        ("** *", "say which mount"),
        ("/** *", "say which mount"),
        ("* *", "say which mount"),
        ("/ password", "has no path"),
        ('"" password', "has no path"),
        ("| NAME", "has no path"),
        ("secret/../sys/x key", "dots alone"),
        ("secret//db key", "an empty part"),
        ("secret/ci/db a b", "separated by line breaks or “;”"),
        ("secret/ci/db a, secret/ci/db b", "separated by line breaks or “;”"),
        ('secret/ci/"my db" key', "put the whole word into double quotes"),
        ("secret/ci/db key |", "one variable's name behind “|”"),
        ("secret/ci/db key | A B", "one variable's name behind “|”"),
        ("secret/ci/db key | A | B", "one variable's name behind “|”"),
        ("secret/ci/db key | 1A", "names 1A, which no variable can be called"),
        ("secret/ci/db key | DB-PASSWORD", "names DB-PASSWORD, which no variable can be called"),
        ("secret/ci/db key | ÄB", "names ÄB, which no variable can be called"),
        ("secret/ci/db key | CI", "names CI, which is reserved"),
        ("secret/ci/db key | PATH", "names PATH, which is reserved"),
        ("secret/ci/db key | DOCKER_HOST", "names DOCKER_HOST, which is reserved"),
        ("secret/ci/db key | BITBUCKET_X", "names BITBUCKET_X, which is reserved"),
        ("secret/ci/db * | BITBUCKET_", "names BITBUCKET_, which is reserved by Bitbucket"),
        ("secret/ci/db key | KEYTURN_STATE", "names KEYTURN_STATE, which is reserved by Keyturn"),
        ("secret/ci/db * | KEYTURN_", "names KEYTURN_, which is reserved by Keyturn"),
        ("!secret/ci/db password", "must be a path alone behind “!”"),
        ("!secret/ci/db | NAME", "must be a path alone behind “!”"),
        ("!", "must be a path alone behind “!”"),
        ("!secret/*/db", "it can only end in /**"),
    ],
)
def test_what_is_wrong_with_a_selector(text: str, words: str) -> None:
    selectors, problems = read_selectors(text)
    assert selectors == ()
    assert len(problems) == 1
    assert f"“{text}”" in problems[0]
    assert words in problems[0]


def test_a_beginning_of_names_may_be_a_reserved_word() -> None:
    assert read_selectors("secret/ci/db * | CI")[1] == []


def test_all_problems_at_once_and_the_sound_selectors_too() -> None:
    selectors, problems = read_selectors("secret/a *; secret/b\nsecret/c **\n/secret/a/ *")
    assert selectors == (Selector("secret/a", "*"),)
    assert [problem.split("”")[0] for problem in problems] == ["“secret/b", "“secret/c **", "“/secret/a/ *"]
    assert problems[-1].endswith("is there twice; leave one out.")


def test_one_key_may_give_several_variables() -> None:
    assert read_selectors("secret/a k | A; secret/a k | B")[1] == []


def test_secrets_manager_has_names_of_its_own_and_secrets_without_keys() -> None:
    text = "/prod/db | DB; prod/db/ password; arn:aws:secretsmanager:eu-west-1:000000000000:secret:a-AbCdEf user"
    selectors, problems = read_selectors(text, "secretsmanager")
    assert problems == []
    assert [selector.path for selector in selectors][:2] == ["/prod/db", "prod/db/"]
    assert selectors[0] == Selector("/prod/db", "", name="DB")
    assert selectors[0].text == "/prod/db | DB"


ARN = "arn:aws:secretsmanager:eu-west-1:000000000000:secret"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ci/** *", Selector("ci", "*", recursive=True)),
        ("/ci/** | CI_", Selector("/ci", "", recursive=True, name="CI_")),
        ("rds!cluster-1 password", Selector("rds!cluster-1", "password")),
        ("tag:team=payments *", Selector("team=payments", "*", recursive=True, tagged=True)),
        ('"tag:cost center=a=b:c" key', Selector("cost center=a=b:c", "key", recursive=True, tagged=True)),
        ("ci/db:AWSPREVIOUS password", Selector("ci/db", "password", stage="AWSPREVIOUS")),
        ("ci/db:a:b | DB", Selector("ci/db", "", name="DB", stage="a:b")),
        (f"{ARN}:ci/db-AbCdEf password", Selector(f"{ARN}:ci/db-AbCdEf", "password")),
        (f"{ARN}:ci/db:AWSPENDING password", Selector(f"{ARN}:ci/db", "password", stage="AWSPENDING")),
    ],
)
def test_one_selector_of_secrets_manager(text: str, expected: Selector) -> None:
    assert read_selectors(text, "secretsmanager") == ((expected,), [])
    assert expected.text == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("** *", "does not say which secrets"),
        ("* *", "does not say which secrets"),
        (":AWSPREVIOUS key", "does not say which secrets"),
        ("ci/*/db key", "it can only end in /**"),
        ("ci/** **", "write * for all keys"),
        ("ci/dü key", "a character that no secret's name in AWS has"),
        ("!ci key", "must be a path alone behind “!”"),
        ("!tag:team=ci", "without a tag or a version"),
        ("!ci/db:AWSPREVIOUS", "without a tag or a version"),
        (f"{ARN}:dü key", "a character that no secret's name in AWS has"),
        (f"{ARN}:ci/** *", "a wildcard behind an ARN"),
        ("arn:aws:secretsmanager:eu-west-1:secret:ci/db key", "no whole ARN"),
        ("arn:aws:s3:::bucket key", "no whole ARN"),
        ("arn:aws:iam::000000000000:role:ci key", "no whole ARN"),
        ("ci/db: key", "no version behind “:”"),
        ("ci/**:AWSPREVIOUS *", "no version behind “:”"),
        ("tag:team *", "names no tag"),
        ("tag:team=* *", "names no tag"),
        ("tag:=a *", "names no tag"),
        ("ci/db key | 1A", "which no variable can be called"),
    ],
)
def test_what_is_wrong_with_a_selector_of_secrets_manager(text: str, words: str) -> None:
    selectors, problems = read_selectors(text, "secretsmanager")
    assert selectors == ()
    assert len(problems) == 1
    assert f"“{text}”" in problems[0]
    assert words in problems[0]


def test_vault_knows_neither_tags_nor_stages() -> None:
    assert read_selectors("tag:a=b/c key; secret/db:AWSPREVIOUS key") == (
        (Selector("tag:a=b/c", "key"), Selector("secret/db:AWSPREVIOUS", "key")),
        [],
    )


def test_paths_are_taken_away_from_recursive_wildcards_alone() -> None:
    selectors, problems = read_selectors(
        'secret/ci/** *; ! secret/ci/db ;!"secret/ci/my db"; !/secret/ci/eu/**; secret/ci/db *'
    )
    assert problems == []
    wild, plain = selectors
    assert [away.text for away in wild.without] == ["secret/ci/db", '"secret/ci/my db"', "secret/ci/eu/**"]
    assert (plain.without, wild.text) == ((), "secret/ci/** *"), "what is taken away makes no other selector of it"
    for alone in ("!secret/ci/db", "secret/ci/db *; !secret/ci/db"):
        assert read_selectors(alone)[1] == [
            "“!secret/ci/db” takes paths away from wildcards that end in /**, and there is none."
        ]
    assert read_selectors("secret/** *; !secret/a; !/secret/a/")[1] == ["“!/secret/a/” is there twice; leave one out."]


@pytest.mark.parametrize(
    ("away", "path", "secret", "folder"),
    [
        ("secret/ci/db", "secret/ci/db", True, False),
        ("secret/ci/db", "secret/ci/db/a", False, False),
        ("secret/ci/db", "secret/ci/dbs", False, False),
        ("secret/ci/db/**", "secret/ci/db", False, True),
        ("secret/ci/db/**", "secret/ci/db/a", True, True),
        ("secret/ci/db/**", "secret/ci/dbs", False, False),
        ("secret/ci/db/**", "secret/ci", False, False),
    ],
)
def test_what_is_taken_away(away: str, path: str, secret: bool, folder: bool) -> None:
    without = read_selectors(f"secret/** *; !{away}")[0][0].without
    assert (covers(without, path), covers(without, path, folder=True)) == (secret, folder)
