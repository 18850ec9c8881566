"""The proof of who we are at AWS that Vault's `aws` log-in takes: a signed request, which Vault itself sends to STS."""

from __future__ import annotations

import base64
import json

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from pipe.clients.aws import Aws
from pipe.errors import BadCredentials
from pipe.redact import learn

SERVER_ID = "X-Vault-AWS-IAM-Server-ID"

# Vault sends on a plain question for the caller's identity alone, so there is nothing else in it to sign.
_BODY = "Action=GetCallerIdentity&Version=2011-06-15"
_TYPE = "application/x-www-form-urlencoded; charset=utf-8"


def proof(aws: Aws, server_id: str = "") -> dict[str, str]:
    """Return the fields of Vault's log-in that carry a signed sts:GetCallerIdentity, good for a quarter of an hour.

    It is addressed to the STS of the session's region, which Vault's `sts_endpoint` and `sts_region` must name, too;
    `server_id` is Vault's `iam_server_id_header_value`, if it has one. Whoever holds the signature can log in with it;
    the redactor knows it. Raises BadCredentials where there is nothing to sign with.
    """
    if aws.credentials is None:
        raise BadCredentials("There are no AWS credentials to log in to Vault with.", "Check AWS_ACCESS_KEY_ID.")
    url = aws.client("sts").meta.endpoint_url.rstrip("/") + "/"
    headers = {"Content-Type": _TYPE, **({SERVER_ID: server_id} if server_id else {})}
    request = AWSRequest("POST", url, headers, _BODY)
    SigV4Auth(aws.credentials, "sts", aws.endpoint.region).add_auth(request)
    signed = dict(request.headers.items())
    learn(signed["Authorization"].rpartition("Signature=")[2])
    return {
        "iam_http_request_method": "POST",
        "iam_request_url": _base64(url),
        "iam_request_body": _base64(_BODY),
        "iam_request_headers": _base64(json.dumps(signed)),
    }


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
