"""What docs/ says of pull is tried: the commands that set Vault up, the rights, the selectors, the requests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import jsonschema
import pytest
import yaml

from sandbox.bitbucket import Environment
from sandbox.vault import SCAN as SCANNING
from sandbox.vault import USUAL as LISTING
from sandbox.vault import Vault
from sandbox.world import Company, World
from test.readme import DOCS, README, blocks, rows
from test.support import ROOT, run_bare
from test.test_readme import environment_of, pipes_in

USUAL, ROLE = (
    block.text for block in blocks("sh", DOCS / "vault.md") if "bao policy" in block.text or "bao auth" in block.text
)
# With what the policy has as a comment.
SCAN = USUAL.replace("# path", "path")
EXAMPLE = next(
    pipe["variables"]
    for block in blocks("yaml", README)
    for pipe in pipes_in(yaml.safe_load(block.text))
    if pipe["variables"]["ACTION"] == "pull"
)
# What the example's selectors bring: the variables, by the secrets' paths and keys.
BROUGHT = {
    ("secret/ci/database", "password"): "DB_PASSWORD",
    ("secret/ci/payments", "api-key"): "API_KEY",
    ("secret/ci/payments", "webhook-secret"): "WEBHOOK_SECRET",
    ("secret/ci/mobile/android", "keystore-password"): "MOBILE_ANDROID_KEYSTORE_PASSWORD",
    ("secret/ci/mobile/android", "key-password"): "MOBILE_ANDROID_KEY_PASSWORD",
    ("secret/ci/mobile/apple", "key-id"): "MOBILE_APPLE_KEY_ID",
    ("secret/ci/mobile/apple", "issuer-id"): "MOBILE_APPLE_ISSUER_ID",
}
# What a run says without one of the capabilities; nothing where there is another way.
DENIED = {
    (SCAN, "secret/detailed-metadata/ci/*", "scan"): "",
    (USUAL, "secret/data/ci/*", "read"): "Vault denies `read` on `secret/data/ci/",
    (USUAL, "secret/metadata/ci/*", "list"): "Vault denies `list` on `secret/metadata/ci/mobile/`",
    (USUAL, "secret/metadata/ci/*", "read"): "",
}


@pytest.fixture
def vault(vaulted: World) -> Vault:
    assert vaulted.vault is not None
    return vaulted.vault


@pytest.fixture
def company(vaulted: World, vault: Vault) -> Company:
    """Return a company with secrets in a Vault that lets nobody in."""
    seeded = vaulted.seed()
    vault.close_all()
    return seeded


def command(vault: Vault, company: Company, text: str, home: Path) -> None:
    """Run a command of docs/ as it is printed, but for the company's own uuids and addresses."""
    issuer = "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"
    audience = "ari:cloud:bitbucket::workspace/00000000-0000-0000-0000-000000000001"
    repository = "{00000000-0000-0000-0000-000000000002}"
    for printed, own in (
        (issuer, company.issuer.url), (audience, company.issuer.audience), (repository, company.repository.uuid),
    ):  # fmt: skip
        text = text.replace(printed, own)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environ = {"PATH": path, "HOME": str(home), "BAO_ADDR": vault.server_url, "BAO_TOKEN": vault.root_token}
    ended = subprocess.run(
        ["/bin/sh", "-eu"], input=text, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout
    assert "WARNING" not in ended.stdout


def pull(world: World, company: Company, **changes: str) -> tuple[int, str]:
    """Run the example's pipe as a step of the company's; return the exit code and what was printed."""
    own = world.pull_variables(company)
    places = {name: value for name, value in own.items() if name.startswith("BITBUCKET_") or name == "VAULT_ADDR"}
    ended = run_bare({**environment_of(EXAMPLE), **places, **changes})
    return ended.returncode, ended.stdout


def held(world: World, environment: Environment) -> dict[str, str]:
    return {key: seen.value for key, seen in world.bitbucket.variables(environment).items() if seen.secured}


@pytest.mark.parametrize("policy", [SCAN, USUAL], ids=["scan", "usual"])
def test_the_commands_set_up_a_vault_from_which_the_example_pulls(
    vaulted: World, vault: Vault, company: Company, policy: str, tmp_path: Path
) -> None:
    for text in (policy, ROLE):
        command(vault, company, text, tmp_path)
    entities = len(vault.names("identity/entity/id"))
    code, output = pull(vaulted, company, REPORT_DIR=str(tmp_path))
    assert code == 0, output
    assert "WARNING" not in output
    rules = json.loads((ROOT / "docs/run.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads((tmp_path / "keyturn-pull.json").read_text(encoding="utf-8")), rules)
    wanted = {name: company.secrets[path][key] for (path, key), name in BROUGHT.items()}
    for name in ("Staging", "Production"):
        assert wanted.items() <= held(vaulted, company.environments[name]).items()
    code, output = pull(vaulted, company)
    assert code == 0, output
    assert output.splitlines()[-1] == "✔ Nothing to do: 4 secrets looked at, and all is unchanged."
    assert vault.tokens() == set()
    # Each run was another step's, and all of them are one entity.
    assert len(vault.names("identity/entity/id")) == entities + 1


def rights(policy: str) -> list[tuple[str, str]]:
    """Return the paths and capabilities that a policy grants."""
    lines = re.findall(r'^path "(.*)" { capabilities = \[(.*)\] }$', policy, re.MULTILINE)
    return [(path, capability) for path, listed in lines for capability in re.findall(r'"(\w+)"', listed)]


def test_every_capability_is_tried() -> None:
    assert SCAN != USUAL
    tried = {(path, capability) for _, path, capability in DENIED}
    assert tried == set(rights(SCAN))
    assert tried - set(rights(USUAL)) == {("secret/detailed-metadata/ci/*", "scan")}


@pytest.mark.parametrize(("policy", "path", "capability"), DENIED, ids=lambda value: value.split()[-1])
@pytest.mark.sample(2)
def test_without_any_one_capability_it_is_named_or_not_needed(
    vaulted: World, vault: Vault, company: Company, policy: str, path: str, capability: str, tmp_path: Path
) -> None:
    (line,) = (line for line in policy.splitlines() if line.startswith(f'path "{path}"'))
    less = re.sub(rf'"{capability}"(, )?', "", line).replace(", ]", "]")
    for text in (policy.replace(line, less), ROLE):
        command(vault, company, text, tmp_path)
    said = DENIED[policy, path, capability]
    code, output = pull(vaulted, company)
    if said:
        assert code in (1, 2)
        assert said in output
        assert "The token's policy needs the capability" in output
        return
    assert code == 0, output
    vault.forget_audit()
    code, output = pull(vaulted, company)
    assert code == 0, output
    assert output.splitlines()[-1].startswith("✔ Nothing to do")
    by_reading = any(path.startswith("secret/data/") for _, path in vault.audited())
    assert by_reading == (capability != "scan")


def test_the_role_lets_in_the_steps_of_one_repository_and_if_told_of_one_environment(
    vaulted: World, vault: Vault, company: Company, tmp_path: Path
) -> None:
    for text in (SCAN, ROLE):
        command(vault, company, text, tmp_path)
    other = vaulted.bitbucket.add_repository("acme", "another")
    code, output = pull(vaulted, company, BITBUCKET_STEP_OIDC_TOKEN=company.issuer.token(other))
    assert code == 1
    assert "The role's bound_claims must fit repositoryUuid" in output
    production = company.environments["Production"]
    bound = ROLE.replace('"}', f'", "deploymentEnvironmentUuid": "{production.uuid}"}}', 1)
    assert bound != ROLE
    command(vault, company, bound, tmp_path)
    assert pull(vaulted, company)[0] == 1
    deploying = company.issuer.token(company.repository, production)
    assert pull(vaulted, company, BITBUCKET_STEP_OIDC_TOKEN=deploying)[0] == 0


def test_a_role_without_the_default_policy_needs_to_be_allowed_to_revoke_its_token(
    vaulted: World, vault: Vault, company: Company, tmp_path: Path
) -> None:
    bare = ROLE.replace("{\n", '{\n  "token_no_default_policy": true,\n', 1)
    for text in (SCAN, bare):
        command(vault, company, text, tmp_path)
    code, output = pull(vaulted, company)
    assert code == 0
    assert "Vault denies `update` on `auth/token/revoke-self`" in output
    allowed = SCAN.replace("\nEND", '\npath "auth/token/revoke-self" { capabilities = ["update"] }\nEND')
    command(vault, company, allowed, tmp_path)
    assert "revoke-self" not in pull(vaulted, company)[1]


@pytest.mark.parametrize("row", rows("pull.md", "selectors"), ids=lambda row: str(row[0]))
def test_every_selector_brings_the_variables_that_it_is_said_to(vaulted: World, row: list[str]) -> None:
    company = vaulted.seed()
    assert vaulted.vault is not None
    vaulted.vault.put("secret/ci/proxy", {"tls": {"key": "the key of a proxy"}})
    before = set(held(vaulted, company.environments["Test"]))
    selector = row[0].strip("`").replace("\\|", "|")
    code, output = pull(
        vaulted, company, SECRETS_COUNT="1", SECRETS_0=selector, TARGETS="deployment:test", TARGETS_COUNT=""
    )
    assert code == 0, output
    assert set(held(vaulted, company.environments["Test"])) - before == set(re.findall(r"`(\w+)`", row[1]))


@pytest.mark.parametrize(("policy", "column"), [(SCANNING, 1), (LISTING, 2)], ids=["scan", "usual"])
def test_the_requests_are_as_many_as_they_are_said_to_be(vaulted: World, policy: str, column: int) -> None:
    company = vaulted.seed()
    vault = vaulted.vault
    assert vault is not None
    vault.role([policy])
    figures = {"N": 12, "F": 2, "k": 1, "T": 2, "R": 1, "P": 2}
    for row, written in zip(rows("pull.md", "costs"), (36, 0, 2), strict=True):
        if row[0].startswith("k "):
            vault.put("secret/ci/packages", {"token": "another token"})
        for wire in (vault.wire, vaulted.bitbucket.wire):
            wire.forget()
        ended = run_bare(vaulted.pull_variables(company))
        assert ended.returncode == 0, ended.stdout
        for at, wire in ((column, vault.wire), (3, vaulted.bitbucket.wire)):
            verbs = Counter(seen.operation.split()[0] for seen in wire.journal)
            assert verbs.total() == value_of(row[at], {**figures, "w": written}), (row, verbs)


def value_of(formula: str, figures: dict[str, int]) -> int:
    """Return what a formula of docs/ comes to."""
    terms = formula.strip("`").split(" + ")
    total = 0
    for term in terms:
        product = 1
        for factor in term.split(" * "):
            product *= figures[factor] if factor in figures else int(factor)
        total += product
    return total
