"""The templates of the set-up: what they hold, and a stack that is made of one and used by runs."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from pipe import permissions
from pipe.permissions import Home, Policy, document
from pipe.selectors import Selector
from sandbox.aws.keys import iam
from sandbox.world import REGION, SECRET, USER, Company, World
from test.infra.account import TEMPLATE, deploy
from test.infra.stack import template
from test.support import consumers, run, stages

HOME = Home("aws", "123456789012", REGION)
ROTATE = {"UserName": USER, "SecretName": SECRET}
TOPIC = f"arn:aws:sns:{REGION}:123456789012:keyturn"
KEY = f"arn:aws:kms:{REGION}:123456789012:key/00000000-0000-0000-0000-000000000008"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n"
FOLDER = [Selector("ci", "*", recursive=True)]


def kept(role_arn: str) -> dict[str, Policy]:
    """Return the policies of a role that a stack has made."""
    role = iam().get_role(role_arn.rpartition("/")[2])
    return {name: json.loads(text) for name, text in role.policies.items()}


def rights(statements: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """Return the actions that statements allow, with resource and condition."""
    return {
        (action, resource, json.dumps(each.get("Condition", {})))
        for each in statements
        for action in listed(each["Action"])
        for resource in listed(each["Resource"])
    }


def listed(words: str | list[str]) -> list[str]:
    return [words] if isinstance(words, str) else words


def allowed(role_arn: str) -> set[tuple[str, str, str]]:
    """Return all that a role's policies allow."""
    return rights([each for policy in kept(role_arn).values() for each in policy["Statement"]])


