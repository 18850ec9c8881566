"""The log-in by AWS on a stand-in that checks the request as Vault does and lets the sandbox's STS say who signed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from pipe.clients.vault_logins import by_aws
from sandbox.aws import Aws
from sandbox.aws.seed import Pair
from sandbox.clock import Clock
from test.clients.vault_front import Front, Reply, Request
from test.clients.vault_signing import refusal, signed_in


@pytest.fixture
def aws() -> Iterator[Aws]:
    account = Aws(Clock())
    account.start()
    yield account
    account.stop()


def signed_as(pair: Pair, sts: str, server_id: str = "") -> Callable[[], Mapping[str, str]]:
    """Return the proof that a key's owner is who they are, as Vault's own client makes it."""

    def proof() -> Mapping[str, str]:
        body = "Action=GetCallerIdentity&Version=2011-06-15"
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        if server_id:
            headers["X-Vault-AWS-IAM-Server-ID"] = server_id
        request = AWSRequest("POST", f"{sts}/", headers, body)
        SigV4Auth(Credentials(pair.access_key_id, pair.secret_access_key), "sts", "eu-central-1").add_auth(request)
        fields = {
            "iam_request_url": f"{sts}/", "iam_request_body": body,
            "iam_request_headers": json.dumps(dict(request.headers.items())),
        }  # fmt: skip
        encoded = {name: base64.b64encode(value.encode()).decode() for name, value in fields.items()}
        return {"iam_http_request_method": "POST", **encoded}

    return proof


def vault_of_aws(sts: str, role: str, arn: str, server_id: str) -> Front:
    """Return a stand-in of Vault's aws log-in, which checks what the real one does and lets STS say who signed."""

    def login(request: Request) -> Reply:
        given = request.json
        if given["role"] != role:
            return Reply(400, {"errors": [f'entry for role "{given["role"]}" not found']})
        url, body, text = (
            base64.b64decode(given[f"iam_request_{part}"], validate=True).decode()
            for part in ("url", "body", "headers")
        )
        headers = {name.lower(): value for name, value in json.loads(text).items()}
        assert (given["iam_http_request_method"], urlsplit(url).path) == ("POST", "/")
        assert body == "Action=GetCallerIdentity&Version=2011-06-15"
        if server_id:
            signed = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
            if headers.get("x-vault-aws-iam-server-id") != server_id or "x-vault-aws-iam-server-id" not in signed:
                return Reply(400, {"errors": ["error validating X-Vault-AWS-IAM-Server-ID header: missing"]})
        answer = requests.post(sts, data=body, headers=headers, timeout=5)
        if not answer.ok:
            code = answer.status_code
            return Reply(400, {"errors": [f"error making upstream request: received error code {code} from STS"]})
        if f"<Arn>{arn}</Arn>" not in answer.text:
            return Reply(400, {"errors": [f"IAM Principal does not belong to the role {role!r}"]})
        return Reply(200, {"auth": {"client_token": "s.of-aws", "lease_duration": 60, "token_type": "service"}})

    front = Front()
    front.rule("POST /v1/auth/aws/login", login)
    front.rule("GET /v1/auth/token/lookup-self", lambda request: Reply(200, {"data": {"path": request.headers}}))
    return front


@pytest.mark.parametrize("server_id", ["", "vault.example.com"])
def test_whoever_signs_for_aws_signs_in(aws: Aws, server_id: str) -> None:
    pair = aws.add_user("ci", key_age_days=1)
    sts = aws.start()
    vault = vault_of_aws(sts, "ci", f"arn:aws:iam::{aws.account}:user/ci", server_id)
    assert "s.of-aws" in signed_in(vault.url, by_aws("ci", signed_as(pair, sts, server_id)))
    assert "VAULT_ROLE:" in refusal(vault.url, by_aws("nix", signed_as(pair, sts, server_id))).check
    other = aws.add_user("other", key_age_days=1)
    assert "does not belong" in refusal(vault.url, by_aws("ci", signed_as(other, sts, server_id))).what
    forged = Pair(pair.access_key_id, "x" * 40)
    assert "403 from STS" in refusal(vault.url, by_aws("ci", signed_as(forged, sts, server_id))).what
    if server_id:
        assert "Server-ID" in refusal(vault.url, by_aws("ci", signed_as(pair, sts))).what
    vault.close()
