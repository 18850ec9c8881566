"""The image holds the pipe, its locked requirements and pipe.yml, and nothing of the clone can get into it."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import pipe
from bench.image import weigh
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
print(*filter(importlib.util.find_spec, ["pip", "setuptools", "pytest", "moto", "docker", "git", "sandbox", "bench"]))
"""
SERVICES = """
import boto3, os, botocore
data = os.path.join(os.path.dirname(botocore.__file__), "data")
print(*sorted({*boto3.Session().get_available_services(), *next(os.walk(data))[1]}))
"""
TIMES = """
import os, pathlib
print(*{path.lstat().st_mtime for path in (*pathlib.Path("/opt").rglob("*"), pathlib.Path("/pipe.yml"))})
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


def test_the_files_are_those_of_the_source() -> None:
    files = [*(ROOT / "pipe").rglob("*.py"), *(ROOT / "pipe").rglob("*.css")]
    sources = {str(path.relative_to(ROOT / "pipe")) for path in files}
    assert set(look(OURS).splitlines()) == sources


def test_there_is_no_compiler_no_test_code_and_no_installer() -> None:
    assert look(FOUND).split() == []


def test_there_is_no_cache_and_nothing_left_of_the_build() -> None:
    assert look("import os; print(os.listdir('/tmp'), os.path.exists('/root/.cache'))") == "[] False"


def test_nothing_of_it_can_be_written_by_its_user() -> None:
    assert look(WORLD_WRITABLE) == ""


def test_nothing_in_it_gives_another_users_rights_to_whoever_runs_it() -> None:
    find = ("--rm", "--network", "none", "--user", "0", "--entrypoint", "find")
    ended = docker("run", *find, IMAGE, "/", "-xdev", "-perm", "/6000")
    assert (ended.returncode, ended.stdout) == (0, "")


def test_it_describes_the_services_that_the_source_asks_and_no_others() -> None:
    assert look(SERVICES).split() == sorted(asked_services())


def asked_services() -> set[str]:
    """Return the services that are named where their clients are made; who takes one of several is no maker of more."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "pipe").rglob("*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    made = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "client"]
    return {str(call.args[0].value) for call in made if isinstance(call.args[0], ast.Constant)}


def test_it_is_small() -> None:
    weight = weigh(IMAGE)
    assert weight is not None
    assert (weight.above <= 40e6, weight.compressed <= 13e6) == (True, True), weight


def test_its_files_do_not_tell_when_it_was_built() -> None:
    assert look(TIMES) == "0.0"


def test_pipe_yml_is_at_its_root() -> None:
    assert look("print(open('/pipe.yml').read())") == (ROOT / "pipe.yml").read_text().strip()


def test_its_user_is_a_number_and_not_root(config: dict[str, Any]) -> None:
    assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", config["User"])


def test_every_import_of_a_run_was_compiled_in_the_build() -> None:
    program = (
        "import importlib, os, pkgutil, sys, pipe\n"
        "for each in pkgutil.walk_packages(pipe.__path__, 'pipe.'): importlib.import_module(each.name)\n"
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
    assert look("import pipe; print(pipe.__version__)") == pipe.__version__


def test_its_labels_say_what_it_is(config: dict[str, Any]) -> None:
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    about = yaml.safe_load((ROOT / "pipe.yml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (labels["title"], labels["source"]) == (about["name"], about["repository"])
    assert labels["description"] == project["description"]
    assert labels["licenses"] == "Apache-2.0"
    assert labels["version"] == pipe.__version__
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", labels["revision"])
