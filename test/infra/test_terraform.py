"""The Terraform of the set-up: every reference leads somewhere, and its policies are those of the one source."""

from __future__ import annotations

import re
from typing import Any

import hcl2

from pipe import permissions
from pipe.permissions import Home, Policy, document, trusts_certificate, trusts_step
from pipe.selectors import Selector
from test.support import ROOT

TEXT = (ROOT / "infra" / "aws.tf").read_text(encoding="utf-8")
HOME = Home("aws-us-gov", "210987654321", "us-gov-west-1")
GIVEN = {
    "local.partition": HOME.partition,
    "local.account": HOME.account,
    "local.region": HOME.region,
    "local.provider": "api.bitbucket.org/oidc",
    "local.subject": "{repository}:*",
    "var.audience": "ari:x",
    "var.user_name": "bot",
    "var.secret_name": "ci/bot",
    "var.pull_folder": "ci",
    "var.replica_prefix": "vault/",
    "var.topic_arn": "arn:topic",
    "var.key_arn": "arn:key",
    "var.common_name": "runner",
    "aws_kms_key.secret[0].arn": "arn:own-key",
    "aws_rolesanywhere_trust_anchor.keyturn[0].arn": "arn:anchor",
}
OWN = permissions.rotate(HOME, "bot", "ci/bot")
PRUNING = permissions.replicate(HOME, "vault/", prune=True)
KEPT = permissions.replicate(HOME, "vault/", prune=False)
WANTED = {
    "rotate": OWN[:1],
    "rotate-secret": OWN[1:],
    "secret-key": permissions.kms(HOME, "arn:own-key"),
    "pull": permissions.pull(HOME, [Selector("ci", "*", recursive=True)]),
    "replicate": KEPT,
    "prune": [{**PRUNING[1], "Action": "secretsmanager:DeleteSecret"}],
    "notice": permissions.notice("arn:topic"),
    "key": permissions.kms(HOME, "arn:key"),
}


def bare(tree: Any) -> Any:
    """Return what was parsed without the quotes that strings and labels are kept in."""
    if isinstance(tree, dict):
        return {bare(name): bare(value) for name, value in tree.items() if not str(name).startswith("__")}
    if isinstance(tree, list):
        return [bare(each) for each in tree]
    if isinstance(tree, str) and len(tree) > 1 and tree[0] == tree[-1] == '"':
        return tree[1:-1]
    return tree


def parsed(text: str) -> dict[str, Any]:
    tree: dict[str, Any] = bare(hcl2.loads(text))
    return tree


def evaluated(expression: str) -> Policy:
    """Return what an object with references is for the values that are given here."""
    for name, value in GIVEN.items():
        expression = expression.replace(f"${{{name}}}", value)
        expression = re.sub(rf"= {re.escape(name)}$", f'= "{value}"', expression, flags=re.MULTILINE)
    policy: Policy = parsed(f"policy = {expression}")["policy"]
    return policy


def encoded(name: str) -> dict[str, Policy]:
    """Return the objects that an argument of that name gives as JSON, by the resource's type and name."""
    found = {}
    for block in re.split(r"\n\n(?=\w+ \")", TEXT):
        head = re.match(r'resource "(\w+)" "(\w+)"', block)
        given = re.search(rf"^  {name} = jsonencode\((.*?)^  }}\)", block, re.MULTILINE | re.DOTALL)
        if head and given:
            found[f"{head[1]}.{head[2]}"] = evaluated(given[1] + "}")
    return found


def test_every_reference_leads_somewhere_and_every_variable_is_used() -> None:
    tree = parsed(TEXT)
    variables = {f"var.{name}" for block in tree["variable"] for name in block}
    known = variables | {f"local.{name}" for block in tree["locals"] for name in block}
    for kind, prefix in (("resource", ""), ("data", "data.")):
        known |= {
            f"{prefix}{kind_of}.{name}" for block in tree.get(kind, []) for kind_of, named in block.items()
            for name in named
        }  # fmt: skip
    body = re.sub(r"^variable .*?^}\n", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    used = set(re.findall(r"\b(?:var|local|data\.\w+|aws_\w+)\.\w+", body))
    assert used - known == set()
    assert {each for each in known - used if each.startswith(("var.", "local.", "data."))} == set()


def test_the_policies_are_those_of_the_one_source() -> None:
    made = encoded("policy")
    key = made.pop("aws_kms_key.secret")
    assert {name.partition(".")[2].replace("_", "-"): each for name, each in made.items()} == {
        name: document(statements) for name, statements in WANTED.items()
    }
    assert key["Statement"][0]["Principal"] == {"AWS": HOME.iam("root")}


def test_the_roles_trust_whom_the_one_source_says() -> None:
    assert encoded("assume_role_policy") == {
        "aws_iam_role.keyturn": trusts_step(HOME, "https://api.bitbucket.org/oidc", "ari:x", "{repository}:*"),
        "aws_iam_role.anywhere": trusts_certificate("arn:anchor", "runner"),
    }
