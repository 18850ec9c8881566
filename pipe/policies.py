"""What AWS has to allow each action, and whom a role has to trust: the one source of every policy.

The README, `ACTION: setup` and `AWS_SESSION_POLICY: minimal` are made from it, and tests hold `infra/` against it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pipe.selectors import Selector

Statement = dict[str, Any]
Policy = dict[str, Any]

# What Secrets Manager puts behind a secret's name in its ARN: a hyphen and six characters.
SUFFIX = "-??????"


@dataclass(frozen=True)
class Home:
    """Where an account's things are: the partition (`aws`), the account's id and the region."""

    partition: str
    account: str
    region: str

    @classmethod
    def of(cls, arn: str, region: str) -> Home:
        """Return the home that an ARN of IAM tells, in a region."""
        _, partition, _, _, account, _ = arn.split(":", 5)
        return cls(partition, account, region)

    def iam(self, resource: str) -> str:
        """Return the ARN of something in IAM."""
        return f"arn:{self.partition}:iam::{self.account}:{resource}"

    def secret(self, name: str) -> list[str]:
        """Return the ARN patterns of the secrets that a name, an ARN or a pattern of names is for."""
        if name.startswith("arn:"):
            # Whether an ARN is whole cannot be told from a name that ends like one.
            return [*([name] if re.search(r"-[A-Za-z0-9]{6}$", name) else []), name + SUFFIX]
        pattern = name if name.endswith("*") else name + SUFFIX
        return [f"arn:{self.partition}:secretsmanager:{self.region}:{self.account}:secret:{pattern}"]


def document(statements: Iterable[Statement]) -> Policy:
    """Return a policy that holds these statements, or one that allows nothing of note where there are none."""
    return {"Version": "2012-10-17", "Statement": [*statements] or [_allow(["sts:GetCallerIdentity"], "*")]}


def compact(policy: Policy) -> str:
    """Return a policy as text without blanks, as STS counts it."""
    return json.dumps(policy, separators=(",", ":"))


def rotate(home: Home, user: str, secret: str) -> list[Statement]:
    """Return what a rotation needs; `secret` is SECRET_ID, empty where there is none."""
    keys = _allow(
        ["iam:ListAccessKeys", "iam:CreateAccessKey", "iam:UpdateAccessKey", "iam:DeleteAccessKey",
         "iam:GetAccessKeyLastUsed"],
        _user(home, user),
    )  # fmt: skip
    if not secret:
        return [keys]
    versions = _allow(
        ["secretsmanager:CreateSecret", "secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds",
         "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage",
         "secretsmanager:TagResource"],
        home.secret(secret),
    )  # fmt: skip
    return [keys, versions]


def status(home: Home, user: str, secret: str) -> list[Statement]:
    """Return what looking at a rotation needs: to read, and nothing else."""
    keys = _allow(["iam:ListAccessKeys", "iam:GetAccessKeyLastUsed"], _user(home, user))
    if not secret:
        return [keys]
    reads = ["secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds", "secretsmanager:GetSecretValue"]
    return [keys, _allow(reads, home.secret(secret))]


def pull(home: Home, selectors: Iterable[Selector]) -> list[Statement]:
    """Return what a pull from Secrets Manager needs; its selectors are Secrets Manager's."""
    tags: list[str] = []
    patterns: list[str] = []
    for each in selectors:
        if each.tagged:
            tags.append(each.path)
        else:
            patterns += home.secret(f"{each.path}/*" if each.recursive else each.path)
    reads = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
    statements = [_allow(["secretsmanager:ListSecrets", "secretsmanager:BatchGetSecretValue"], "*")]
    if patterns:
        statements.append(_allow(reads, [*dict.fromkeys(patterns)]))
    for tag in dict.fromkeys(tags):
        key, _, value = tag.partition("=")
        statements.append(_allow(reads, home.secret("*"), {f"secretsmanager:ResourceTag/{key}": value}))
    return statements


def replicate(home: Home, prefix: str, *, prune: bool) -> list[Statement]:
    """Return what a replication needs, which reads nothing; `prune` is whether it may delete replicas."""
    actions = [
        "secretsmanager:CreateSecret", "secretsmanager:DescribeSecret", "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage", "secretsmanager:TagResource", "secretsmanager:RestoreSecret",
    ]  # fmt: skip
    if prune:
        actions.append("secretsmanager:DeleteSecret")
    return [_allow(["secretsmanager:ListSecrets"], "*"), _allow(actions, home.secret(prefix + "*"))]


def read_secret(home: Home, name: str) -> list[Statement]:
    """Return what reading one secret needs, by its name or ARN."""
    return [_allow(["secretsmanager:GetSecretValue"], home.secret(name))]


def notice(topic: str) -> list[Statement]:
    """Return what a notice needs; `topic` is SNS_TOPIC_ARN."""
    return [_allow(["sns:Publish"], topic)]


def kms(home: Home, key: str = "*") -> list[Statement]:
    """Return what secrets under a key of one's own in KMS need besides, by Secrets Manager alone; `key` is its ARN."""
    via = {"StringLike": {"kms:ViaService": f"secretsmanager.{home.region}.amazonaws.com*"}}
    return [{**_allow(["kms:Decrypt", "kms:GenerateDataKey"], key), "Condition": via}]


def trusts_step(home: Home, issuer: str, audience: str, subject: str) -> Policy:
    """Return a role's trust in Bitbucket's steps.

    `issuer` is the provider's URL; `subject` is what the token's `sub` has to be like, as
    `{repository uuid}:{environment uuid}:*`, since its last part is another one in each step.
    """
    provider = issuer.partition("://")[2]
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": home.iam(f"oidc-provider/{provider}")},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{provider}:aud": audience}, "StringLike": {f"{provider}:sub": subject}},
    }
    return document([statement])


def trusts_certificate(anchor: str, common_name: str, issuer: str = "") -> Policy:
    """Return a role's trust in the certificates with that common name below a trust anchor of Roles Anywhere.

    `issuer` is the common name of the authority that issues them, where the anchor has several below it.
    """
    names = {"aws:PrincipalTag/x509Subject/CN": common_name, "aws:PrincipalTag/x509Issuer/CN": issuer}
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "rolesanywhere.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
        "Condition": {
            "StringEquals": {key: name for key, name in names.items() if name},
            "ArnEquals": {"aws:SourceArn": anchor},
        },
    }
    return document([statement])


def trusts(arn: str) -> Policy:
    """Return a role's trust in a user or another role."""
    return document([{"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sts:AssumeRole"}])


def _user(home: Home, user: str) -> list[str]:
    # A name is its account's only one of its kind, whatever path is before it.
    return [home.iam(f"user/{user}"), home.iam(f"user/*/{user}")]


def _allow(actions: Sequence[str], resources: str | Sequence[str], equal: dict[str, str] | None = None) -> Statement:
    resources = [resources] if isinstance(resources, str) else resources
    statement = {"Effect": "Allow", "Action": _one_or_all(actions), "Resource": _one_or_all(resources)}
    return {**statement, "Condition": {"StringEquals": equal}} if equal else statement


def _one_or_all(words: Sequence[str]) -> str | list[str]:
    return [*words] if len(words) > 1 else words[0]
