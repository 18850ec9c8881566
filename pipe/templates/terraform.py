"""A set-up as Terraform."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pipe.policies import document, trusts_certificate
from pipe.templates.hcl import Block, Call, Choice, Expression, Resolve
from pipe.templates.setup import Anywhere, Grant, Parameter, Setup, Vault

# The provider of AWS from which on a provider of identity needs no thumbprint, and a region is called `region`.
_AWS, _VAULT = ">= 6.0", ">= 4.0"
_ROLE = "aws_iam_role.keyturn"
_ANYWHERE = "aws_iam_role.anywhere"


def render(setup: Setup) -> str:
    """Return the configuration; it makes what has to exist in AWS and Vault, and has the set-up's parameters."""
    resolve = _resolver(setup)
    blocks = [_terraform(setup), *(_variable(each) for each in setup.parameters)]
    if setup.role:
        blocks += _providers("aws", region=setup.home.region)
        blocks += _aws(setup)
    if setup.vault:
        blocks += _providers("vault", address=setup.vault.address)
        blocks += _vault(setup, setup.vault)
    return "\n\n".join("\n".join(block.lines(resolve)) for block in blocks) + "\n"


def _resolver(setup: Setup) -> Resolve:
    known = {
        "AWS::Partition": "local.partition",
        "AWS::AccountId": "local.account",
        "AWS::Region": "local.region",
        "SecretKey.Arn": f"aws_kms_key.secret{_one(setup, 'secret')}.arn",
        "TrustAnchor.Arn": f"aws_rolesanywhere_trust_anchor.keyturn{_one(setup, 'anywhere')}.arn",
        "Provider": "local.provider",
        "Subject": "local.subject",
    }
    return lambda name: known.get(name) or f"var.{_snake(name)}"


def _one(setup: Setup, part: str) -> str:
    return "[0]" if part in setup.optional else ""


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _terraform(setup: Setup) -> Block:
    needed = {}
    if setup.role:
        needed["aws"] = {"source": "hashicorp/aws", "version": _AWS}
    if setup.vault:
        needed["vault"] = {"source": "hashicorp/vault", "version": _VAULT}
    return Block("terraform", {"required_version": ">= 1.3"}, (Block("required_providers", needed),))


def _providers(name: str, **arguments: str) -> list[Block]:
    """Return what a provider is told, if that is known."""
    known = {name: value for name, value in arguments.items() if value and "${" not in value}
    return [Block(f'provider "{name}"', known)] if known else []


def _variable(parameter: Parameter) -> Block:
    told: dict[str, Any] = {
        "type": Expression("bool" if parameter.switch else "string"),
        "description": parameter.meaning,
    }
    if parameter.default is not None:
        told["default"] = parameter.default == "true" if parameter.switch else parameter.default
    blocks = []
    if parameter.pattern:
        pattern = f"^({parameter.pattern})?$" if parameter.default == "" else f"^{parameter.pattern}$"
        quoted = pattern.replace("\\", "\\\\")
        blocks.append(
            Block("validation", {
                "condition": Expression(f'can(regex("{quoted}", var.{_snake(parameter.name)}))'),
                "error_message": f"Must match {pattern}.",
            })
        )  # fmt: skip
    return Block(f'variable "{_snake(parameter.name)}"', told, tuple(blocks))


def _given(setup: Setup, part: str) -> str:
    """Return the condition under which a part is there; empty where it always is."""
    switches = {each.name for each in setup.parameters if each.switch}
    return " && ".join(
        f"var.{_snake(name)}" if name in switches else f'var.{_snake(name)} != ""'
        for name in setup.optional.get(part, ())
    )


def _resource(setup: Setup, part: str, kind: str, name: str, arguments: dict[str, Any], *blocks: Block) -> Block:
    given = _given(setup, part)
    count = {"count": Expression(f"{given} ? 1 : 0")} if given else {}
    return Block(f'resource "{kind}" "{name}"', {**count, **arguments}, blocks)


def _aws(setup: Setup) -> Iterator[Block]:
    derived: dict[str, Any] = {}
    if "${" in setup.home.account:
        for kind in ("partition", "caller_identity", "region"):
            yield Block(f'data "aws_{kind}" "current"', {})
        derived["partition"] = Expression("data.aws_partition.current.partition")
        derived["account"] = Expression("data.aws_caller_identity.current.account_id")
        derived["region"] = Expression("data.aws_region.current.region")
    issuer, subject = setup.issuer, setup.subject
    if issuer.startswith("${"):
        derived["provider"] = Expression(f'split("://", var.{_snake(issuer[2:-1])})[1]')
        issuer = "https://${Provider}"
    if "environment" in setup.optional:
        wide = subject.replace(f"{setup.environment}:", "")
        derived["subject"] = Choice(_given(setup, "environment"), subject, wide)
        subject = "${Subject}"
    if setup.anywhere:
        derived["roles"] = Expression(f"concat([{_ROLE}.name], {_ANYWHERE}[*].name)")
    if derived:
        yield Block("locals", derived)
    if setup.provider:
        yield _resource(
            setup, "provider", "aws_iam_openid_connect_provider", "bitbucket",
            {"url": setup.issuer, "client_id_list": [setup.audience]},
        )  # fmt: skip
    yield _resource(setup, "", "aws_iam_role", "keyturn", {
        "name": setup.role,
        "description": "For the steps of one repository of Bitbucket, as Keyturn uses it.",
        "assume_role_policy": Call("jsonencode", setup.trust(issuer, subject)),
    })  # fmt: skip
    if setup.secret:
        yield from _secret(setup)
    if setup.anywhere:
        yield from _anywhere(setup, setup.anywhere)
    yield from (_policy(setup, grant) for grant in setup.grants)
    yield _output("role_arn", "AWS_OIDC_ROLE_ARN.", f"{_ROLE}.arn")
    if setup.anywhere:
        one = "one({}[*].arn)" if "anywhere" in setup.optional else "{}.arn"
        for name, variable, resource in (
            ("trust_anchor_arn", "TRUST_ANCHOR_ARN", "aws_rolesanywhere_trust_anchor.keyturn"),
            ("profile_arn", "PROFILE_ARN", "aws_rolesanywhere_profile.keyturn"),
            ("anywhere_role_arn", "ROLE_ARN", _ANYWHERE),
        ):
            yield _output(name, f"AWS_ROLESANYWHERE_{variable}.", one.format(resource))


