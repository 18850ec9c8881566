"""A set-up as a template of CloudFormation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from pipe.policies import document as policy_of
from pipe.policies import trusts_certificate
from pipe.templates.setup import Anywhere, Setup
from pipe.templates.yaml import Function, Literal, document

_ANYWHERE = "AnywhereRole"


def render(setup: Setup) -> str:
    """Return the template; it makes what has to exist in AWS, and takes the set-up's parameters."""
    tree: dict[str, Any] = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "What Keyturn needs in AWS, which is a role for the steps of one repository.",
    }
    if setup.parameters:
        tree["Metadata"] = {"AWS::CloudFormation::Interface": {"ParameterGroups": [*_groups(setup)]}}
        tree["Parameters"] = dict(_parameters(setup))
    conditions = dict(_conditions(setup))
    if conditions:
        tree["Conditions"] = conditions
    tree["Resources"] = dict(_resources(setup))
    tree["Outputs"] = dict(_outputs(setup))
    lines = []
    for section, value in tree.items():
        if isinstance(value, str):
            lines.append(f"{section}: {value if section == 'Description' else repr(value)}")
            continue
        lines += ["", f"{section}:"]
        lines += ["  " + line if line else "" for line in document(value)]
    return "\n".join(lines) + "\n"


def _groups(setup: Setup) -> Iterator[dict[str, Any]]:
    for label, parameters in groupby(setup.parameters, lambda each: each.group):
        yield {"Label": {"default": label}, "Parameters": [each.name for each in parameters]}


def _parameters(setup: Setup) -> Iterator[tuple[str, Any]]:
    for each in setup.parameters:
        told: dict[str, Any] = {"Type": "String", "Description": each.meaning}
        if each.default is not None:
            told["Default"] = each.default
        if each.switch:
            told["AllowedValues"] = ["true", "false"]
        elif each.pattern:
            told["AllowedPattern"] = f"^({each.pattern})?$" if each.default == "" else f"^{each.pattern}$"
        yield each.name, told


def _conditions(setup: Setup) -> Iterator[tuple[str, Function]]:
    """Yield a condition for each parameter, or several together, that something depends on."""
    groups = list(dict.fromkeys(setup.optional.values()))
    switches = {each.name for each in setup.parameters if each.switch}
    for name in dict.fromkeys(name for group in groups for name in group):
        given = f"[!Equals [!Ref {name}, '']]"
        yield (
            f"If{name}",
            (Function("Equals", f"[!Ref {name}, 'true']") if name in switches else Function("Not", given)),
        )
    for group in groups:
        if len(group) > 1:
            each = ", ".join(f"{{Condition: If{name}}}" for name in group)
            yield _condition(group), Function("And", f"[{each}]")


def _condition(group: tuple[str, ...]) -> str:
    return "If" + "And".join(group)


def _resources(setup: Setup) -> Iterator[tuple[str, Any]]:
    if setup.provider:
        properties: dict[str, Any] = {"Url": setup.issuer, "ClientIdList": [setup.audience]}
        yield "Provider", _resource(setup, "provider", "IAM::OIDCProvider", properties)
    yield "Role", _resource(setup, "", "IAM::Role", {
        "RoleName": setup.role,
        "Description": "For the steps of one repository of Bitbucket, as Keyturn uses it.",
        "AssumeRolePolicyDocument": _trust(setup),
    })  # fmt: skip
    if setup.secret:
        yield from _secret(setup)
    if setup.anywhere:
        yield from _anywhere(setup, setup.anywhere)
    for grant in setup.grants:
        name = "".join(word.capitalize() for word in grant.name.split("-")) + "Policy"
        yield name, _resource(setup, grant.name, "IAM::Policy", {
            "PolicyName": grant.name,
            "Roles": [Function("Ref", "Role"), *_other_roles(setup)],
            "PolicyDocument": policy_of(grant.statements),
        })  # fmt: skip


def _resource(setup: Setup, part: str, kind: str, properties: dict[str, Any], **others: Any) -> dict[str, Any]:
    condition = {"Condition": _condition(setup.optional[part])} if part in setup.optional else {}
    return {"Type": f"AWS::{kind}", **condition, **others, "Properties": properties}


