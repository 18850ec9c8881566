# ruff: noqa: E501 - files as they are
"""The examples of the docs: sound by the schema and by Keyturn itself, and the smallest is planned, run and idle."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from pipe.jobs.registry import read_settings
from sandbox.world import World
from test import fleet_schema
from test.faults.runner import Runner
from test.fleet.examples import EXAMPLES, Example, example


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
@pytest.mark.sample(3)
def test_an_editor_is_told_what_is_wrong(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), fleet_schema.schema())


def test_the_smallest_example_is_planned_run_and_idle(vaulted: World, runner: Runner, tmp_path: Path) -> None:
    told(example("10.yaml", vaulted, runner, tmp_path))


@pytest.mark.sample(0)
@pytest.mark.parametrize("name", ["200.yaml", "1000.yaml"])
def test_so_are_the_large_ones(vaulted: World, runner: Runner, tmp_path: Path, name: str) -> None:
    told(example(name, vaulted, runner, tmp_path))


def told(made: Example) -> None:
    """See that no run asks more than the arithmetic says, and an idle one exactly that, and writes nothing."""
    for chapter in made.story():
        assert all(chapter.asked[name] <= allowed for name, allowed in chapter.allowed.items()), chapter
        if chapter.what == "idle":
            assert chapter.asked == chapter.allowed
            assert [each for each in chapter.result.writes if "oauth2" not in each] == []
