"""What is said in several files is said the same way."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import yaml

from pipe import __version__
from pipe.settings.variables import VARIABLES
from test.readme import DOCS, PAGES, metadata
from test.support import ROOT

METADATA: dict[str, Any] = yaml.safe_load((ROOT / "pipe.yml").read_text())


def locked(name: str) -> dict[str, str]:
    """Return the versions of a lock file."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return dict(re.findall(r"^([\w.-]+)==([^ ;\\]+)", text, re.MULTILINE))


def test_pipe_yml_is_made_from_the_table() -> None:
    text = (ROOT / "pipe.yml").read_text(encoding="utf-8")
    assert metadata(text) == text, "run `make docs`"
    assert [entry["name"] for entry in METADATA["variables"]] == [variable.name for variable in VARIABLES]


def test_what_pipe_yml_takes_from_the_step_has_no_other_default_and_is_named_in_the_docs() -> None:
    from_step = [entry for entry in METADATA["variables"] if "default" in entry]
    assert from_step
    assert all(entry["default"] == f"${entry['name']}" for entry in from_step)
    assert not {variable.name for variable in VARIABLES if variable.default} & {entry["name"] for entry in from_step}
    text = (DOCS / "variables.md").read_text(encoding="utf-8")
    paragraph = text.partition("Its defaults take")[2].partition("from the step's own")[0]
    assert re.findall(r"`(\w+)`", paragraph) == [variable["name"] for variable in from_step]


def test_one_version_everywhere() -> None:
    files = (*PAGES, ROOT / "pipe.yml", ROOT / "bitbucket-pipelines.yml")
    named = {version for file in files for version in re.findall(r"/keyturn:(\d[\w.-]*)", file.read_text())}
    assert named == {__version__}


def test_the_parts_of_make_faults_are_all_tests_but_those_of_the_image() -> None:
    def collected(*given: str) -> list[str]:
        ignored = tuple(each.removeprefix("--ignore=") for each in given if each.startswith("--"))
        return [test for test in wanted if test.startswith(given) and not (ignored and test.startswith(ignored))]

    # Whole files, but for the one of which each function is named.
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "test").rglob("test_*.py")}
    matrix = "test/faults/test_matrix.py"
    functions = re.findall(r"^def (test_\w+)", (ROOT / matrix).read_text(), re.MULTILINE)
    wanted = sorted({*files, *(f"{matrix}::{name}" for name in functions)} - {matrix})
    show = ["make", "-f", "Makefile", "-f", "/dev/stdin", "-s", "parts"]
    rule = "parts: ; @$(foreach part,$(PARTS),echo $(PART_$(part));)\n"
    parts = subprocess.run(show, input=rule, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert parts
    found = [test for part in parts for test in collected(*part.split())]
    assert sorted(found) == [test for test in wanted if not test.startswith("test/image/")]


def test_the_locks_agree() -> None:
    runtime, development = locked("runtime"), locked("dev")
    assert runtime
    assert runtime.items() <= development.items()
