"""What has to exist before a run can do its work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipe.policies import Home, Policy, Statement, trusts_step


@dataclass(frozen=True)
class Parameter:
    """What whoever uses a template gives it.

    The name is CloudFormation's; Terraform's is the same in snake case. `default` is None where it has to be given, and
    `true` or `false` where `switch` says that it is either. `pattern` is a regular expression that all of it fits, and
    `group` a heading.
    """

    name: str
    meaning: str
    default: str | None = None
    pattern: str = ""
    switch: bool = False
    group: str = ""


@dataclass(frozen=True)
class Grant:
    """What one action is allowed in AWS; the name is that of the policy."""

    name: str
    statements: tuple[Statement, ...]


@dataclass(frozen=True)
class Anywhere:
    """A way in by IAM Roles Anywhere: the authority's certificate as PEM, and the name that certificates must have."""

    authority: str
    common_name: str


@dataclass(frozen=True)
class Vault:
    """The way into Vault or OpenBao for the steps.

    `rules` is the policy's text, and `usual` the one in its place where the parameter of the part `scan` is not true.
    """

    address: str
    rules: str
    mount: str = "jwt"
    role: str = "keyturn"
    policy: str = "keyturn"
    namespace: str = ""
    usual: str = ""


@dataclass(frozen=True)
class Setup:
    """All that has to exist.

    `issuer` is the URL of Bitbucket's provider; `repository` and `environment`, which may be empty, are uuids with
    their braces. `role` is the name of the role in AWS, empty where nothing is needed there; `secret` names the secret
    that is made empty, with a key of its own in KMS; `scopes` are those of the access token for Bitbucket.

    Every text may hold references: `${AWS::Partition}`, `${AWS::AccountId}`, `${AWS::Region}`, the ARN of the secret's
    key as `${SecretKey.Arn}`, and `${…}` with the name of a parameter. `optional` tells which parts are there only if
    parameters are given or true: `provider`, `secret`, `environment`, `anywhere`, `scan`, or the name of a grant.
    """

    home: Home
    issuer: str
    audience: str
    repository: str
    environment: str = ""
    role: str = "keyturn"
    provider: bool = True
    grants: tuple[Grant, ...] = ()
    secret: str = ""
    anywhere: Anywhere | None = None
    vault: Vault | None = None
    scopes: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    optional: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """What a step's `sub` has to be like; its last part is another one in each step."""
        return ":".join([*filter(None, (self.repository, self.environment)), "*"])

    def trust(self, issuer: str = "", subject: str = "") -> Policy:
        """Return the role's trust in the steps; what is given is in the place of the set-up's own."""
        return trusts_step(self.home, issuer or self.issuer, self.audience, subject or self.subject)
