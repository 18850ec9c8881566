"""What who signs at AWS may become: a session of a role, by the step's token or by keys, and Vault's `aws` log-in."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from pipe.clients.aws import Aws, Endpoint, Terms
from pipe.clients.aws_errors import NO_KEY
from pipe.clients.aws_transport import Transport
from pipe.errors import BadCredentials, Busy, ServiceError
from pipe.permissions import Home, trusts_step
from pipe.pipeline_step import claims_of
from pipe.redact import Secret, learn
from pipe.retry import Deadline
from pipe.values import stamp

SERVER_ID = "X-Vault-AWS-IAM-Server-ID"

# Vault sends on a plain question for the caller's identity alone, so there is nothing else in it to sign.
_BODY = "Action=GetCallerIdentity&Version=2011-06-15"
_TYPE = "application/x-www-form-urlencoded; charset=utf-8"

_ASSUME = "sts:AssumeRoleWithWebIdentity"


class _Cause(NamedTuple):
    """A refusal by AWS's code and a part of its message, for AWS has one code for several causes; what to mend.

    `trust` is true where a trust policy for this very step may be the remedy.
    """

    code: str
    part: str
    what: str
    check: str
    trust: bool = False

    def fits(self, error: ServiceError) -> bool:
        """Tell whether a refusal is of this kind."""
        return error.code == self.code and self.part in error.what


_EXPIRED = _Cause(
    "ExpiredTokenException", "", "The step's token has expired",
    "Assume the role early in the step: see `exp` above. Is a token handed on from another step?",
)  # fmt: skip
_TOO_EARLY = _Cause(
    "InvalidIdentityToken", "", "The step's token is not valid yet",
    "AWS's clock says {now}: see when it was issued, above. Run again later; a runner of your own may have a wrong "
    "clock.",
)  # fmt: skip
_UNVERIFIED = _Cause(
    "InvalidIdentityToken", "", "AWS cannot verify the step's token",
    "Hand BITBUCKET_STEP_OIDC_TOKEN on as the step has it, with nothing changed. Do not trust what it says of itself.",
)  # fmt: skip
_CAUSES = (
    _EXPIRED,
    _Cause(
        "InvalidIdentityToken", "audience", "The identity provider in IAM does not take the token's audience",
        "Add the token's `aud` to the audiences (client ids) of the identity provider in IAM, or name one of those "
        "under `oidc: audiences:` in bitbucket-pipelines.yml.",
        trust=True,
    ),
    _Cause(
        "InvalidIdentityToken", "No OpenIDConnect provider",
        "The account has no identity provider for the token's issuer",
        "Make an identity provider in IAM whose URL is the token's `iss`; it has the workspace's slug in it.",
        trust=True,
    ),
    _UNVERIFIED,
    _Cause(
        "AccessDenied", "", "The role does not trust this step",
        "Compare the trust policy of AWS_OIDC_ROLE_ARN with the token's claims: Principal with `iss`, the conditions "
        "on `aud` and `sub` with these. AWS says the same of a role that does not exist: check its name and account.",
        trust=True,
    ),
)  # fmt: skip


def by_web_identity(role_arn: str, token: Secret, terms: Terms, endpoint: Endpoint, deadline: Deadline) -> Aws:
    """Return a session of the role that the step's token may assume; nothing is written to disk.

    Raises BadCredentials with the token's claims and, where that may help, a trust policy that fits them, never the
    token; and ServiceError.
    """
    unsigned = Aws(None, endpoint, Transport(deadline))
    sts = unsigned.client("sts")
    try:
        answer = unsigned.ask(
            _ASSUME,
            lambda: sts.assume_role_with_web_identity(
                RoleArn=role_arn, WebIdentityToken=token.reveal(), **terms.parameters
            ),
            "Check AWS_OIDC_ROLE_ARN and AWS_SESSION_SECONDS.",
        )
    except Busy as error:
        if NO_KEY not in error.what:
            raise
        raise Busy(
            "AWS has not got the key that the step's token is signed with from Bitbucket (InvalidIdentityToken).",
            "Run again later. If it stays so, check that `<iss>/.well-known/openid-configuration` answers, `<iss>` "
            f"being the token's issuer: {claims_of(token).get('iss', 'none')}.",
        ) from None
    except ServiceError as error:
        raise _explained(error, role_arn, token, endpoint, unsigned.now()) from None
    return unsigned.signed(answer)


def _explained(error: ServiceError, role_arn: str, token: Secret, endpoint: Endpoint, now: datetime) -> ServiceError:
    """Return the refusal in words that name the cause and the line to mend; others stay as they are."""
    claims = claims_of(token)
    if not claims:
        return BadCredentials("BITBUCKET_STEP_OIDC_TOKEN is no token.", "Put `oidc: true` into the step.")
    cause = next((cause for cause in _CAUSES if cause.fits(error)), None)
    if cause is None:
        return error
    if cause is _UNVERIFIED and max(claims.get("iat", ""), claims.get("nbf", "")) > stamp(now):
        cause = _TOO_EARLY
    said = error.what.partition(f"{cause.code}: ")[2].rstrip(".")
    lines = [
        _beside(claims, role_arn, endpoint),
        *([_to_paste(claims, role_arn, endpoint)] if cause.trust else []),
    ]
    return BadCredentials(
        f"{cause.what} ({cause.code}){f': {said}' if said else ''}.", cause.check.format(now=stamp(now)),
        details="\n".join(lines),
    )  # fmt: skip


def _beside(claims: Mapping[str, str], role_arn: str, endpoint: Endpoint) -> str:
    """Return the token's claims beside what the trust policy has to say of each."""
    issuer, audience, subject = (claims.get(name, "nothing") for name in ("iss", "aud", "sub"))
    provider = _provider(claims)
    lines = [
        "The step's token says, and the role's trust policy has to say:",
        f"  iss  {issuer}",
        f"       Principal, Federated: {Home.of(role_arn, endpoint.region).iam(f'oidc-provider/{provider}')}",
        f"  aud  {audience}",
        f"       Condition on {provider}:aud: one of these",
        f"  sub  {subject}",
        f"       Condition on {provider}:sub: StringLike {_pattern(claims)}",
        f"  exp  {claims.get('exp', 'nothing')}, issued {claims.get('iat', 'at no time')}",
    ]
    return "\n".join(lines)


def _to_paste(claims: Mapping[str, str], role_arn: str, endpoint: Endpoint) -> str:
    """Return a trust policy for the step."""
    audience = claims.get("aud", "").partition(", ")[0]
    policy = trusts_step(Home.of(role_arn, endpoint.region), claims.get("iss", ""), audience, _pattern(claims))
    text = json.dumps(policy, indent=2, ensure_ascii=False)
    return f"If this step shall be let in, a trust policy of {role_arn} that does so:\n{text}"


def _provider(claims: Mapping[str, str]) -> str:
    return claims.get("iss", "").partition("://")[2]


def _pattern(claims: Mapping[str, str]) -> str:
    return f"{claims.get('sub', '').rpartition(':')[0]}:*"


def by_assumed_role(aws: Aws, role_arn: str, terms: Terms) -> Aws:
    """Return a session of a role, assumed by who signs `aws`; raises ServiceError."""
    sts = aws.client("sts")
    answer = aws.ask(
        "sts:AssumeRole",
        lambda: sts.assume_role(RoleArn=role_arn, **terms.parameters),
        "Check AWS_ROLE_ARN: the role's trust policy has to name the key's user, and the user needs the permission "
        f"sts:AssumeRole on {role_arn}; AWS_SESSION_SECONDS must not be more than the role's longest session.",
    )
    return aws.signed(answer)


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
