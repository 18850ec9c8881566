# ruff: noqa: E501 - files as they are
"""The examples of the docs: sound by the schema and by Keyturn itself, and the smallest is planned, run and idle."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from pipe.jobs.registry import read_settings
from sandbox.vault import ROLE
from sandbox.world import World
from test import fleet_schema
from test.faults.runner import Runner
from test.fleet.company import Fleet, of_bitbucket
from test.readme import blocks
from test.support import ROOT

EXAMPLES = {path.name: path.read_text() for path in sorted((ROOT / "docs/fleet-examples").glob("*.yaml"))}
EXAMPLES["many-repositories.md"] = next(blocks("yaml", ROOT / "docs/many-repositories.md")).text


def test_the_schema_is_made_from_the_table() -> None:
    assert fleet_schema.SCHEMA.read_text(encoding="utf-8") == fleet_schema.text(), "run `make docs`"
    jsonschema.Draft202012Validator.check_schema(fleet_schema.schema())


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_sound(tmp_path: Path, name: str) -> None:
    jsonschema.validate(yaml.load(EXAMPLES[name], Loader=yaml.BaseLoader), fleet_schema.schema())
    assert len(EXAMPLES[name].splitlines()) <= 60
    (tmp_path / "keyturn.yaml").write_text(EXAMPLES[name])
    (tmp_path / "keyturn.lock").write_text("keyturn.lock 1\n")
    step = {"ACTION": "fleet", "DRY_RUN": "offline", "BITBUCKET_WORKSPACE": "acme"}
    settings = read_settings({**step, "BITBUCKET_CLONE_DIR": str(tmp_path)})
    assert settings.job.fleet.groups


@pytest.mark.parametrize(
    "text",
    ["jobs: {a: {ACTION: rotate}}", "version: 2\njobs: {}", "version: 1\njobs: {a: {ACTION: rotate, VAULT_TOKEN: s}}",
     "version: 1\njobs: {a: {ACTION: rotate, TARGET: x}}", "version: 1\ndefaults: {DRY_RUN: true}\njobs: {a: {ACTION: pull}}"],
)  # fmt: skip
def test_an_editor_is_told_what_is_wrong(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), fleet_schema.schema())


def test_the_smallest_example_is_planned_run_and_idle(vaulted: World, runner: Runner, tmp_path: Path) -> None:
    company = vaulted.seed()
    vaulted.aws.refusals = 0
    assert vaulted.vault is not None
    bitbucket = vaulted.bitbucket
    consumer = bitbucket.issue_token("oauth", bitbucket.add_workspace("acme"))
    fleet = Fleet(vaulted, company, runner, tmp_path, consumer, secrets={consumer.secret, "database-password"})
    slugs = ["website", "docs", *(f"svc-{number}" for number in range(8))]
    for slug in slugs:
        fleet.repository(slug, "Test", "Staging", "Production")
    pair = vaulted.aws.add_user("deploy-bot-2", key_age_days=95)
    for slug in (*slugs, "shop"):
        vaulted.hand_over(bitbucket.add_environment("acme", slug, "Production"), pair)
    vaulted.vault.put("secret/ci/bitbucket", {"secret": consumer.secret})
    vaulted.vault.put("secret/ci/database", {"password": "database-password"})
    text = (
        EXAMPLES["10.yaml"]
        .replace("https://vault.example.com:8200", vaulted.vault.url)
        .replace("Ab12Cd34", consumer.user)
    )
    text = text.replace("arn:aws:iam::123456789012:role/keyturn", company.role_arn).replace(
        ": deploy-bot\n", ": deploy-bot-2\n"
    )
    fleet.write(text.replace("VAULT_ROLE: keyturn", f"VAULT_ROLE: {ROLE}"), head="")
    none = dict.fromkeys(("BITBUCKET_ACCESS_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    fleet.given = {**none, "BITBUCKET_STEP_OIDC_TOKEN": company.oidc_token}
    fleet.locked()
    first = fleet.run()
    assert first.code == 0, first.output
    assert len({fleet.held(slug) for slug in slugs}) == 1
    assert vaulted.aws.signs(fleet.held("docs"))
    staging = [bitbucket.value_of(fleet.environment(slug, "Staging"), "DB_PASSWORD") for slug in slugs]
    assert staging == [None, *["database-password"] * 9]
    idle = fleet.run()
    assert (idle.code, [each for each in idle.writes if "oauth2" not in each]) == (0, []), idle.output
    # The list, and one request for each of the places that either job has.
    assert len([seen for seen in of_bitbucket(idle) if "/2.0/" in seen.operation]) == 1 + 11 + 10
    assert json.loads((tmp_path / "reports/keyturn-fleet.json").read_text())["schema"] == "keyturn/fleet/1"
