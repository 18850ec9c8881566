"""The mistakes that people made who tried Keyturn for the first time, and that each can be mended within a minute.

Those that only a service can tell are in test/pull/test_mistakes_told_by_services.py.
"""

from __future__ import annotations

import pytest

from pipe.errors import Refused
from pipe.jobs.registry import read_settings
from test.support import JWT

STEP = {
    "BITBUCKET_WORKSPACE": "acme", "BITBUCKET_REPO_SLUG": "shop", "BITBUCKET_REPO_FULL_NAME": "acme/shop",
    "BITBUCKET_BUILD_NUMBER": "7", "BITBUCKET_STEP_OIDC_TOKEN": JWT, "BITBUCKET_ACCESS_TOKEN": "ATCTT3xFfGN0abc",
    "TARGETS": "deployment:production",
}  # fmt: skip
ROTATE = {
    **STEP, "ACTION": "rotate", "AWS_OIDC_ROLE_ARN": "arn:aws:iam::123456789012:role/keyturn",
    "IAM_USER_NAME": "deploy-bot", "SECRET_ID": "ci/deploy-bot", "AWS_DEFAULT_REGION": "eu-central-1",
}  # fmt: skip
PULL = {
    **STEP, "ACTION": "pull", "VAULT_ADDR": "https://vault.example.com", "VAULT_ROLE": "keyturn",
    "SECRETS": "secret/ci/db password",
}  # fmt: skip

