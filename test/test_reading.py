"""Single variables as the environment has them."""

from __future__ import annotations

import pytest

from pipe.access.bitbucket import read_places
from pipe.errors import Problem, Refused
from pipe.redact import HIDDEN, clean
from pipe.settings.reader import Reader, learn_secrets
from pipe.values import Target, TargetKind

HERE = {"BITBUCKET_WORKSPACE": "acme", "BITBUCKET_REPO_SLUG": "shop"}


def deployment(environment: str, workspace: str = "acme", repository: str = "shop") -> Target:
    return Target(TargetKind.DEPLOYMENT, workspace, repository, environment)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ()),
        ({"TARGETS": ""}, ()),
        ({"TARGETS": "a"}, ("a",)),
        ({"TARGETS": "a, b ,,c"}, ("a", "b", "c")),
        ({"TARGETS": "a\nb\r\n\n c "}, ("a", "b", "c")),
        ({"TARGETS": "a,b\nc,a"}, ("a", "b", "c")),
        ({"TARGETS_COUNT": "2", "TARGETS_0": "a", "TARGETS_1": "b"}, ("a", "b")),
        ({"TARGETS_COUNT": "2", "TARGETS_0": "a, b", "TARGETS_1": "c"}, ("a, b", "c")),
        ({"TARGETS_COUNT": "1", "TARGETS_0": "a", "TARGETS_1": "left over"}, ("a",)),
        ({"TARGETS_COUNT": "3", "TARGETS_0": " a ", "TARGETS_2": "a"}, ("a",)),
        ({"TARGETS_COUNT": "0", "TARGETS": "a"}, ()),
        ({"TARGETS_COUNT": "", "TARGETS": "a"}, ("a",)),
    ],
)
def test_lists_in_either_form(environ: dict[str, str], expected: tuple[str, ...]) -> None:
    reader = Reader(environ)
    reader.listed("TARGETS")
    assert reader.given().get("TARGETS", ()) == expected


@pytest.mark.parametrize("count", ["x", "-1", "1.0", "10000", "٣"])
def test_a_count_is_a_number(count: str) -> None:
    reader = Reader({"TARGETS_COUNT": count, "TARGETS_0": "repository"})
    assert read_places(reader) == ()
    assert reader.problems == [Problem("TARGETS", "TARGETS_COUNT must be a whole number")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("deployment:production", deployment("production")),
        ("deployment:Live EU", deployment("Live EU")),
        ("deployment:{5680ef7d-9325-5695-8665-753b33b13092}", deployment("{5680ef7d-9325-5695-8665-753b33b13092}")),
        ("deployment: production ", deployment("production")),
        ("deployment:a:b/c", deployment("a:b/c")),
        ("other/repo:deployment:production", deployment("production", "other", "repo")),
        ("repository", Target(TargetKind.REPOSITORY, "acme", "shop")),
        ("other/repo:repository", Target(TargetKind.REPOSITORY, "other", "repo")),
        ("workspace", Target(TargetKind.WORKSPACE, "acme")),
        ("other:workspace", Target(TargetKind.WORKSPACE, "other")),
        ("Deployment: Production", deployment("Production")),
        ("other/repo: Repository", Target(TargetKind.REPOSITORY, "other", "repo")),
        ("deployment:5680ef7d-9325-5695-8665-753b33b13092", deployment("{5680ef7d-9325-5695-8665-753b33b13092}")),
    ],
)
def test_targets(text: str, expected: Target) -> None:
    reader = Reader({**HERE, "TARGETS": text})
    assert read_places(reader) == (expected,)
    assert reader.problems == []


@pytest.mark.parametrize(
    "text",
    ["production", "deployment", "deployment:", "environment:x", "other:repository", "a/b/c:repository",
     "other/:repository", "/repo:repository", "repositories", "workspaces", "deployment: ",
     "other/repo:workspace", "repository:x"],
)  # fmt: skip
def test_what_is_no_target(text: str) -> None:
    reader = Reader({**HERE, "TARGETS_COUNT": "1", "TARGETS_0": text})
    assert read_places(reader) == ()
    assert len(reader.problems) == 1


def test_the_same_target_twice_is_one() -> None:
    reader = Reader({**HERE, "TARGETS": "repository, acme/shop:repository, repository"})
    assert len(read_places(reader)) == 1


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID": "{u}", "BITBUCKET_DEPLOYMENT_ENVIRONMENT": "live"}, "{u}"),
        ({"BITBUCKET_DEPLOYMENT_ENVIRONMENT": "live"}, "live"),
    ],
)
def test_the_steps_own_environment(environ: dict[str, str], expected: str) -> None:
    assert read_places(Reader({**HERE, **environ})) == (deployment(expected),)


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("https://api.bitbucket.org/2.0", True),
        ("https://proxy.example:8443/bitbucket/", True),
        ("http://127.0.0.1:8080", True),
        ("http://127.8.9.10", True),
        ("http://[::1]:8080", True),
        ("http://localhost:1/2.0", True),
        ("http://bitbucket.example", False),
        ("http://localhost.example", False),
        ("http://127.0.0.1.example", False),
        ("http://10.0.0.1", False),
        ("http://0.0.0.0", False),
        ("ftp://127.0.0.1", False),
        ("file:///etc/passwd", False),
        ("api.bitbucket.org/2.0", False),
        ("https://", False),
        ("https://me:pass@host.example", False),
        ("https://me@host.example", False),
        ("https://host.example/?token=x", False),
        ("https://host.example/#x", False),
        ("https://host.example:port", False),
        ("https://host.example:99999", False),
        ("https://[host.example", False),
    ],
)
def test_addresses(value: str, good: bool) -> None:
    reader = Reader({"BITBUCKET_API_URL": value})
    reader.text("BITBUCKET_API_URL")
    assert (reader.problems == []) == good
    assert "me:pass" not in " ".join(map(str, reader.problems))


