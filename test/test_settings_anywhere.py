"""The variables of IAM Roles Anywhere: what is made of them, and what is wrong with them before anybody is asked."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from pipe.access.aws import Anywhere, AwsAccess, Keys, WebIdentity
from pipe.errors import Refused
from pipe.jobs.registry import read_settings
from pipe.jobs.rotate.job import RotateJob
from pipe.redact import HIDDEN, clean
from test.authority import Authority
from test.support import JWT

AUTHORITY = Authority("Acme Machines", datetime(2026, 11, 28, tzinfo=UTC))
MINE, ENCRYPTED = AUTHORITY.issue("runner-1"), AUTHORITY.issue("runner-1", password="a password")
PREFIX = "AWS_ROLESANYWHERE_"
PLACE = "arn:aws:rolesanywhere:eu-central-1:123456789012"
ANCHOR, PROFILE = f"{PLACE}:trust-anchor/6a71", f"{PLACE}:profile/6a72"
ROLE = "arn:aws:iam::123456789012:role/path/rotator"
PAIR = {"AWS_ACCESS_KEY_ID": "AKIAXXXXXXXXXXXXTEST", "AWS_SECRET_ACCESS_KEY": "secret-of-a-test"}
LEAST = {
    "ACTION": "rotate",
    "TARGETS": "deployment:production",
    "BITBUCKET_WORKSPACE": "acme",
    "BITBUCKET_REPO_SLUG": "shop",
    "BITBUCKET_ACCESS_TOKEN": "token-of-a-test",
    "IAM_USER_NAME": "deploy-bot",
    PREFIX + "TRUST_ANCHOR_ARN": ANCHOR,
    PREFIX + "PROFILE_ARN": PROFILE,
    PREFIX + "ROLE_ARN": ROLE,
    PREFIX + "CERTIFICATE": MINE.certificate,
    PREFIX + "PRIVATE_KEY": MINE.key,
}


def in_base64(pem: str) -> str:
    return base64.b64encode(pem.encode()).decode()


def access(**variables: str) -> AwsAccess:
    job = read_settings({**LEAST, **variables}).job
    assert isinstance(job, RotateJob)
    return job.aws


def problems(**variables: str) -> tuple[str, ...]:
    with pytest.raises(Refused) as refused:
        read_settings({**LEAST, **variables})
    return tuple(map(str, refused.value.problems))


def anywhere(**variables: str) -> Anywhere:
    way = access(**variables).way
    assert isinstance(way, Anywhere)
    return way


def test_texts_and_base64_of_them_are_the_same() -> None:
    names = {
        PREFIX + "CERTIFICATE": MINE.certificate,
        PREFIX + "PRIVATE_KEY": MINE.key,
        PREFIX + "CHAIN": AUTHORITY.pem,
    }
    plain = anywhere(**names)
    assert (plain.trust_anchor, plain.profile, plain.role_arn) == (ANCHOR, PROFILE, ROLE)
    assert plain.key.reveal() == MINE.key.strip()
    assert anywhere(**{name: in_base64(pem) for name, pem in names.items()}) == plain
    wrapped = {name: base64.encodebytes(pem.encode()).decode() for name, pem in names.items()}
    assert anywhere(**wrapped) == plain


def test_the_session_lasts_as_long_as_is_wanted() -> None:
    assert (access().seconds, access(AWS_SESSION_SECONDS="43200").seconds) == (3600, 43200)
    assert "900 to 43,200" in problems(AWS_SESSION_SECONDS="899")[0]


def test_a_session_s_policy_belongs_into_the_profile() -> None:
    for policy in ("minimal", "{}"):
        assert problems(AWS_SESSION_POLICY=policy) == (
            "AWS_SESSION_POLICY: IAM Roles Anywhere takes none. Put it into the profile, as its session policy.",
        )


def test_the_step_s_role_comes_first_and_keys_last() -> None:
    assert isinstance(access(AWS_OIDC_ROLE_ARN=ROLE, BITBUCKET_STEP_OIDC_TOKEN=JWT).way, WebIdentity)
    assert isinstance(access(**PAIR).way, Anywhere)
    # A workspace's variables reach every step, also those that sign in by keys.
    only_key = {name: "" for name in LEAST if name.startswith(PREFIX) and not name.endswith("PRIVATE_KEY")}
    assert isinstance(access(**PAIR, **only_key).way, Keys)


@pytest.mark.parametrize("given", ["TRUST_ANCHOR_ARN", "PROFILE_ARN", "ROLE_ARN", "CERTIFICATE"])
def test_what_is_missing_is_named(given: str) -> None:
    names = [name for name in LEAST if name.startswith(PREFIX)]
    found = problems(**{name: "" for name in names if name != PREFIX + given})
    assert [problem.partition(":")[0] for problem in found] == [name for name in names if name != PREFIX + given]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TRUST_ANCHOR_ARN", PROFILE, "must be the ARN of a trust anchor, not “"),
        ("TRUST_ANCHOR_ARN", "6a71", "must be the ARN of a trust anchor, not “"),
        ("PROFILE_ARN", ANCHOR, "must be the ARN of a profile, not “"),
        ("PROFILE_ARN", PROFILE.replace("eu-central-1", "eu-west-1"), "must be of the same account and region as "),
        ("PROFILE_ARN", PROFILE.replace("123456789012", "210987654321"), "must be of the same account and region as "),
        ("ROLE_ARN", "rotator", "must be the ARN of a role, not “rotator”."),
        ("ROLE_ARN", ROLE.replace("arn:aws:", "arn:aws-cn:"), "must be of the same partition of AWS as "),
        ("CERTIFICATE", "runner-1.pem", "must be certificates as PEM, or base64 of that."),
        ("CERTIFICATE", "bm8gcGVtIGF0IGFsbA==", "must be certificates as PEM, or base64 of that."),
        ("CERTIFICATE", MINE.certificate.replace("CERTIFICATE", "CERTIFICATE REQUEST"), "It is a request for one."),
        ("CERTIFICATE", MINE.certificate + MINE.key, "holds a private key, too"),
        ("CHAIN", in_base64(MINE.key), "holds a private key, too"),
        ("CHAIN", "none", "must be certificates as PEM, or base64 of that."),
        ("PRIVATE_KEY", "runner-1.key", "must be a private key as PEM, or base64 of that."),
        ("PRIVATE_KEY", MINE.certificate, f"It is a certificate, which belongs into {PREFIX}CERTIFICATE."),
        ("PRIVATE_KEY", ENCRYPTED.key, "is encrypted. Give the key as it is, in a secured variable."),
        ("PRIVATE_KEY", in_base64(ENCRYPTED.key), "is encrypted. Give the key as it is, in a secured variable."),
        ("PRIVATE_KEY", "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n"
         "-----END EC PRIVATE KEY-----", "is encrypted. Give the key as it is, in a secured variable."),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_and_shown_only_where_it_is_an_arn(name: str, value: str, said: str) -> None:
    (problem,) = problems(**{PREFIX + name: value})
    assert problem.startswith(f"{PREFIX}{name}: ")
    assert said in problem
    if not name.endswith("_ARN"):
        assert not any(line in problem for line in value.splitlines() if line)


def test_all_problems_are_told_together() -> None:
    wrong: dict[str, Any] = {PREFIX + name: "x" for name in ("TRUST_ANCHOR_ARN", "ROLE_ARN", "CHAIN", "PRIVATE_KEY")}
    assert len(problems(**wrong)) == 4


@pytest.mark.parametrize("name", ["PRIVATE_KEY", "CERTIFICATE"])
def test_a_key_is_hidden_in_every_form_wherever_it_was_put(name: str) -> None:
    key = AUTHORITY.issue("runner-2").key
    try:
        read_settings({**LEAST, PREFIX + name: in_base64(key)})
    except Refused:
        assert name == "CERTIFICATE"
    for form in (in_base64(key), *key.splitlines()[1:-1], key.replace("\n", "\\n")):
        assert HIDDEN in clean(form)
        assert form not in clean(form)
