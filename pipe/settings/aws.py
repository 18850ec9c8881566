"""How AWS is asked."""

from __future__ import annotations

from dataclasses import dataclass

from pipe.reading import Reader
from pipe.redact import Secret
from pipe.values import KeyPair


@dataclass(frozen=True)
class AwsAccess:
    """How AWS is asked: a role with the step's token, or an access key."""

    region: str
    endpoint: str | None
    role_arn: str = ""
    web_identity: Secret | None = None
    pair: KeyPair | None = None
    session_token: Secret | None = None
    allowed_accounts: tuple[str, ...] = ()


def read_aws(reader: Reader) -> AwsAccess:
    """Return how AWS is asked."""
    role_arn = reader.matching("AWS_OIDC_ROLE_ARN", r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+", "the ARN of a role")
    web_identity = reader.plain("BITBUCKET_STEP_OIDC_TOKEN")
    key_id = reader.matching("AWS_ACCESS_KEY_ID", r"\w{16,128}", "an access key id")
    secret, token = reader.text("AWS_SECRET_ACCESS_KEY"), reader.text("AWS_SESSION_TOKEN")
    if role_arn and not web_identity:
        reader.problem(
            "AWS_OIDC_ROLE_ARN: the step has no OIDC token (BITBUCKET_STEP_OIDC_TOKEN); put `oidc: true` into the step."
        )
    if not role_arn:
        for name, value in (("AWS_ACCESS_KEY_ID", key_id), ("AWS_SECRET_ACCESS_KEY", secret)):
            if not value and not reader.complained(name):
                reader.problem(f"{name}: needed where AWS_OIDC_ROLE_ARN is not given.")
    region = reader.matching("AWS_DEFAULT_REGION", r"[a-z]{2,}(-[a-z]+)+-\d", "a region such as eu-central-1")
    secret_arn = reader.plain("SECRET_ID").split(":")
    if not region and len(secret_arn) > 3:
        region = secret_arn[3]
    if not region and reader.plain("SECRET_ID") and not reader.complained("AWS_DEFAULT_REGION"):
        reader.problem("AWS_DEFAULT_REGION: needed to find SECRET_ID, which is no ARN.")
    use_keys = not role_arn and key_id and secret
    return AwsAccess(
        region=region or "us-east-1",
        endpoint=reader.url("AWS_ENDPOINT_URL"),
        role_arn=role_arn,
        web_identity=Secret(web_identity) if role_arn else None,
        pair=KeyPair(key_id, Secret(secret)) if use_keys else None,
        session_token=Secret(token) if use_keys and token else None,
        allowed_accounts=reader.accounts(),
    )
