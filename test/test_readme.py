"""The README and docs/ say what is so: tables, examples, rights, links."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from typing import Any

import boto3
import pytest
import yaml

from pipe.jobs.registry import read_settings
from pipe.permissions import trusts_certificate
from pipe.plan import Do
from pipe.settings.variables import BY_NAME
from sandbox.world import REGION, SECRET, Company, World
from test.infra.account import TEMPLATE
from test.infra.stack import template
from test.readme import DOCS, Block, blocks, filled, made, read
from test.support import ROOT, consumers, run, statuses

EXAMPLES = list(blocks("yaml"))
CONTEXT = {
    "BITBUCKET_WORKSPACE": "acme",
    "BITBUCKET_REPO_SLUG": "shop",
    "BITBUCKET_DEPLOYMENT_ENVIRONMENT": "production",
    "BITBUCKET_STEP_OIDC_TOKEN": "header.payload.signature",
}
STEP = {
    "ACTION": "rotate",
    "DRY_RUN": "false",
    "REVOKE": "AKIAIOSFODNN7EXAMPLE",
    "AWS_OIDC_ROLE_ARN": "arn:aws:iam::123456789012:role/keyturn",
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "RUNNER_CERTIFICATE": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "RUNNER_PRIVATE_KEY": "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----",
}


def pipeline_of(example: Any) -> dict[str, Any]:
    """Return a whole configuration around an example, which may be a list of steps or of a script's lines."""
    if isinstance(example, dict):
        return example
    steps = example if "step" in example[0] else [{"step": {"script": example}}]
    return {"pipelines": {"default": steps}}


def pipes_in(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every use of a pipe."""
    if isinstance(tree, dict) and "pipe" in tree:
        yield tree
    elif isinstance(tree, dict | list):
        for branch in tree.values() if isinstance(tree, dict) else tree:
            yield from pipes_in(branch)


def declared_in(tree: Any) -> dict[str, str]:
    """Return the variables that whoever runs a pipeline may set, with their defaults."""
    found: dict[str, str] = {}
    if isinstance(tree, dict) and "name" in tree and "default" in tree:
        found[tree["name"]] = tree["default"]
    for branch in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        found |= declared_in(branch)
    return found


def environment_of(variables: dict[str, str | list[str]], step: Mapping[str, str] = STEP) -> dict[str, str]:
    """Return the environment that Bitbucket makes of a pipe's variables; what is taken from the step is filled in."""
    environ = dict(CONTEXT)
    for name, value in variables.items():
        if isinstance(value, list):
            environ |= {f"{name}_COUNT": str(len(value)), **{f"{name}_{n}": item for n, item in enumerate(value)}}
        else:
            environ[name] = Template(value).substitute(defaultdict(lambda: "made-for-the-step", step))
    return environ


def test_variables_policies_and_commands_are_made_from_the_pipe_s_own_lists() -> None:
    pages = read()
    assert filled(pages) == pages, "run `make docs`"


def test_every_example_is_a_valid_pipeline(tmp_path: Path) -> None:
    files = [ROOT / "bitbucket-pipelines.yml"]
    for block in EXAMPLES:
        file = tmp_path / f"{block.page.stem}-line-{block.line}.yml"
        file.write_text(yaml.safe_dump(pipeline_of(yaml.safe_load(block.text))))
        files.append(file)
    schema = ("--builtin-schema", "vendor.bitbucket-pipelines")
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *schema, *files], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: block.place)
def test_the_pipe_takes_the_variables_of_every_example(block: Block, tmp_path: Path) -> None:
    (tmp_path / "keyturn.yaml").write_text((ROOT / "docs/fleet-examples/10.yaml").read_text())
    (tmp_path / "keyturn.lock").write_text("keyturn.lock 1\n")
    tree = yaml.safe_load(block.text)
    step = {**declared_in(tree), **STEP}
    for pipe in pipes_in(tree):
        assert set(pipe["variables"]) <= set(BY_NAME)
        environ = {**environment_of(pipe["variables"], step), "BITBUCKET_CLONE_DIR": str(tmp_path)}
        assert read_settings(environ).action == environ["ACTION"]


def test_the_pipe_takes_the_variables_of_the_own_pipeline() -> None:
    tree = yaml.safe_load((ROOT / "bitbucket-pipelines.yml").read_text())
    pipes = pipes_in(tree["pipelines"]["custom"])
    assert [read_settings(environment_of(pipe["variables"])).action for pipe in pipes] == [
        "rotate",
        "rotate",
        "pull",
        "replicate",
    ]


def test_the_variables_on_command_lines_exist() -> None:
    named = {name for block in blocks("sh") for name in re.findall(r"--env (\w+)", block.text)}
    assert named
    assert named <= set(BY_NAME)


