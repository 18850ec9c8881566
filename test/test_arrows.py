"""Which part of the pipe may know which, and who alone reads the environment, prints and exits."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from test.support import ROOT

PIPE = ROOT / "pipe"
FILES = sorted(PIPE.rglob("*.py"))

VALUES = {
    "redact",
    "registry",
    "errors",
    "naming",
    "selectors",
    "material",
    "claims",
    "pem",
    "state",
    "values",
    "permissions",
    "step",
    "scopes",
}
GROUND = VALUES | {"patience", "plan", "view"}
LAYERS: dict[str, set[str]] = {
    "pipe": set(),
    "__main__": {"shell"},
    "redact": set(),
    "naming": set(),
    "registry": set(),
    "material": set(),
    "state": set(),
    "errors": {"redact"},
    "claims": {"redact", "errors", "values"},
    "selectors": {"naming", "registry"},
    "permissions": {"selectors"},
    "step": {"values"},
    "scopes": set(),
    "view": set(),
    "values": {"redact", "errors", "selectors"},
    "patience": VALUES,
    "plan": VALUES,
    "notice": VALUES,
    "pem": set(),
    "rules": VALUES,
    "variable": VALUES | {"rules"},
    "variables": VALUES | {"rules", "variable"},
    "misnamed": VALUES | {"variables"},
    "toolkit": set(),
    "face": VALUES | {"toolkit", "variable", "variables"},
    "reading": VALUES | {"rules", "variables", "misnamed", "face"},
    "settings": VALUES | {"variables", "reading"},
    "apply": GROUND,
    "report": GROUND,
    "clients": GROUND - {"plan", "view"},
    "actions": GROUND | {"apply"},
    "assemble": GROUND | {"settings", "variables", "report", "notice", "clients", "actions"},
    "shell": GROUND
    | {"pipe", "settings", "reading", "variables", "report", "notice", "clients", "actions", "assemble", "apply"},
}
LIBRARIES = {
    "bitbucket_pipes_toolkit": ("toolkit.py",),
    "cerberus": ("face.py",),
    "colorama": ("toolkit.py",),
    "boto3": ("clients/aws*.py",),
    "botocore": ("clients/aws*.py",),
    "cryptography": ("clients/certificate.py",),
    "certifi": ("clients/http.py",),
    "hvac": ("clients/vault_api.py",),
    "requests": ("clients/http.py",),
    "urllib3": ("clients/http.py", "clients/connections.py"),
}
# What can speak to a service, of Python's own: every request goes by the one way.
NETWORK = {"http.client", "socket", "urllib.request", "asyncio"}
NETWORKED = {"clients/http.py", "clients/connections.py"}
SHELL = {"shell.py", "__main__.py"}

# An action knows its own package and the sources of secrets; status and the doctor show what a rotation would decide.
ACTIONS = {
    "status": {"rotate", "status_words"},
    "status_words": {"rotate"},
    "pull": {"sources"},
    "doctor": {"sources", "rotate"},
}


def name_of(path: Path) -> str:
    return path.relative_to(PIPE).as_posix()


def module_of(path: Path) -> list[str]:
    parts = ["pipe", *path.relative_to(PIPE).with_suffix("").parts]
    return parts[:-1] if parts[-1] == "__init__" else parts


def layer_of(module: list[str]) -> str:
    # The registry only names the sources; it imports one when somebody asks for it.
    if module[1:4] == ["actions", "sources", "registry"]:
        return "registry"
    return module[1] if len(module) > 1 else "pipe"


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text())))


def imports(path: Path) -> Iterator[list[str]]:
    """Yield what a file imports, but for types."""
    types = {
        inner
        for node in nodes(path)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in nodes(path):
        if node in types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            base = (node.module or "").split(".")
            for alias in node.names:
                deeper = PIPE.parent.joinpath(*base, alias.name)
                is_module = deeper.with_suffix(".py").exists() or deeper.is_dir()
                yield [*base, alias.name] if base[0] == "pipe" and is_module else base


def test_the_files_are_found() -> None:
    assert {"shell.py", "actions/rotate/decide.py", "clients/aws.py"} <= {name_of(path) for path in FILES}


def test_arrows_point_down() -> None:
    for own, imported in ((module_of(path), imported) for path in FILES for imported in imports(path)):
        if imported[0] != "pipe" or imported == own:
            continue
        layer, other = layer_of(own), layer_of(imported)
        if own[1:3] == ["actions", "sources"] and other == "clients":
            continue  # A source opens its own clients.
        assert other == layer or other in LAYERS[layer], f"{'.'.join(own)} imports {'.'.join(imported)}"
        if layer == other == "actions" and len(own) > 2:
            known = {own[2], "sources", *ACTIONS.get(own[2], set())}
            assert imported[2] in known, f"{'.'.join(own)} imports another action, {'.'.join(imported)}"


def test_each_library_is_known_to_its_clients_alone() -> None:
    for path, root in ((file, imported[0]) for file in FILES for imported in imports(file)):
        if root == "pipe" or root in sys.stdlib_module_names:
            continue
        assert root in LIBRARIES, f"{name_of(path)}: {root} is neither ours nor a library that Keyturn has"
        assert any(fnmatch(name_of(path), each) for each in LIBRARIES[root]), (
            f"{name_of(path)}: {root} is for {LIBRARIES[root]} alone"
        )


def test_no_request_goes_another_way_than_the_one() -> None:
    for path, imported in ((file, imported) for file in FILES for imported in imports(file)):
        found = NETWORK & {imported[0], ".".join(imported[:2])}
        assert not found or name_of(path) in NETWORKED, f"{name_of(path)}: {found} is for {NETWORKED} alone"


def test_only_the_shell_reads_the_environment_prints_and_exits() -> None:
    kept = {"os.environ", "os.getenv", "sys.exit", "os._exit", "sys.stdout", "sys.stderr"}
    others = [file for file in FILES if name_of(file) not in SHELL]
    for path, node in ((file, node) for file in others for node in nodes(file)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert f"{node.value.id}.{node.attr}" not in kept, f"{name_of(path)}, line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"print", "exit", "quit", "input"}, f"{name_of(path)}, line {node.lineno}"
        if isinstance(node, ast.ImportFrom) and node.module in {"os", "sys"}:
            taken = {f"{node.module}.{alias.name}" for alias in node.names}
            assert not taken & kept, f"{name_of(path)}, line {node.lineno}"


def test_a_refused_run_does_not_pay_for_the_libraries() -> None:
    code = (
        "import sys, pipe.shell; code = pipe.shell.main({'ACTION': 'dance'});"
        "sys.__stdout__.write(str([name for name in ('boto3', 'botocore', 'cryptography') if name in sys.modules]));"
        "sys.exit(code)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.splitlines()[-1:]) == (1, ["[]"]), ended.stderr


def test_only_a_sign_in_by_certificate_pays_for_its_library() -> None:
    code = (
        "import importlib, pkgutil, sys, pipe.shell, pipe.assemble as folder;"
        "[importlib.import_module('pipe.assemble.' + each.name) for each in pkgutil.iter_modules(folder.__path__)"
        " if each.name != 'anywhere'];"
        "print('cryptography' in sys.modules, 'boto3' in sys.modules);"
        "import pipe.assemble.anywhere;"
        "print('cryptography' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.stdout.split() == ["False", "True", "True"], ended.stderr