def _trust(setup: Setup) -> Any:
    """Return the role's trust as JSON, since CloudFormation resolves no reference in the name of a key."""
    filled: dict[str, Any] = {}
    subject, issuer = setup.subject, setup.issuer
    if issuer.startswith("${"):
        filled["Provider"] = Function("Select", f"[1, !Split ['//', !Ref {issuer[2:-1]}]]")
        issuer = "https://${Provider}"
    if "environment" in setup.optional:
        wide = subject.replace(f"{setup.environment}:", "")
        condition = _condition(setup.optional["environment"])
        filled["Subject"] = Function("If", f"[{condition}, !Sub '{subject}', !Sub '{wide}']")
        subject = "${Subject}"
    text = json.dumps(setup.trust(issuer, subject), indent=2) + "\n"
    return Function("Sub", [Literal(text), filled]) if filled else text


def _other_roles(setup: Setup) -> list[Any]:
    if not setup.anywhere:
        return []
    if "anywhere" not in setup.optional:
        return [Function("Ref", _ANYWHERE)]
    condition = _condition(setup.optional["anywhere"])
    return [Function("If", f"[{condition}, !Ref {_ANYWHERE}, !Ref AWS::NoValue]")]


def _secret(setup: Setup) -> Iterator[tuple[str, Any]]:
    kept = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
    account = {"AWS": setup.home.iam("root")}
    yield "SecretKey", _resource(setup, "secret", "KMS::Key", {
        "Description": f"Encrypts the secret {setup.secret} of Keyturn.",
        "EnableKeyRotation": True,
        # As AWS makes keys by default: who may use it is said by the policies of IAM.
        "KeyPolicy": policy_of([{"Effect": "Allow", "Principal": account, "Action": "kms:*", "Resource": "*"}]),
    }, **kept)  # fmt: skip
    yield "Secret", _resource(setup, "secret", "SecretsManager::Secret", {
        "Name": setup.secret,
        "Description": "Keyturn keeps an access key here, and how far its rotation has come.",
        "KmsKeyId": "${SecretKey.Arn}",
    }, **kept)  # fmt: skip


def _anywhere(setup: Setup, anywhere: Anywhere) -> Iterator[tuple[str, Any]]:
    name = f"{setup.role}-anywhere"
    yield "TrustAnchor", _resource(setup, "anywhere", "RolesAnywhere::TrustAnchor", {
        "Name": name,
        "Enabled": True,
        "Source": {
            "SourceType": "CERTIFICATE_BUNDLE",
            "SourceData": {"X509CertificateData": anywhere.authority},
        },
    })  # fmt: skip
    yield _ANYWHERE, _resource(setup, "anywhere", "IAM::Role", {
        "RoleName": name,
        "Description": "For the holders of one certificate, by IAM Roles Anywhere, as Keyturn uses it.",
        "AssumeRolePolicyDocument": trusts_certificate("${TrustAnchor.TrustAnchorArn}", anywhere.common_name),
    })  # fmt: skip
    yield "Profile", _resource(setup, "anywhere", "RolesAnywhere::Profile", {
        "Name": name,
        "Enabled": True,
        "RoleArns": ["${AnywhereRole.Arn}"],
    })  # fmt: skip


def _outputs(setup: Setup) -> Iterator[tuple[str, Any]]:
    yield "RoleArn", {"Description": "AWS_OIDC_ROLE_ARN.", "Value": "${Role.Arn}"}
    if setup.anywhere:
        for output, variable, value in (
            ("TrustAnchorArn", "TRUST_ANCHOR_ARN", "${TrustAnchor.TrustAnchorArn}"),
            ("ProfileArn", "PROFILE_ARN", "${Profile.ProfileArn}"),
            ("AnywhereRoleArn", "ROLE_ARN", "${AnywhereRole.Arn}"),
        ):
            condition = {"Condition": _condition(setup.optional["anywhere"])} if "anywhere" in setup.optional else {}
            yield output, {**condition, "Description": f"AWS_ROLESANYWHERE_{variable}.", "Value": value}
