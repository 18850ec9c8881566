"""What has to exist for what somebody wants, and what of that is not known yet; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pipe import policies, scopes
from pipe.policies import Home
from pipe.selectors import Selector
from pipe.templates import rules
from pipe.templates.setup import Grant, Setup, Vault
from pipe.wishes import Wishes

ROLE = "keyturn"

_OPENID = "in Bitbucket, Repository settings, OpenID Connect"

# Where to find what stands for it.
_WHERE = {
    "workspace": "BITBUCKET_WORKSPACE: the workspace's name in addresses, bitbucket.org/<workspace>/<repository>",
    "workspace-uuid": f"BITBUCKET_WORKSPACE_UUID: the end of the audience {_OPENID}",
    "repository-uuid": f"BITBUCKET_REPO_UUID: {_OPENID}",
    "environment": "TARGETS: the deployment environment that is written to; Repository settings, Deployments",
    "region": "AWS_DEFAULT_REGION: the region of the secrets, such as eu-central-1",
    "user": "IAM_USER_NAME: the IAM user whose access key is rotated",
    "secret": "SECRET_ID: the secret that is to hold the pair, such as ci/<user>",
    "prefix": "AWS_SECRET_PREFIX: what the replicas' names begin with, such as vault/",
    "mount": "SECRETS: the mount of the secrets in Vault, such as secret for secret/ci/** *",
    "folder": "SECRETS: the folder of the secrets, such as ci for secret/ci/** *",
    "vault": "VAULT_ADDR: the address of Vault or OpenBao",
    "account": "ALLOWED_AWS_ACCOUNT_IDS or AWS_OIDC_ROLE_ARN: the AWS account's twelve digits",
}


@dataclass
class Gaps:
    """What is not known, in the order in which it was missed."""

    names: dict[str, None] = field(default_factory=dict)

    def fill(self, text: str, name: str) -> str:
        """Return a text, or what stands for it where it is empty."""
        if text:
            return text
        self.names.setdefault(name)
        return f"<{name}>"

    def told(self) -> Iterator[tuple[str, str]]:
        """Yield each gap, and where to find what fills it."""
        for name in self.names:
            yield f"<{name}>", _WHERE[name]


def set_up(wishes: Wishes, gaps: Gaps) -> Setup:
    """Return what has to exist; what is not known is noted as a gap."""
    step = wishes.step
    workspace = gaps.fill(step.workspace, "workspace")
    audience = step.audiences[0] if step.audiences else ""
    if not audience:
        audience = f"ari:cloud:bitbucket::workspace/{gaps.fill('', 'workspace-uuid')}"
    repository = step.repository_uuid or f"{{{gaps.fill('', 'repository-uuid')}}}"
    home = _home(wishes, gaps) if wishes.uses_aws else Home("", "", "")
    return Setup(
        home,
        issuer=step.claims.get("iss") or f"{step.api}/workspaces/{workspace}/pipelines-config/identity/oidc",
        audience=audience,
        repository=repository,
        environment=step.environment_uuid,
        role=(wishes.role or ROLE) if wishes.uses_aws else "",
        grants=tuple(_grants(wishes, home, gaps)) if wishes.uses_aws else (),
        vault=_vault(wishes, gaps) if wishes.uses_vault else None,
        scopes=(scopes.READ[0], scopes.WRITE[0]) if wishes.uses_bitbucket else (),
    )


def selectors_of(wishes: Wishes, gaps: Gaps) -> tuple[Selector, ...]:
    """Return which of Vault's secrets are meant."""
    if wishes.selectors:
        return wishes.selectors
    return (Selector(f"{gaps.fill('', 'mount')}/{gaps.fill('', 'folder')}", "*", recursive=True),)


def secret_of(wishes: Wishes, gaps: Gaps) -> str:
    """Return the secret that holds a rotation's pair; one target does without, where a user was named and no secret."""
    if not wishes.secret_id and wishes.user and len(wishes.targets) < 2:
        return ""
    return gaps.fill(wishes.secret_id, "secret")


def _home(wishes: Wishes, gaps: Gaps) -> Home:
    """Return where things are in AWS; an account that is not known is what the commands or templates run in."""
    if not wishes.account:
        return Home("${AWS::Partition}", "${AWS::AccountId}", wishes.region or "${AWS::Region}")
    return Home(wishes.partition or _partition(wishes.region), wishes.account, gaps.fill(wishes.region, "region"))


def _partition(region: str) -> str:
    special = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
    return next((name for beginning, name in special.items() if region.startswith(beginning)), "aws")


def _grants(wishes: Wishes, home: Home, gaps: Gaps) -> Iterable[Grant]:
    if "rotate" in wishes.actions:
        user, secret = gaps.fill(wishes.user, "user"), secret_of(wishes, gaps)
        yield Grant("rotate", tuple(policies.rotate(home, user, secret)))
    if "pull" in wishes.actions and wishes.source == "secretsmanager":
        selectors = wishes.selectors or (Selector(gaps.fill("", "folder"), "*", recursive=True),)
        yield Grant("pull", tuple(policies.pull(home, selectors)))
    if "replicate" in wishes.actions:
        prefix = gaps.fill(wishes.prefix, "prefix")
        yield Grant("replicate", tuple(policies.replicate(home, prefix, prune=wishes.prune)))
    if wishes.kms_key:
        yield Grant("key", tuple(policies.kms(home, wishes.kms_key if wishes.kms_key.startswith("arn:") else "*")))
    if wishes.topic:
        yield Grant("notice", tuple(policies.notice(wishes.topic)))


def _vault(wishes: Wishes, gaps: Gaps) -> Vault:
    # Both servers know the usual policy; which of them it is cannot be told without asking.
    return Vault(
        address=wishes.vault or f"https://{gaps.fill('', 'vault')}:8200",
        rules=rules.usual(selectors_of(wishes, gaps)),
        mount=wishes.auth_path.strip("/") or "jwt",
        role=wishes.vault_role or ROLE,
        policy=wishes.vault_role or ROLE,
        namespace=wishes.namespace,
    )
