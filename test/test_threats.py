"""Each control of the threat model stands, and the test that is named for it fails where it is taken out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from test.support import ROOT
from test.threats import ASSETS, CONTROLS, PAGE, REASONS, THREATS, Control, granted, page

# What pytest says where tests have failed; anything else is no test that has noticed.
FAILED = 1

_PYTEST = ("-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", "-x", "-q")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a copy of the project."""
    folder = tmp_path_factory.mktemp("without") / "project"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    yield folder
    shutil.rmtree(folder)


def test_the_page_is_as_it_is_made() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m test.threats"


def test_each_asset_and_each_threat_has_a_control() -> None:
    assert {asset for each in CONTROLS for asset in each.assets.split()} == set(ASSETS)
    assert {threat for each in CONTROLS for threat in each.threats.split()} == set(THREATS)
    assert len({each.name for each in CONTROLS}) == len(CONTROLS) >= 25


def test_each_permission_has_its_reason_and_no_other() -> None:
    assert {each.action for needed in granted().values() for each in needed} == set(REASONS)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda each: each.name[:60])
def test_a_control_stands_once_where_it_is_said_to(control: Control) -> None:
    assert (ROOT / control.file).read_text(encoding="utf-8").count(control.stands) == 1


@pytest.mark.parametrize("control", CONTROLS, ids=lambda each: each.name[:60])
@pytest.mark.sample(1)
def test_a_control_that_is_taken_out_is_missed(copy: Path, control: Control) -> None:
    path, text = copy / control.file, (ROOT / control.file).read_text(encoding="utf-8")
    path.write_text(text.replace(control.stands, control.without), encoding="utf-8")
    environ = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    environ.pop("PYTEST_CURRENT_TEST", None)
    try:
        ended = subprocess.run(
            [sys.executable, *_PYTEST, *control.test.split()],
            cwd=copy, env=environ, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
    finally:
        path.write_text(text, encoding="utf-8")
    assert ended.returncode == FAILED, ended.stdout[-2000:] + ended.stderr[-1000:]
