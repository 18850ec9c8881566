"""Whoever is sent the proof can ask STS who made it, and learns it; nobody can make it say anything else."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest
import requests

from pipe.clients.aws import Aws, Endpoint, Terms
from pipe.clients.aws_roles import SERVER_ID, by_web_identity, proof
from pipe.redact import HIDDEN, Secret, clean
from pipe.retry import Deadline
from pipe.values import KeyPair
from sandbox.world import REGION, USER, Company, World

Fields = dict[str, str]


def with_keys(world: World, company: Company) -> Aws:
    pair = KeyPair(company.old_key.access_key_id, Secret(company.old_key.secret_access_key))
    return Aws.with_keys(pair, None, Endpoint(REGION, world.aws_url), Deadline(pace=0.1))


def with_role(world: World, company: Company) -> Aws:
    role = world.aws.add_role("puller", trust=company.trust)
    token = Secret(company.oidc_token)
    return by_web_identity(role, token, Terms("a-test"), Endpoint(REGION, world.aws_url), Deadline(pace=0.1))


def decoded(text: str) -> str:
    return base64.b64decode(text, validate=True).decode()


def headers_of(fields: Fields) -> dict[str, str]:
    headers: dict[str, str] = json.loads(decoded(fields["iam_request_headers"]))
    return headers


def replayed(fields: Fields, **other: str) -> requests.Response:
    """Send the request as Vault does: exactly what it was given, to the STS that it trusts."""
    return requests.request(
        fields["iam_http_request_method"],
        decoded(fields["iam_request_url"]),
        data=decoded(fields["iam_request_body"]),
        headers={**headers_of(fields), **other},
        allow_redirects=False,
        timeout=10,
    )


@pytest.mark.parametrize(
    ("session", "arn"), [(with_keys, f":user/{USER}"), (with_role, ":assumed-role/puller/a-test")], ids=["keys", "role"]
)
@pytest.mark.parametrize("server_id", ["", "vault.example.com"])
def test_sts_says_who_made_it(
    world: World, company: Company, session: Callable[[World, Company], Aws], arn: str, server_id: str
) -> None:
    answer = replayed(proof(session(world, company), server_id))
    assert answer.status_code == 200
    assert f"{arn}</Arn>" in answer.text


def test_making_it_asks_aws_nothing(world: World, company: Company) -> None:
    aws = with_keys(world, company)
    world.aws.wire.forget()
    proof(aws)
    assert world.aws.wire.journal == []


def test_it_holds_what_vault_looks_at_and_nothing_else(world: World, company: Company) -> None:
    fields = proof(with_keys(world, company), "vault.example.com")
    assert set(fields) == {
        "iam_http_request_method", "iam_request_url", "iam_request_body", "iam_request_headers",
    }  # fmt: skip
    assert decoded(fields["iam_request_url"]) == f"{world.aws_url}/"
    assert decoded(fields["iam_request_body"]) == "Action=GetCallerIdentity&Version=2011-06-15"
    headers = headers_of(fields)
    assert set(headers) == {"Content-Type", SERVER_ID, "X-Amz-Date", "Authorization"}
    assert f";{SERVER_ID.lower()}," in headers["Authorization"]


@pytest.mark.parametrize(
    ("region", "url"),
    [("eu-central-1", "https://sts.eu-central-1.amazonaws.com/"),
     ("cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn/")],
)  # fmt: skip
def test_it_is_addressed_to_the_region_that_it_is_signed_for(region: str, url: str) -> None:
    pair = KeyPair("AKIAIOSFODNN7EXAMPLE", Secret("a-secret-that-signs-for-a-region"))
    fields = proof(Aws.with_keys(pair, None, Endpoint(region), Deadline()))
    assert decoded(fields["iam_request_url"]) == url
    assert f"/{region}/sts/aws4_request" in headers_of(fields)["Authorization"]


@pytest.mark.parametrize(
    "other",
    [{SERVER_ID: "another.example.com"}, {"X-Amz-Date": "20200101T000000Z"}, {"Content-Type": "text/plain"}],
    ids=["server", "date", "type"],
)
def test_a_header_that_was_signed_cannot_be_changed(world: World, company: Company, other: dict[str, str]) -> None:
    fields = proof(with_keys(world, company), "vault.example.com")
    assert replayed(fields).status_code == 200
    assert replayed(fields, **other).status_code == 403


def test_it_cannot_be_made_another_question(world: World, company: Company) -> None:
    fields = proof(with_keys(world, company))
    body = base64.b64encode(b"Action=GetSessionToken&Version=2011-06-15").decode()
    assert replayed({**fields, "iam_request_body": body}).status_code == 403


def test_it_cannot_be_given_another_ones_key(world: World, company: Company) -> None:
    fields = proof(with_keys(world, company))
    theirs = headers_of(fields)["Authorization"].replace(company.old_key.access_key_id, company.admin.access_key_id)
    assert replayed(fields, Authorization=theirs).status_code == 403


@pytest.mark.parametrize("session", [with_keys, with_role], ids=["keys", "role"])
def test_what_would_let_others_log_in_is_hidden(
    world: World, company: Company, session: Callable[[World, Company], Aws]
) -> None:
    fields = proof(session(world, company), "vault.example.com")
    headers = headers_of(fields)
    signature = headers["Authorization"].rpartition("Signature=")[2]
    for shown in (repr(fields), json.dumps(fields), repr(headers), str(headers), headers["Authorization"]):
        assert HIDDEN in clean(shown)
        for secret in (signature, fields["iam_request_headers"], headers.get("X-Amz-Security-Token", signature)):
            assert secret not in clean(shown)
    assert company.old_key.secret_access_key not in json.dumps(fields) + json.dumps(headers)