@pytest.mark.parametrize(
    ("value", "good"),
    [("A", True), ("_a1", True), ("lower_Case", True), ("x" * 200, True), ("CIA", True), ("PATHS", True),
     ("1A", False), ("A-B", False), ("A B", False), ("Ä", False), ("A.B", False), ("A\nB", False), ("٣", False),
     ("CI", False), ("PATH", False), ("DOCKER_HOST", False), ("BITBUCKET_X", False), ("BITBUCKET_", False)],
)  # fmt: skip
def test_names_of_variables(value: str, good: bool) -> None:
    reader = Reader({"CREDENTIALS_VARIABLE": value})
    assert reader.text("CREDENTIALS_VARIABLE") == (value if good else "")
    assert (reader.problems == []) == good


@pytest.mark.parametrize(
    ("value", "expected"), [("", 90), (" 7 ", 7), ("1", 1), ("9999", 9999), ("007", 7)]
)  # fmt: skip
def test_days(value: str, expected: int) -> None:
    reader = Reader({"ROTATE_AFTER_DAYS": value})
    assert reader.number("ROTATE_AFTER_DAYS") == expected
    assert reader.problems == []


@pytest.mark.parametrize("value", ["0", "-1", "1.0", "1e2", "x", "10000", "٩", "0x10", "1 2", "+5", "1\n2"])
def test_no_days(value: str) -> None:
    reader = Reader({"ROTATE_AFTER_DAYS": value})
    assert reader.number("ROTATE_AFTER_DAYS") is None
    assert len(reader.problems) == 1


@pytest.mark.parametrize(
    ("value", "expected"), [("", False), ("true", True), ("True", True), ("FALSE", False), (" true\n", True)]
)  # fmt: skip
def test_switches(value: str, expected: bool) -> None:
    reader = Reader({"DRY_RUN": value})
    assert reader.switch("DRY_RUN") is expected
    assert reader.problems == []


@pytest.mark.parametrize("value", ["yes", "1", "0", "on", "truee", "true false"])
def test_no_switches(value: str) -> None:
    reader = Reader({"DRY_RUN": value})
    reader.switch("DRY_RUN")
    assert reader.problems == [Problem("DRY_RUN", f"must be true or false, not “{value}”")]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"BITBUCKET_REPO_SLUG": "shop", "BITBUCKET_BUILD_NUMBER": "7"}, "keyturn-shop-7"),
        ({}, "keyturn"),
        ({"BITBUCKET_REPO_SLUG": "{5680}/ü x", "BITBUCKET_BUILD_NUMBER": "7"}, "keyturn--5680----x-7"),
        ({"BITBUCKET_REPO_SLUG": "s" * 100, "BITBUCKET_BUILD_NUMBER": "7"}, "keyturn-" + "s" * 54 + "-7"),
        ({"BITBUCKET_REPO_SLUG": "shop", "BITBUCKET_BUILD_NUMBER": "7" * 100}, "keyturn-shop-" + "7" * 31),
    ],
)
def test_the_name_of_the_session_passes_at_aws_and_keeps_the_build(environ: dict[str, str], expected: str) -> None:
    """AWS takes 64 characters. A long repository's name is cut, so that CloudTrail shows which build it was."""
    assert Reader(environ).session_name() == expected


@pytest.mark.parametrize("count", [0, 1, 2])
def test_allowed_accounts(count: int) -> None:
    accounts = tuple(f"{number:012}" for number in range(count))
    reader = Reader({"ALLOWED_AWS_ACCOUNT_IDS": ", ".join(accounts)})
    assert (reader.listed("ALLOWED_AWS_ACCOUNT_IDS"), reader.problems) == (accounts, [])


@pytest.mark.parametrize(
    "name",
    ["BITBUCKET_ACCESS_TOKEN", "ATLASSIAN_API_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
     "BITBUCKET_STEP_OIDC_TOKEN", "PIPELINES_JWT_TOKEN", "BITBUCKET_APP_PASSWORD"],
)  # fmt: skip
def test_what_may_be_secret_is_hidden_before_it_is_read(name: str) -> None:
    learn_secrets({name: f"canary-in-{name}"})
    assert clean(f"<canary-in-{name}>") == HIDDEN


def test_of_very_many_problems_the_first_are_told_and_all_are_counted() -> None:
    refused = Refused([f"problem {number} of a kind" for number in range(30_000)])
    assert (refused.count, len(refused.problems)) == (30_000, 201)
    assert str(refused.problems[-1]) == "There are 29800 more of these."
    again = Refused(["problem 1 of a kind"] * 30_000)
    assert (again.count, str(again)) == (1, "problem 1 of a kind.")