def test_everything_is_described_and_in_a_group() -> None:
    read = template(TEMPLATE)
    assert all(each["Description"] for each in (*read["Parameters"].values(), *read["Outputs"].values()))
    groups = read["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert [name for group in groups for name in group["Parameters"]] == list(read["Parameters"])


def test_a_rotation_by_what_the_stack_has_made(world: World, company: Company) -> None:
    made = deploy(world, company, **ROTATE)
    secret = world.aws.secret(SECRET)
    assert secret is not None
    assert secret.versions == {}
    assert secret.kms_key.startswith("arn:aws:kms:")
    ended = run(world, company, **sign_in(company, made))
    assert ended.code == 0, ended.output
    (pair,) = consumers(world, company)
    assert pair != company.old_key
    assert world.aws.signs(pair)
    assert "AWSCURRENT" in stages(world)
    assert "CreateSecret" not in " ".join(ended.of_aws)


def test_a_rotation_without_the_secret_made_beforehand(world: World, company: Company) -> None:
    made = deploy(world, company, **ROTATE, MakeSecret="false")
    assert world.aws.secret(SECRET) is None
    assert run(world, company, **sign_in(company, made)).code == 0
    secret = world.aws.secret(SECRET)
    assert secret is not None
    assert secret.kms_key == ""


def sign_in(company: Company, made: dict[str, str], token: str = "") -> dict[str, str | None]:
    return {
        "AWS_OIDC_ROLE_ARN": made["RoleArn"],
        "BITBUCKET_STEP_OIDC_TOKEN": token or company.oidc_token,
        "AWS_ACCESS_KEY_ID": None,
        "AWS_SECRET_ACCESS_KEY": None,
    }


def test_a_role_is_allowed_what_each_action_needs_and_nothing_else(world: World, company: Company) -> None:
    for parameters, statements in (
        ({}, []),
        ({"UserName": USER}, permissions.rotate(HOME, USER, "")),
        ({**ROTATE, "MakeSecret": "false"}, permissions.rotate(HOME, USER, SECRET)),
        ({"PullFolder": "ci"}, permissions.pull(HOME, FOLDER)),
        ({"ReplicaPrefix": "vault/"}, permissions.replicate(HOME, "vault/", prune=False)),
        ({"ReplicaPrefix": "vault/", "Prune": "true"}, permissions.replicate(HOME, "vault/", prune=True)),
        ({"Prune": "true", "MakeSecret": "true"}, []),
        ({"TopicArn": TOPIC}, permissions.notice(TOPIC)),
        ({"KeyArn": KEY}, permissions.kms(HOME, KEY)),
    ):
        assert allowed(deploy(world, company, **parameters)["RoleArn"]) == rights(statements), parameters


def test_the_secret_s_key_is_its_own_and_turns(world: World, company: Company) -> None:
    allowed_keys = kept(deploy(world, company, **ROTATE)["RoleArn"])["secret-key"]
    secret = world.aws.secret(SECRET)
    assert secret is not None
    assert allowed_keys == document(permissions.kms(HOME, secret.kms_key))
    key = template(TEMPLATE)["Resources"]["SecretKey"]
    assert key["Properties"]["EnableKeyRotation"] is True
    assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == ("Retain", "Retain")


@pytest.mark.parametrize("environment", ["", "Production"])
def test_the_role_trusts_one_repository_s_steps_and_if_told_one_environment_s(
    world: World, company: Company, environment: str
) -> None:
    uuid = company.environments[environment].uuid if environment else ""
    role = deploy(world, company, EnvironmentUuid=uuid)["RoleArn"].rpartition("/")[2]
    repository, issuer = company.repository.uuid, company.issuer
    subject = f"{repository}:{uuid}:*" if uuid else f"{repository}:*"
    trust = json.loads(iam().get_role(role).assume_role_policy_document)
    assert trust == permissions.trusts_step(HOME, issuer.url, issuer.audience, subject)
    (provider,) = iam().open_id_providers.values()
    assert trust["Statement"][0]["Principal"] == {"Federated": provider.arn}
    assert provider.client_id_list == [issuer.audience]


def test_only_steps_that_deploy_to_the_environment_are_let_in(world: World, company: Company) -> None:
    production = company.environments["Production"]
    made = deploy(world, company, **ROTATE, EnvironmentUuid=production.uuid)
    refused = run(world, company, **sign_in(company, made))
    assert refused.code == 1
    assert "The role does not trust this step" in refused.output
    assert run(world, company, **sign_in(company, made, company.token_for(production))).code == 0


def test_a_provider_that_is_there_is_left_alone(world: World, company: Company) -> None:
    deploy(world, company, MakeProvider="false")
    assert iam().open_id_providers == {}


def test_a_second_role_is_for_the_holder_of_a_certificate(world: World, company: Company) -> None:
    made = deploy(world, company, **ROTATE, CaCertificate=CERTIFICATE, CommonName="runner.example.com")
    role = iam().get_role(made["AnywhereRoleArn"].rpartition("/")[2])
    wanted = permissions.trusts_certificate(made["TrustAnchorArn"], "runner.example.com")
    assert json.loads(role.assume_role_policy_document) == wanted
    assert kept(made["AnywhereRoleArn"]) == kept(made["RoleArn"])
    assert {"TrustAnchorArn", "ProfileArn"} <= made.keys()


@pytest.mark.parametrize("half", [{"CaCertificate": CERTIFICATE}, {"CommonName": "runner"}])
def test_no_certificate_is_let_in_without_an_authority_and_a_name(
    world: World, company: Company, half: dict[str, str]
) -> None:
    assert deploy(world, company, **ROTATE, **half).keys() == {"RoleArn"}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("Issuer", ["https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"],
         ["http://api.bitbucket.org/x", "https://api.bitbucket.org/", "api.bitbucket.org", ""]),
        ("Audience", ["ari:cloud:bitbucket::workspace/00000000-0000-0000-0000-000000000001"], ["", 'a"b', "*"]),
        ("RepositoryUuid", ["{00000000-0000-0000-0000-000000000002}"],
         ["", "00000000-0000-0000-0000-000000000002", "{*}", "*"]),
        ("EnvironmentUuid", ["", "{00000000-0000-0000-0000-000000000003}"], ["*", "{}"]),
        ("UserName", ["", "deploy-bot"], ["ci/deploy-bot", "*"]),
        ("SecretName", ["", "ci/deploy-bot"], ["ci/*", f"arn:aws:secretsmanager:{REGION}:1:secret:x"]),
        ("PullFolder", ["", "ci", "ci/shop"], ["ci/*", "*"]),
        ("ReplicaPrefix", ["", "vault/"], ["*"]),
        ("TopicArn", ["", TOPIC], ["*", "keyturn"]),
        ("KeyArn", ["", KEY], ["*", "alias/x"]),
        ("CaCertificate", ["", CERTIFICATE], ["file://ca.pem"]),
        ("CommonName", ["", "runner.example.com", "The runner"], ["*", "a*"]),
    ],
)  # fmt: skip
def test_what_the_parameters_take(name: str, good: list[str], bad: list[str]) -> None:
    pattern = re.compile(template(TEMPLATE)["Parameters"][name]["AllowedPattern"], re.ASCII)
    assert [value for value in good if not pattern.fullmatch(value)] == []
    assert [value for value in bad if pattern.fullmatch(value)] == []