# By the number of the mistake: what was given besides, and what the one problem says.
REFUSED = {
    "2 no kind": (ROTATE, {"TARGETS": "production"}, "not “production”. Is deployment:production meant?"),
    "4 JSON": (ROTATE, {"TARGETS": '["deployment:a", "deployment:b"]'}, "TARGETS: must not be JSON. Give a YAML list"),
    "5 no workspace": (
        ROTATE, {"TARGETS": "billing:deployment:live"}, "Name the workspace, too: <workspace>/billing:deployment:live.",
    ),
    "7 none": (ROTATE, {"TARGETS": ""}, "TARGETS: needed, since the step has no deployment environment of its own."),
    "8 TARGET": (ROTATE, {"TARGETS": "", "TARGET": "repository"}, "TARGET is given: is TARGETS meant?"),
    "8 IAM_USER": (ROTATE, {"IAM_USER_NAME": "", "IAM_USER": "x"}, "IAM_USER is given: is IAM_USER_NAME"),
    "8 token": (
        ROTATE, {"BITBUCKET_ACCESS_TOKEN": "", "BITBUCKET_TOKEN": "x"},
        "BITBUCKET_TOKEN is given: is BITBUCKET_ACCESS_TOKEN meant?",
    ),
    "8 AWS_REGION": (
        ROTATE, {"AWS_DEFAULT_REGION": "", "AWS_REGION": "eu-west-1"},
        "AWS_REGION is given: is AWS_DEFAULT_REGION meant?",
    ),
    "9 no oidc": (
        ROTATE, {"BITBUCKET_STEP_OIDC_TOKEN": ""}, "the step has no OIDC token. Put `oidc: true` into the step",
    ),
    "10 name": (
        ROTATE, {"AWS_OIDC_ROLE_ARN": "keyturn"},
        "AWS_OIDC_ROLE_ARN: must be the ARN of a role, not “keyturn”. Give the whole of it",
    ),
    "10 quotes": (
        ROTATE, {"AWS_OIDC_ROLE_ARN": '"arn:aws:iam::123456789012:role/keyturn"'}, "The quotes are part of the value",
    ),
    "11 empty": (
        ROTATE, {"AWS_OIDC_ROLE_ARN": ""},
        "no way to sign in to AWS is given. Give AWS_OIDC_ROLE_ARN, and `oidc: true` to the step, or AWS_ACCESS_KEY_ID",
    ),
    "13 $NAME": (
        ROTATE, {"BITBUCKET_ACCESS_TOKEN": "$BITBUCKET_ACCESS_TOKEN"},
        "BITBUCKET_ACCESS_TOKEN: is the name of a variable and not its value.",
    ),
    "13 ${NAME}": (PULL, {"VAULT_ADDR": "${VAULT_ADDR}"}, "is the name of a variable and not its value"),
    "14 ATATT": (
        ROTATE, {"BITBUCKET_ACCESS_TOKEN": "ATATT3xFfGF0abc"}, "That is a user's API token: give it as ATLASSIAN_API",
    ),
    "14 ATCTT": (
        ROTATE,
        {"BITBUCKET_ACCESS_TOKEN": "", "ATLASSIAN_API_TOKEN": "ATCTT3abc", "ATLASSIAN_ACCOUNT_EMAIL": "a@b.example"},
        "That is an access token of a repository, project or workspace: give it as BITBUCKET_ACCESS_TOKEN.",
    ),
    "14 ATBB": (ROTATE, {"BITBUCKET_ACCESS_TOKEN": "ATBBabc"}, "That is an app password, which Bitbucket"),
    "14 Bearer": (ROTATE, {"BITBUCKET_ACCESS_TOKEN": "Bearer ATCTT3abc"}, "Leave the word “Bearer” out."),
    "15 empty": (
        ROTATE, {"BITBUCKET_ACCESS_TOKEN": ""},
        "Secured variables are empty in pull requests of forks, and a deployment's variables in steps without",
    ),
    "17 no hyphen": (ROTATE, {"AWS_DEFAULT_REGION": "eu-central1"}, "not “eu-central1”. Is eu-central-1 meant?"),
    "17 zone": (ROTATE, {"AWS_DEFAULT_REGION": "eu-central-1a"}, "an availability zone; its region is eu-central-1."),
    "20 yes": (ROTATE, {"DRY_RUN": "yes"}, "DRY_RUN: must be true or false, not “yes”."),
    "21 90 days": (ROTATE, {"ROTATE_AFTER_DAYS": "90 days"}, "not “90 days”. Give the number alone: 90."),
    "21 100d": (ROTATE, {"ROTATE_AFTER_DAYS": "100d"}, "not “100d”. Give the number alone: 100."),
    "22 order": (
        ROTATE, {"ROTATE_AFTER_DAYS": "120", "DEACTIVATE_AFTER_DAYS": "100", "DELETE_AFTER_DAYS": "110"},
        "they are 120, 100 and 110. ROTATE_AFTER_DAYS 120 goes with DEACTIVATE_AFTER_DAYS 130 and",
    ),
    "24 ARN": (
        ROTATE, {"IAM_USER_NAME": "arn:aws:iam::123456789012:user/ci/deploy-bot"},
        "must be the name of an IAM user, not “arn:aws:iam::123456789012:user/ci/deploy-bot”. That is an ARN; the name "
        "is deploy-bot.",
    ),
    "26 another region": (
        ROTATE, {"SECRET_ID": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:ci/x-AbCdEf"},
        "SECRET_ID: is in eu-west-1, and AWS_DEFAULT_REGION is eu-central-1",
    ),
    "27 dashes": (ROTATE, {"ALLOWED_AWS_ACCOUNT_IDS": "1234-5678-9012"}, "not “1234-5678-9012”."),
    "30 swapped": (
        ROTATE,
        {"AWS_OIDC_ROLE_ARN": "", "AWS_ACCESS_KEY_ID": "x/y" * 13, "AWS_SECRET_ACCESS_KEY": "AKIAIOSFODNN7EXAMPLE"},
        "AWS_ACCESS_KEY_ID: must be an access key id.",
    ),
    "31 no scheme": (
        PULL, {"VAULT_ADDR": "127.0.0.1:18200"}, "not “127.0.0.1:18200”. It lacks https:// at its beginning.",
    ),
    "32 http": (PULL, {"VAULT_ADDR": "http://vault.example.com"}, "must begin with https://, not “http://vault"),
    "38 commas": (PULL, {"SECRETS": "secret/ci/db a, secret/ci/db b"}, "by line breaks or “;”, not by commas"),
    "39 path alone": (PULL, {"SECRETS": "secret/ci/db"}, "does not say which key of the secret, or * for all of them."),
    "39 path:key": (PULL, {"SECRETS": "secret/ci/db:password"}, "Is “secret/ci/db password” meant?"),
    "39 NAME=path#key": (PULL, {"SECRETS": "PASS=secret/ci/db#password"}, "Is “secret/ci/db password” meant?"),
    "40 JSON": (PULL, {"SECRETS": '["secret/ci/db password"]'}, "SECRETS: must not be JSON. Give a YAML list, or one"),
    "41 wildcard": (PULL, {"SECRETS": "secret/ci/* *"}, "a wildcard within the path; it can only end in /**"),
    "45 bad name": (PULL, {"SECRETS": "secret/ci/db x | 1A"}, "use letters, digits and _, and no digit first."),
    "45 reserved": (PULL, {"SECRETS": "secret/ci/db x | PATH"}, "names PATH, which is reserved by Bitbucket."),
}  # fmt: skip
TAKEN = {
    "3 capitals and a blank": (ROTATE, {"TARGETS": "Deployment: Production"}),
    "6 a uuid without braces": (ROTATE, {"TARGETS": "deployment:56807d3f-7a1d-4c6e-8f6f-0123456789ab"}),
    "16 a newline behind it": (ROTATE, {"BITBUCKET_ACCESS_TOKEN": "ATCTT3abc\n"}),
    "19 capitals": (PULL, {"ACTION": "Pull", "SOURCE": "Vault", "ENCODE": "BASE64"}),
    "23 thirty days alone": (ROTATE, {"ROTATE_AFTER_DAYS": "30"}),
    "34 the page of its own": (PULL, {"VAULT_ADDR": "https://vault.example.com/ui/vault/secrets"}),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_mistake_is_refused_in_words_that_mend_it(mistake: str) -> None:
    given, changes, words = REFUSED[mistake]
    with pytest.raises(Refused) as refused:
        read_settings({**given, **changes})
    (problem,) = map(str, refused.value.problems)
    assert words in problem
    if "TOKEN" in problem.partition(":")[0]:
        assert not any(value in problem for value in changes.values() if value.startswith("AT"))


@pytest.mark.parametrize("form", TAKEN)
def test_a_form_that_can_only_mean_one_thing_is_taken(form: str) -> None:
    given, changes = TAKEN[form]
    assert read_settings({**given, **changes}).action in ("rotate", "pull")
