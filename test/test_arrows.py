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
    "decoding",
    "redact",
    "registry",
    "errors",
    "reserved_names",
    "selectors",
    "secrets",
    "values",
    "permissions",
    "pipeline_step",
    "overview",
}
GROUND = VALUES | {"audit", "retry", "plan", "report"}
LAYERS: dict[str, set[str]] = {
    "pipe": set(),
    "__main__": {"shell"},
    "decoding": set(),
    "redact": {"decoding"},
    "output": {"redact"},
    "reserved_names": set(),
    "registry": set(),
    "secrets": set(),
    "overview": set(),
    "errors": {"redact"},
    "selectors": {"reserved_names", "registry"},
    "permissions": {"selectors"},
    "pipeline_step": {"redact", "values"},
    "values": {"redact", "selectors"},
    "audit": VALUES | {"output"},
    "retry": VALUES,
    "plan": VALUES,
    "report": VALUES | {"plan"},
    "notice": VALUES | {"report"},
    "page": VALUES | {"report"},
    "apply": GROUND,
    "settings": VALUES,
    "clients": VALUES | {"audit", "retry"},
    "sources": GROUND | {"settings", "clients"},
    "access": GROUND | {"notice", "settings", "clients", "sources"},
    "jobs": GROUND | {"pipe", "output", "apply", "settings", "clients", "sources", "access"},
    "shell": GROUND | {"pipe", "apply", "output", "notice", "page", "settings", "clients", "access", "jobs"},
}
# What decides knows values alone: it asks nobody, and waits for nothing.
PURE = (
    "jobs/*/decide.py", "jobs/*/plan.py", "jobs/*/resolve.py", "jobs/*/state_variable.py", "jobs/*/check_*.py",
    "jobs/rotate/plan_old_keys.py", "jobs/rotate/key_use.py", "jobs/rotate/plan_new_key.py", "jobs/rotate/leak.py",
    "jobs/rotate/refuse.py",
    "jobs/rotate/preview.py", "jobs/fleet/budget.py", "jobs/rotate/summary.py", "jobs/*/overview.py", "jobs/prune.py",
    "jobs/summary.py",
)  # fmt: skip
ASKING = {"clients", "access", "retry", "apply"}
LIBRARIES = {
    "bitbucket_pipes_toolkit": ("settings/face.py",),
    "cerberus": ("settings/face.py",),
    "colorama": ("settings/face.py",),
    "boto3": ("clients/aws*.py",),
    "botocore": ("clients/aws*.py",),
    "cryptography": ("clients/certificate.py",),
    "certifi": ("clients/http.py",),
    "hvac": ("clients/vault_api.py",),
    "requests": ("clients/http.py",),
    "yaml": ("jobs/fleet/document.py",),
    "urllib3": ("clients/http.py", "clients/connections.py"),
}
# What can speak to a service, of Python's own: every request goes by the one way.
NETWORK = {"http.client", "socket", "urllib.request", "asyncio"}
NETWORKED = {"clients/http.py", "clients/connections.py"}
SHELL = {"shell.py", "__main__.py"}

# A job knows its own folder; status and the doctor show what a rotation would decide, and setup and the doctor read the
# settings of those that are meant.
JOBS = {
    "status": {"rotate", "pull", "replicate"},
    "doctor": {"rotate", "pull", "replicate", "setup"},
    "setup": {"rotate", "pull", "replicate", "registry"},
    "pull": {"prune", "summary"},
    "replicate": {"pull", "prune", "summary"},
    "fleet": {"rotate", "registry", "status", "doctor", "setup"},
    "discover": {"fleet"},
}


def name_of(path: Path) -> str:
    return path.relative_to(PIPE).as_posix()


def module_of(path: Path) -> list[str]:
    parts = ["pipe", *path.relative_to(PIPE).with_suffix("").parts]
    return parts[:-1] if parts[-1] == "__init__" else parts


def layer_of(module: list[str]) -> str:
    # The registry only names the sources; it imports one when somebody asks for it.
    if module[1:3] == ["sources", "registry"]:
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
    assert {"shell.py", "jobs/rotate/decide.py", "clients/aws.py"} <= {name_of(path) for path in FILES}


def test_arrows_point_down() -> None:
    for own, imported in ((module_of(path), imported) for path in FILES for imported in imports(path)):
        if imported[0] != "pipe" or imported == own:
            continue
        layer, other = layer_of(own), layer_of(imported)
        assert other == layer or other in LAYERS[layer], f"{'.'.join(own)} imports {'.'.join(imported)}"
        if layer == other == "jobs" and len(own) > 2:
            known = {own[2], *JOBS.get(own[2], set())}
            assert imported[2] in known, f"{'.'.join(own)} imports another job, {'.'.join(imported)}"


def test_what_decides_asks_nobody() -> None:
    pure = [path for path in FILES if any(fnmatch(name_of(path), each) for each in PURE)]
    assert len(pure) >= 10
    for path, imported in ((file, imported) for file in pure for imported in imports(file)):
        assert imported[:1] != ["pipe"] or layer_of(imported) not in ASKING, f"{name_of(path)}: {'.'.join(imported)}"


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
            # The door looks for the files of authorities where every library does, as for proxies.
            if name_of(path) == "clients/http.py" and node.attr == "environ":
                continue
            assert f"{node.value.id}.{node.attr}" not in kept, f"{name_of(path)}, line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"print", "exit", "quit", "input"}, f"{name_of(path)}, line {node.lineno}"
        if isinstance(node, ast.ImportFrom) and node.module in {"os", "sys"}:
            taken = {f"{node.module}.{alias.name}" for alias in node.names}
            assert not taken & kept, f"{name_of(path)}, line {node.lineno}"


def test_only_a_sign_in_by_certificate_pays_for_its_library() -> None:
    code = (
        "import importlib, sys, pipe.shell; from pipe.jobs.registry import MODULES;"
        "[importlib.import_module(each) for each in MODULES.values()];"
        "print('cryptography' in sys.modules, 'boto3' in sys.modules);"
        "import pipe.clients.certificate;"
        "print('cryptography' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.stdout.split() == ["False", "True", "True"], ended.stderr
