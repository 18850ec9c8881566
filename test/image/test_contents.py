"""The image holds the pipe, its locked requirements and pipe.yml, and nothing of the clone can get into it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipe import __version__
from test.image.container import IMAGE, LOCKED, docker, look, run
from test.support import ROOT

PACKAGES = "import importlib.metadata as m; print(*sorted(d.metadata['Name'].lower() for d in m.distributions()))"
OURS = """
import os, pipe
root = os.path.dirname(pipe.__file__)
for folder, _, files in os.walk(root):
    for file in files:
        print(os.path.relpath(os.path.join(folder, file), root))
"""
WORLD_WRITABLE = """
import os, stat
for root in ("/opt/keyturn", "/pipe.yml"):
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            seen = os.lstat(os.path.join(folder, name))
            if seen.st_uid or (seen.st_mode & 0o022 and not stat.S_ISLNK(seen.st_mode)):
                print(os.path.join(folder, name))
"""
FOUND = """
import importlib.util, shutil
print(*filter(shutil.which, ["cc", "gcc", "g++", "clang", "make", "ld", "git", "curl"]))
print(*filter(importlib.util.find_spec, ["pip", "setuptools", "pytest", "moto", "sandbox", "bench"]))
"""


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    ended = docker("image", "inspect", "--format", "{{json .Config}}", IMAGE)
    assert ended.returncode == 0, ended.stdout
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_the_packages_are_the_locked_ones() -> None:
    locked = re.findall(r"^([a-z0-9_.-]+)==", (ROOT / "requirements/runtime.txt").read_text(), re.MULTILINE)
    assert look(PACKAGES).split() == sorted(locked)


def test_the_modules_are_those_of_the_source() -> None:
    sources = {str(path.relative_to(ROOT / "pipe")) for path in (ROOT / "pipe").rglob("*.py")}
    assert set(look(OURS).splitlines()) == sources


def test_there_is_no_compiler_no_test_code_and_no_installer() -> None:
    assert look(FOUND).split() == []


def test_there_is_no_cache_and_nothing_left_of_the_build() -> None:
    assert look("import os; print(os.listdir('/tmp'), os.path.exists('/root/.cache'))") == "[] False"


def test_nothing_of_it_can_be_written_by_its_user() -> None:
    assert look(WORLD_WRITABLE) == ""


def test_pipe_yml_is_at_its_root() -> None:
    assert look("print(open('/pipe.yml').read())") == (ROOT / "pipe.yml").read_text().strip()


def test_its_user_is_a_number_and_not_root(config: dict[str, Any]) -> None:
    assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", config["User"])


def test_every_import_of_a_run_was_compiled_in_the_build() -> None:
    program = (
        "import importlib, os, pkgutil, sys, pipe.shell, pipe.assemble as actions\n"
        "for each in pkgutil.iter_modules(actions.__path__, 'pipe.assemble.'): importlib.import_module(each.name)\n"
        "caches = [getattr(m, '__cached__', None) for m in list(sys.modules.values())]\n"
        "print(*[c for c in caches if c and not os.path.exists(c)])"
    )
    options = docker("image", "inspect", "--format", '{{join .Config.Entrypoint " "}}', IMAGE).stdout.split()
    python, flags = options[0], options[1 : options.index("-m")]
    ended = docker("run", "--rm", *LOCKED, "--entrypoint", python, IMAGE, *flags, "-c", program)
    assert (ended.returncode, ended.stdout.strip()) == (0, "")


def test_bad_settings_are_told_together_without_a_traceback() -> None:
    ended = run({"ACTION": "rotat", "ROTATE_AFTER_DAYS": "ninety", "BITBUCKET_ACCESS_TOKEN": ""})
    assert ended.returncode == 1
    assert "Traceback" not in ended.stdout
    for name in ("ACTION", "ROTATE_AFTER_DAYS", "BITBUCKET_ACCESS_TOKEN"):
        assert f"✖ {name}: " in ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("✖ Refused, nothing was touched")


@pytest.mark.parametrize("module", ["pipe", "requests", "json", "sitecustomize"])
def test_a_module_in_the_clone_is_not_imported(tmp_path: Path, module: str) -> None:
    hostile = "raise SystemExit('taken over')\n"
    (tmp_path / f"{module}.py").write_text(hostile)
    folder = tmp_path / module
    folder.mkdir()
    for name in ("__init__.py", "__main__.py"):
        (folder / name).write_text(hostile)
    tmp_path.chmod(0o755)
    ended = run({"ACTION": "rotate", "PYTHONPATH": ".", "PYTHONSTARTUP": f"{module}.py"}, clone=tmp_path)
    assert "taken over" not in ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("✖ Refused, nothing was touched")


def test_its_version_is_that_of_the_source() -> None:
    assert look("import pipe; print(pipe.__version__)") == __version__
