"""What the settings alone show to be wrong: every problem at once, exit 1, and nobody is asked anything."""

from __future__ import annotations

import re

import pytest

from sandbox.world import Company, World
from test.support import JWT, Pipe, outside, run_bare

LONG = "a" * 40
SECRETS = ("SECRET-of-a-test-" + LONG, "TOKEN-of-a-test-" + LONG)
ROLE = "arn:aws:iam::123456789012:role/rotator"

BAD = {
    "no-action": ({"ACTION": None}, ["ACTION: needed; rotate, pull,"]),
    "empty-action": ({"ACTION": ""}, ["ACTION: needed; rotate, pull,"]),
    "unknown-action": ({"ACTION": "dance"}, ["ACTION: must be "]),
    "action-in-capitals": ({"ACTION": "ROTATE!"}, ["ACTION:"]),
    "days-in-words": ({"ROTATE_AFTER_DAYS": "ninety"}, ["ROTATE_AFTER_DAYS: must be a whole number of days"]),
    "days-with-a-point": ({"DEACTIVATE_AFTER_DAYS": "100.5"}, ["DEACTIVATE_AFTER_DAYS: must be a whole number"]),
    "negative-days": ({"DELETE_AFTER_DAYS": "-110"}, ["DELETE_AFTER_DAYS: must be a whole number"]),
    "no-days": ({"ROTATE_AFTER_DAYS": "0"}, ["ROTATE_AFTER_DAYS: must be a whole number"]),
    "days-in-other-digits": ({"ROTATE_AFTER_DAYS": "٩٠"}, ["ROTATE_AFTER_DAYS: must be a whole number"]),
    "three-bad-days": (
        {"ROTATE_AFTER_DAYS": "x", "DEACTIVATE_AFTER_DAYS": "y", "DELETE_AFTER_DAYS": "z"},
        ["ROTATE_AFTER_DAYS:", "DEACTIVATE_AFTER_DAYS:", "DELETE_AFTER_DAYS:"],
    ),
    "out-of-order": (
        {"ROTATE_AFTER_DAYS": "100", "DEACTIVATE_AFTER_DAYS": "90"},
        ["ROTATE_AFTER_DAYS: must be less than DEACTIVATE_AFTER_DAYS, and that less than DELETE_AFTER_DAYS; they are "
         "100, 90 and 120. ROTATE_AFTER_DAYS 100 goes with DEACTIVATE_AFTER_DAYS 110 and DELETE_AFTER_DAYS 120."],
    ),
    "equal-days": ({"DELETE_AFTER_DAYS": "100"}, ["they are 90, 100 and 100."]),
    "a-key-in-the-way": (
        {"ROTATE_AFTER_DAYS": "30", "DEACTIVATE_AFTER_DAYS": "40", "DELETE_AFTER_DAYS": "56"},
        ["they are 30, 40 and 56. ROTATE_AFTER_DAYS 30 goes with DEACTIVATE_AFTER_DAYS 37 and DELETE_AFTER_DAYS 44."],
    ),
    "days-too-short": ({"ROTATE_AFTER_DAYS": "5"}, ["they are 5, 6 and 7. ROTATE_AFTER_DAYS 7 goes with DEACTIVATE_"]),
    "role-without-token": ({"AWS_OIDC_ROLE_ARN": ROLE}, ["AWS_OIDC_ROLE_ARN: the step has no OIDC token"]),
    "no-role": (
        {"AWS_OIDC_ROLE_ARN": "rotator"},
        ["AWS_OIDC_ROLE_ARN: must be the ARN of a role, not “rotator”.", "AWS_OIDC_ROLE_ARN: the step has no OIDC"],
    ),
    "role-without-user": (
        {"AWS_OIDC_ROLE_ARN": ROLE, "BITBUCKET_STEP_OIDC_TOKEN": JWT, "IAM_USER_NAME": None},
        ["IAM_USER_NAME: needed with a role"],
    ),
    "session-without-user": (
        {"AWS_SESSION_TOKEN": SECRETS[0], "IAM_USER_NAME": None},
        ["IAM_USER_NAME: needed with temporary credentials"],
    ),
    "app-password": (
        {"BITBUCKET_APP_PASSWORD": SECRETS[1], "BITBUCKET_ACCESS_TOKEN": None},
        ["BITBUCKET_APP_PASSWORD: app passwords are gone since July 2026. Use BITBUCKET_ACCESS_TOKEN"],
    ),
    "no-token": ({"BITBUCKET_ACCESS_TOKEN": None}, ["BITBUCKET_ACCESS_TOKEN: credentials are needed"]),
    "two-tokens": (
        {"ATLASSIAN_ACCOUNT_EMAIL": "a@b.example", "ATLASSIAN_API_TOKEN": SECRETS[1]},
        ["BITBUCKET_ACCESS_TOKEN: BITBUCKET_ACCESS_TOKEN and ATLASSIAN_API_TOKEN are different kinds of credentials."],
    ),
    "email-without-token": (
        {"ATLASSIAN_ACCOUNT_EMAIL": "a@b.example", "BITBUCKET_ACCESS_TOKEN": None},
        ["ATLASSIAN_API_TOKEN: needed together with ATLASSIAN_ACCOUNT_EMAIL"],
    ),
    "token-without-email": (
        {"ATLASSIAN_API_TOKEN": SECRETS[1], "BITBUCKET_ACCESS_TOKEN": None},
        ["ATLASSIAN_ACCOUNT_EMAIL: needed together with ATLASSIAN_API_TOKEN"],
    ),
    "no-aws-key": (
        {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
        ["AWS_OIDC_ROLE_ARN: no way to sign in to AWS is given. Give AWS_OIDC_ROLE_ARN, and `oidc: true` to"],
    ),
    "half-an-aws-key": ({"AWS_SECRET_ACCESS_KEY": ""}, ["AWS_SECRET_ACCESS_KEY: needed together with AWS_ACCESS"]),
    "swapped-aws-key": ({"AWS_ACCESS_KEY_ID": SECRETS[0] + "/+"}, ["AWS_ACCESS_KEY_ID: must be an access key id"]),
    "no-region": ({"AWS_DEFAULT_REGION": None}, ["AWS_DEFAULT_REGION: needed to find SECRET_ID"]),
    "bad-region": ({"AWS_DEFAULT_REGION": "Frankfurt"}, ["AWS_DEFAULT_REGION: must be a region"]),
    "bad-accounts": ({"ALLOWED_AWS_ACCOUNT_IDS": "12345"}, ["ALLOWED_AWS_ACCOUNT_IDS: must be a list"]),
    "bad-user": ({"IAM_USER_NAME": "deploy bot"}, ["IAM_USER_NAME: must be the name of an IAM user"]),
    "bad-secret": ({"SECRET_ID": "a secret?"}, ["SECRET_ID: must be a secret's name or ARN"]),
    "name-with-hyphen": ({"ACCESS_KEY_ID_VARIABLE": "KEY-ID"}, ["ACCESS_KEY_ID_VARIABLE: must be a name"]),
    "name-with-digit-first": ({"SECRET_ACCESS_KEY_VARIABLE": "1ST"}, ["SECRET_ACCESS_KEY_VARIABLE: must be a name"]),
    "name-with-umlaut": ({"CREDENTIALS_VARIABLE": "SCHLÜSSEL"}, ["CREDENTIALS_VARIABLE: must be a name"]),
    "name-with-line-break": ({"ACCESS_KEY_ID_VARIABLE": "A\nB"}, ["ACCESS_KEY_ID_VARIABLE: must be a name"]),
    "reserved-prefix": ({"CREDENTIALS_VARIABLE": "BITBUCKET_FILE"}, ["CREDENTIALS_VARIABLE: must be a name that Bit"]),
    "reserved-name": ({"CREDENTIALS_VARIABLE": "PATH"}, ["CREDENTIALS_VARIABLE: must be a name that Bit"]),
    "one-name-for-two": (
        {"ACCESS_KEY_ID_VARIABLE": "SAME", "SECRET_ACCESS_KEY_VARIABLE": "SAME"},
        ["SECRET_ACCESS_KEY_VARIABLE: must differ from ACCESS_KEY_ID_VARIABLE"],
    ),
    "credentials-in-the-id": (
        {"CREDENTIALS_VARIABLE": "AWS_ACCESS_KEY_ID"},
        ["CREDENTIALS_VARIABLE: must differ from ACCESS_KEY_ID_VARIABLE"],
    ),
    "bad-switches": (
        {"DRY_RUN": "yes", "DEBUG": "1", "FORCE": "on", "REVOKE": "si"},
        ["DRY_RUN: must be true or false", "DEBUG:", "FORCE:", "REVOKE:"],
    ),
    "bad-choice": ({"IF_STILL_USED": "ignore"}, ["IF_STILL_USED: must be postpone or deactivate"]),
    "no-targets": ({"TARGETS": None}, ["TARGETS: needed, since the step has no deployment environment"]),
    "empty-targets": ({"TARGETS": " , \n "}, ["TARGETS: needed"]),
    "bad-target": ({"TARGETS": "production"}, ["not “production”. Is deployment:production meant?"]),
    "bad-count": ({"TARGETS_COUNT": "two"}, ["TARGETS: TARGETS_COUNT must be a whole number"]),
    "two-bad-targets": ({"TARGETS": "staging, x/y:workspace"}, ["Is deployment:staging", "not “x/y:workspace”."]),
    "nameless-environment": ({"TARGETS": "deployment: "}, ["TARGETS:"]),
    "no-repository": (
        {"BITBUCKET_WORKSPACE": None, "BITBUCKET_REPO_SLUG": None, "TARGETS": "repository"},
        ["TARGETS: “repository” does not say which repository"],
    ),
    "two-targets-without-secret": ({"SECRET_ID": None}, ["SECRET_ID: needed for more than one target"]),
    "http": ({"BITBUCKET_API_URL": "http://bitbucket.example/2.0"}, ["BITBUCKET_API_URL: must begin with https://"]),
    "http-to-aws": ({"AWS_ENDPOINT_URL": "http://10.0.0.1:4566"}, ["AWS_ENDPOINT_URL: must begin with https://"]),
    "http-lookalike": ({"AWS_ENDPOINT_URL": "http://localhost.evil.example"}, ["AWS_ENDPOINT_URL: must begin with"]),
    "url-with-user": (
        {"BITBUCKET_API_URL": f"https://me:{SECRETS[1]}@bitbucket.example/2.0"},
        ["BITBUCKET_API_URL: must be an address"],
    ),
    "url-with-bad-port": ({"BITBUCKET_API_URL": "https://bitbucket.example:port/2.0"}, ["BITBUCKET_API_URL: must be"]),
    "url-with-bad-brackets": ({"BITBUCKET_API_URL": "https://[bitbucket/2.0"}, ["BITBUCKET_API_URL: must be"]),
    "a-variable-that-nothing-expanded": (
        {"BITBUCKET_ACCESS_TOKEN": "$BITBUCKET_ACCESS_TOKEN", "IAM_USER_NAME": "${IAM_USER}"},
        ["BITBUCKET_ACCESS_TOKEN: is the name of a variable and not its value. Nothing has put the variable's value",
         "IAM_USER_NAME: is the name of a variable and not its value, not “${IAM_USER}”."],
    ),
    "another-kind-of-token": (
        {"BITBUCKET_ACCESS_TOKEN": f"ATATT{SECRETS[1]}"},
        ["BITBUCKET_ACCESS_TOKEN: begins with ATATT, so that it is of another kind. That is a user's API token: give"],
    ),
    "a-list-as-json": ({"TARGETS": '["deployment:staging", "deployment:production"]'}, ["Give a YAML list, or one"]),
    "quotes-in-the-value": (
        {"AWS_OIDC_ROLE_ARN": f"'{ROLE}'", "BITBUCKET_STEP_OIDC_TOKEN": JWT},
        ["The quotes are part of the value; leave them out."],
    ),
    "a-repository-alone": (
        {"TARGETS": "billing:deployment:production"},
        ["Name the workspace, too: <workspace>/billing:deployment:production."],
    ),
    "a-user-as-an-arn": (
        {"IAM_USER_NAME": "arn:aws:iam::123456789012:user/bots/deploy-bot"},
        ["That is an ARN; the name is deploy-bot."],
    ),
    "no-scheme": ({"AWS_ENDPOINT_URL": "127.0.0.1:4566"}, ["It lacks https:// at its beginning."]),
    "a-name-nearly-right": ({"TARGETS": None, "TARGET": "repository"}, ["TARGET is given: is TARGETS meant?"]),
    "another-tool-s-name": ({"AWS_DEFAULT_REGION": None, "AWS_REGION": "eu-west-1"}, ["AWS_REGION is given: is AWS_"]),
    "everything-at-once": (
        {
            "ACTION": "dance", "TARGETS": "staging", "ROTATE_AFTER_DAYS": "x", "DRY_RUN": "maybe",
            "BITBUCKET_APP_PASSWORD": SECRETS[1], "AWS_OIDC_ROLE_ARN": ROLE,
            "AWS_ENDPOINT_URL": "http://aws.example", "ALLOWED_AWS_ACCOUNT_IDS": "me",
        },
        [
            "ACTION:", "TARGETS:", "ROTATE_AFTER_DAYS:", "DRY_RUN:", "BITBUCKET_APP_PASSWORD:", "AWS_OIDC_ROLE_ARN:",
            "AWS_ENDPOINT_URL:", "ALLOWED_AWS_ACCOUNT_IDS:",
        ],
    ),
}  # fmt: skip


def assert_no_value_and_no_traceback(output: str) -> None:
    assert "Traceback" not in output
    assert not [secret for secret in SECRETS if secret in output]


@pytest.mark.parametrize(("variables", "expected"), BAD.values(), ids=BAD)
@pytest.mark.sample(40)
def test_all_problems_are_named_and_nothing_is_asked(
    world: World, company: Company, pipe: Pipe, variables: dict[str, str | None], expected: list[str]
) -> None:
    before = outside(world, company)
    result = pipe(**variables, **({} if "DEBUG" in variables else {"DEBUG": "true"}))
    assert result.code == 1, result.output
    for problem in expected:
        assert any(problem in line for line in result.problems), result.output
    assert len(result.problems) == len(expected), result.output
    count = "1 problem," if len(expected) == 1 else f"{len(expected)} problems,"
    assert result.last_line == f"✖ Refused, nothing was touched: {count} see above."
    assert result.requests == ()
    assert outside(world, company) == before
    assert_no_value_and_no_traceback(result.output)
    assert company.token.secret not in result.output
    assert company.admin.secret_access_key not in result.output


def test_an_empty_environment_is_refused_with_everything_that_is_needed() -> None:
    ended = run_bare({})
    assert ended.returncode == 1
    for name in ("ACTION", "TARGETS", "BITBUCKET_ACCESS_TOKEN", "AWS_OIDC_ROLE_ARN"):
        assert re.search(rf"^✖ {name}: ", ended.stdout, re.MULTILINE), ended.stdout
    assert "Traceback" not in ended.stdout


def test_empty_strings_are_the_same_as_nothing(world: World, company: Company, pipe: Pipe) -> None:
    names = (
        "DRY_RUN", "DEBUG", "ATLASSIAN_ACCOUNT_EMAIL", "ATLASSIAN_API_TOKEN", "AWS_OIDC_ROLE_ARN", "AWS_SESSION_TOKEN",
        "ALLOWED_AWS_ACCOUNT_IDS", "ROTATE_AFTER_DAYS", "DEACTIVATE_AFTER_DAYS", "DELETE_AFTER_DAYS",
        "ACCESS_KEY_ID_VARIABLE", "SECRET_ACCESS_KEY_VARIABLE", "FORCE", "REVOKE", "CREDENTIALS_VARIABLE",
        "IF_STILL_USED", "STATE_VARIABLE", "TARGETS_COUNT", "BITBUCKET_STEP_OIDC_TOKEN", "BITBUCKET_APP_PASSWORD",
    )  # fmt: skip
    result = pipe(**dict.fromkeys(names, ""))
    assert result.code == 0, result.output
    assert len(world.aws.keys("deploy-bot")) == 2
    assert world.aws.signs(world.consumer(company.environments["Production"]))


@pytest.mark.parametrize(
    "targets",
    [
        {"TARGETS": "deployment:staging, deployment:production"},
        {"TARGETS": "deployment:Staging\ndeployment:Production\n"},
        {"TARGETS": None, "TARGETS_COUNT": "2", "TARGETS_0": "deployment:staging",
         "TARGETS_1": "deployment:production"},
        {"TARGETS": "ignored", "TARGETS_COUNT": "3", "TARGETS_0": "deployment:staging", "TARGETS_1": "",
         "TARGETS_2": "acme/shop:deployment:production"},
    ],
    ids=["commas", "lines", "yaml", "yaml-with-a-gap"],
)  # fmt: skip
def test_a_list_may_have_either_form(pipe: Pipe, targets: dict[str, str | None]) -> None:
    result = pipe(DRY_RUN="true", **targets)
    assert result.code == 0, result.output
    published = [line.split()[1:3] for line in result.output.splitlines() if line.strip().startswith("publish ")]
    assert published == [["acme/shop", "Staging"], ["acme/shop", "Production"]]