def test_the_trust_policy_names_audience_and_subject_of_one_provider() -> None:
    (statement,) = json.loads(made()["trust"])["Statement"]
    provider = statement["Principal"]["Federated"].partition("/")[2]
    conditions = {key: value for test in statement["Condition"].values() for key, value in test.items()}
    assert set(conditions) == {f"{provider}:aud", f"{provider}:sub"}


def test_the_trust_in_certificates_is_the_one_that_refusals_show() -> None:
    (policy,) = (json.loads(block.text) for block in blocks("json") if "rolesanywhere" in block.text)
    anchor = policy["Statement"][0]["Condition"]["ArnEquals"]["aws:SourceArn"]
    assert policy == trusts_certificate(anchor, "runner-1")
    assert f"AWS_ROLESANYWHERE_TRUST_ANCHOR_ARN: {anchor}\n" in (DOCS / "roles-anywhere.md").read_text(encoding="utf-8")


def test_the_policy_and_the_scopes_are_enough_and_no_more(world: World, company: Company) -> None:
    policy = made()["rotate"]
    signer = world.aws.add_user("rotator", key_age_days=1)
    world.aws.set_policy("rotator", policy)
    text = (DOCS / "bitbucket.md").read_text(encoding="utf-8")
    scopes = re.findall(r"^\| `BITBUCKET_ACCESS_TOKEN`: .*\| (.*) \|$", text, re.MULTILINE)[0]
    token = world.bitbucket.issue_token("repository", company.repository, scopes=re.findall(r"`([\w:]+)`", scopes))
    variables = {
        "AWS_ACCESS_KEY_ID": signer.access_key_id,
        "AWS_SECRET_ACCESS_KEY": signer.secret_access_key,
        "BITBUCKET_ACCESS_TOKEN": token.secret,
    }
    used: set[str] = set()
    for days, targets in ((0, "staging"), (10, "staging"), (10, "staging, deployment:test")):
        world.clock.move(days=days)
        result = run(world, company, **variables, TARGETS=f"deployment:{targets}")
        assert result.code == 0, result.output
        used |= {operation.replace(".", ":", 1) for operation in result.of_aws}
    assert len(statuses(world)) == 1
    allowed = {action for statement in json.loads(policy)["Statement"] for action in statement["Action"]}
    assert allowed == used - {"sts:GetCallerIdentity"}


def test_a_secret_that_was_made_empty_beforehand_is_used(world: World, company: Company) -> None:
    client = boto3.client(
        "secretsmanager",
        region_name=REGION,
        endpoint_url=world.aws_url,
        aws_access_key_id=company.admin.access_key_id,
        aws_secret_access_key=company.admin.secret_access_key,
    )
    client.create_secret(Name=SECRET)
    assert run(world, company).code == 0
    (pair,) = consumers(world, company)
    assert pair != company.old_key
    assert world.aws.signs(pair)


def test_the_schema_of_the_report_knows_every_step() -> None:
    schema = json.loads((ROOT / "docs/run.schema.json").read_text(encoding="utf-8"))
    assert sorted(schema["$defs"]["do"]["enum"]) == sorted(Do)


def test_the_command_of_the_push_gives_parameters_that_the_template_has() -> None:
    (command,) = (block.text for block in blocks("sh") if "infra/push.yaml" in block.text)
    (file,) = re.findall(r"--template-file (\S+)", command)
    template = (ROOT / file).read_text(encoding="utf-8")
    parameters = set(
        re.findall(r"^  (\w+):$", template.partition("\nParameters:")[2].partition("\nRules:")[0], re.MULTILINE)
    )
    given = dict(re.findall(r"(\w+)=(\S+)", command.partition("--parameter-overrides")[2]))
    assert parameters - given.keys() == {"SecretArns", "RequestsPerSecond"}
    assert given.keys() <= parameters
    pipelines = [yaml.safe_load(block.text) for block in EXAMPLES]
    assert given["Pipeline"] in {
        name for tree in pipelines if isinstance(tree, dict) for name in tree.get("pipelines", {}).get("custom", {})
    }


def test_the_commands_of_the_set_up_give_what_the_templates_take() -> None:
    commands = [block.text for block in blocks("sh")]
    (formation,) = (command for command in commands if "infra/aws.yaml" in command)
    given = re.findall(r"(\w+)=\S+", formation.partition("--parameter-overrides")[2])
    parameters = template(TEMPLATE)["Parameters"]
    assert {name for name, told in parameters.items() if "Default" not in told} <= set(given) <= parameters.keys()
    (terraform,) = (command for command in commands if command.startswith("terraform -chdir=infra apply "))
    variables = dict(
        re.findall(
            r'^variable "(\w+)" \{\n(.*?)^\}',
            (ROOT / "infra" / "aws.tf").read_text(encoding="utf-8"),
            re.MULTILINE | re.DOTALL,
        )
    )
    required = {name for name, told in variables.items() if "  default " not in told}
    assert required <= set(re.findall(r"-var (\w+)=", terraform)) <= variables.keys()
