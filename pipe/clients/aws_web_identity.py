"""A session of AWS by the step's OIDC token, and what to mend where AWS refuses it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pipe.claims import claims_of
from pipe.clients.aws import Aws, Endpoint, Terms
from pipe.errors import BadCredentials, Busy, ServiceError
from pipe.patience import Patience
from pipe.policies import Home, trusts_step
from pipe.redact import Secret

_ASSUME = "sts:AssumeRoleWithWebIdentity"

# Which line to mend, by AWS's code and a part of its message; AWS tells the same code for several causes.
_CAUSES = (
    ("ExpiredTokenException", "", "The step's token has expired", "Assume the role early in the step; a token is good "
     "for an hour at most. Is an old token handed on from another step?"),
    ("InvalidIdentityToken", "audience", "The identity provider in IAM does not take the token's audience", "Add the "
     "token's `aud` to the audiences (client ids) of the identity provider in IAM."),
    ("InvalidIdentityToken", "No OpenIDConnect provider", "The account has no identity provider for the token's issuer",
     "Make an identity provider in IAM whose URL is the token's `iss`; it has the workspace's slug in it."),
    ("InvalidIdentityToken", "", "AWS cannot verify the step's token", "Check that the identity provider's URL in IAM "
     "is the token's `iss`, and that the step has `oidc: true`."),
    ("AccessDenied", "", "The role does not trust this step", "Compare the trust policy of AWS_OIDC_ROLE_ARN with the "
     "token's claims: Principal with `iss`, the conditions on `aud` and `sub` with these."),
)  # fmt: skip


def by_web_identity(role_arn: str, token: Secret, terms: Terms, endpoint: Endpoint, patience: Patience) -> Aws:
    """Return a session of the role that the step's token may assume; nothing is written to disk.

    Raises BadCredentials with the token's claims and a trust policy that fits them, never the token, and ServiceError.
    """
    unsigned = Aws.anonymous(endpoint, patience)
    sts = unsigned.client("sts", anonymous=True)
    try:
        answer = unsigned.ask(
            _ASSUME,
            lambda: sts.assume_role_with_web_identity(
                RoleArn=role_arn, WebIdentityToken=token.reveal(), **terms.parameters
            ),
            "Check AWS_OIDC_ROLE_ARN.",
        )
    except Busy:
        raise
    except ServiceError as error:
        raise _explained(error, role_arn, token, endpoint) from None
    return unsigned.signed(answer)


def _explained(error: ServiceError, role_arn: str, token: Secret, endpoint: Endpoint) -> ServiceError:
    """Return the refusal in words that name the cause and the line to mend; others stay as they are."""
    claims = claims_of(token)
    if not claims:
        return BadCredentials("BITBUCKET_STEP_OIDC_TOKEN is no token.", "Put `oidc: true` into the step.")
    for code, part, what, check in _CAUSES:
        if error.code == code and part in error.what:
            said = error.what.partition(f"{code}: ")[2]
            return BadCredentials(
                f"{what} ({code}): {said}" if said else f"{what} ({code}).", check,
                details=_beside(claims, role_arn, endpoint),
            )  # fmt: skip
    return error


def _beside(claims: Mapping[str, str], role_arn: str, endpoint: Endpoint) -> str:
    """Return the token's claims beside what the trust policy has to say of each, and such a policy to paste."""
    issuer, audience, subject = (claims.get(name, "") for name in ("iss", "aud", "sub"))
    pattern = f"{subject.rpartition(':')[0]}:*"
    provider = issuer.partition("://")[2]
    home = Home.of(role_arn, endpoint.region)
    lines = [
        "The step's token says, and the role's trust policy has to say:",
        f"  iss  {issuer or 'nothing'}",
        f"       Principal, Federated: {home.iam(f'oidc-provider/{provider}')}",
        f"  aud  {audience or 'nothing'}",
        f"       Condition on {provider}:aud: one of these",
        f"  sub  {subject or 'nothing'}",
        f"       Condition on {provider}:sub: StringLike {pattern}",
        f"  exp  {claims.get('exp', 'nothing')}, issued {claims.get('iat', 'at no time')}",
        f"A trust policy of {role_arn} that lets this step in:",
        json.dumps(trusts_step(home, issuer, audience.partition(", ")[0], pattern), indent=2, ensure_ascii=False),
    ]
    return "\n".join(lines)