def _output(name: str, meaning: str, value: str) -> Block:
    return Block(f'output "{name}"', {"description": meaning, "value": Expression(value)})


def _policy(setup: Setup, grant: Grant) -> Block:
    """Return a role's policy, or the same one for each of two roles."""
    arguments: dict[str, Any] = {"name": grant.name, "policy": Call("jsonencode", document(grant.statements))}
    head = f'resource "aws_iam_role_policy" "{grant.name.replace("-", "_")}"'
    if not setup.anywhere:
        return _resource(setup, grant.name, "aws_iam_role_policy", grant.name.replace("-", "_"), {
            "role": Expression(f"{_ROLE}.name"), **arguments
        })  # fmt: skip
    given = _given(setup, grant.name)
    roles = f"{given} ? local.roles : []" if given else "local.roles"
    return Block(head, {"for_each": Expression(f"toset({roles})"), "role": Expression("each.value"), **arguments})


def _secret(setup: Setup) -> Iterator[Block]:
    root = {"Effect": "Allow", "Principal": {"AWS": setup.home.iam("root")}, "Action": "kms:*", "Resource": "*"}
    yield _resource(setup, "secret", "aws_kms_key", "secret", {
        "description": f"Encrypts the secret {setup.secret} of Keyturn.",
        "enable_key_rotation": True,
        "policy": Call("jsonencode", document([root])),
    })  # fmt: skip
    yield _resource(setup, "secret", "aws_secretsmanager_secret", "keyturn", {
        "name": setup.secret,
        "description": "Keyturn keeps an access key here, and how far its rotation has come.",
        "kms_key_id": "${SecretKey.Arn}",
    })  # fmt: skip


def _anywhere(setup: Setup, anywhere: Anywhere) -> Iterator[Block]:
    name, one = f"{setup.role}-anywhere", _one(setup, "anywhere")
    data = Block("source_data", {"x509_certificate_data": anywhere.authority})
    yield _resource(
        setup, "anywhere", "aws_rolesanywhere_trust_anchor", "keyturn", {"name": name, "enabled": True},
        Block("source", {"source_type": "CERTIFICATE_BUNDLE"}, (data,)),
    )  # fmt: skip
    yield _resource(setup, "anywhere", "aws_iam_role", "anywhere", {
        "name": name,
        "description": "For the holders of one certificate, by IAM Roles Anywhere, as Keyturn uses it.",
        "assume_role_policy": Call("jsonencode", trusts_certificate("${TrustAnchor.Arn}", anywhere.common_name)),
    })  # fmt: skip
    yield _resource(setup, "anywhere", "aws_rolesanywhere_profile", "keyturn", {
        "name": name,
        "enabled": True,
        "role_arns": [Expression(f"{_ANYWHERE}{one}.arn")],
    })  # fmt: skip


def _vault(setup: Setup, vault: Vault) -> Iterator[Block]:
    namespace = {"namespace": vault.namespace} if vault.namespace else {}
    yield Block('resource "vault_jwt_auth_backend" "bitbucket"', {
        **namespace,
        "path": vault.mount,
        "description": "The steps of Bitbucket Pipelines.",
        "oidc_discovery_url": setup.issuer,
        "bound_issuer": setup.issuer,
    })  # fmt: skip
    claims: Any = {"repositoryUuid": setup.repository}
    if setup.environment:
        claims["deploymentEnvironmentUuid"] = setup.environment
    if "environment" in setup.optional:
        yield Block("locals", {"claims": claims})
        claims = Expression('{ for claim, uuid in local.claims : claim => uuid if uuid != "" }')
    if vault.usual:
        yield Block("locals", {"scanning": vault.rules, "usual": vault.usual})
    yield Block('resource "vault_jwt_auth_backend_role" "keyturn"', {
        **namespace,
        "backend": Expression("vault_jwt_auth_backend.bitbucket.path"),
        "role_name": vault.role,
        "role_type": "jwt",
        "bound_audiences": [setup.audience],
        "bound_claims": claims,
        "user_claim": "repositoryUuid",
        "token_policies": [Expression("vault_policy.keyturn.name")],
        "token_ttl": 900,
        "token_max_ttl": 900,
    })  # fmt: skip
    either = Expression(f"{_given(setup, 'scan')} ? local.scanning : local.usual")
    rules = either if vault.usual else vault.rules
    yield Block('resource "vault_policy" "keyturn"', {**namespace, "name": vault.policy, "policy": rules})
