"""A set-up as commands of `aws` and `bao`, for a POSIX shell."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

from pipe.policies import document, trusts_certificate
from pipe.templates.setup import Anywhere, Setup, Vault

_REFERENCE = re.compile(r"\$\{([\w:.]+)\}")
_VARIABLES = {
    "AWS::Partition": "partition",
    "AWS::AccountId": "account",
    "AWS::Region": "region",
    "SecretKey.Arn": "key",
    "TrustAnchor.Arn": "anchor",
    "AnywhereRole.Arn": "role",
}


def render(setup: Setup) -> str:
    """Return the commands for a set-up without parameters; nothing in them is a secret."""
    parts: list[str] = []
    if setup.role:
        parts += _aws(setup)
    if setup.vault:
        parts += _vault(setup, setup.vault)
    if setup.scopes:
        parts.append(f"# In Bitbucket: an access token with the scopes {', '.join(setup.scopes)}.\n")
    return "\n".join(parts)


def sign_in(setup: Setup, vault: Vault) -> str:
    """Return the commands that let Vault take Bitbucket's tokens."""
    return (
        f"bao auth enable{_path(vault)} jwt\n"
        f"bao write auth/{vault.mount}/config \\\n"
        f"  {shlex.quote(f'oidc_discovery_url={setup.issuer}')} \\\n"
        f"  {shlex.quote(f'bound_issuer={setup.issuer}')}\n"
    )


def role(setup: Setup, vault: Vault) -> str:
    """Return the command that makes the role."""
    claims = {"repositoryUuid": setup.repository}
    if setup.environment:
        claims["deploymentEnvironmentUuid"] = setup.environment
    told = {
        "role_type": "jwt",
        "bound_audiences": [setup.audience],
        "bound_claims": claims,
        "user_claim": "repositoryUuid",
        "token_policies": [vault.policy],
        "token_ttl": "15m",
        "token_max_ttl": "15m",
    }
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in told.items())
    return f"bao write auth/{vault.mount}/role/{vault.role} - <<'END'\n{{\n{lines}\n}}\nEND\n"


def policy(vault: Vault, rules: str = "") -> str:
    """Return the command that writes the policy, or one with other rules."""
    return f"bao policy write {vault.policy} - <<'END'\n{rules or vault.rules}END\n"


def _path(vault: Vault) -> str:
    return "" if vault.mount == "jwt" else f" -path={vault.mount}"


def _vault(setup: Setup, vault: Vault) -> Iterator[str]:
    told = {"BAO_ADDR": vault.address, "BAO_NAMESPACE": vault.namespace}
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in told.items() if value]
    if lines:
        yield "".join(lines)
    yield sign_in(setup, vault)
    yield role(setup, vault)
    yield policy(vault)


def _aws(setup: Setup) -> Iterator[str]:
    if "${" in setup.home.account:
        yield (
            "account=$(aws sts get-caller-identity --query Account --output text)\n"
            "partition=$(aws sts get-caller-identity --query Arn --output text | cut -d: -f2)\n"
            "region=${AWS_REGION:-$(aws configure get region)}\n"
        )
    if setup.provider:
        yield _command("iam create-open-id-connect-provider", {"url": setup.issuer, "client-id-list": setup.audience})
    yield _command("iam create-role", {
        "role-name": setup.role,
        "assume-role-policy-document": setup.trust(),
    })  # fmt: skip
    if setup.secret:
        yield from _secret(setup)
    roles = [setup.role]
    if setup.anywhere:
        roles.append(f"{setup.role}-anywhere")
        yield from _anywhere(setup.anywhere, roles[-1])
    for name in roles:
        for grant in setup.grants:
            yield _command("iam put-role-policy", {
                "role-name": name,
                "policy-name": grant.name,
                "policy-document": document(grant.statements),
            })  # fmt: skip


def _secret(setup: Setup) -> Iterator[str]:
    yield _command(
        "kms create-key", {"description": f"Encrypts the secret {setup.secret} of Keyturn."}, "key", "KeyMetadata.Arn"
    )
    yield _command("kms enable-key-rotation", {"key-id": "${SecretKey.Arn}"})
    yield _command("secretsmanager create-secret", {"name": setup.secret, "kms-key-id": "${SecretKey.Arn}"})


def _anywhere(anywhere: Anywhere, name: str) -> Iterator[str]:
    source = {"sourceType": "CERTIFICATE_BUNDLE", "sourceData": {"x509CertificateData": anywhere.authority}}
    yield _command(
        "rolesanywhere create-trust-anchor --enabled",
        {"name": name, "source": source},
        "anchor",
        "trustAnchor.trustAnchorArn",
    )
    trust = trusts_certificate("${TrustAnchor.Arn}", anywhere.common_name)
    yield _command("iam create-role", {"role-name": name, "assume-role-policy-document": trust}, "role", "Role.Arn")
    yield _command("rolesanywhere create-profile --enabled", {"name": name, "role-arns": "${AnywhereRole.Arn}"})


def _command(what: str, options: dict[str, Any], variable: str = "", query: str = "") -> str:
    """Return a command of AWS's, whose answer's part can be kept in a variable."""
    lines = [f"aws {what}", *(f"  --{name} {_word(value)}" for name, value in options.items())]
    if not variable:
        return " \\\n".join(lines) + "\n"
    return f"{variable}=$(" + " \\\n".join([*lines, f"  --query {query} --output text"]) + ")\n"


def _word(value: Any) -> str:
    """Return a text or JSON as one word of the shell's."""
    text = value if isinstance(value, str) else json.dumps(value, indent=2)
    words, at = "", 0
    for found in _REFERENCE.finditer(text):
        words += _quoted(text[at : found.start()]) + f'"${_VARIABLES[found[1]]}"'
        at = found.end()
    return words + _quoted(text[at:]) or "''"


def _quoted(text: str) -> str:
    return shlex.quote(text) if text else ""
