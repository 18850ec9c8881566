"""What ACTION=setup says of Vault, done in a real OpenBao: the step can sign in and pull, and the doctor is content."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.world import Company, World
from test.support import run_bare


def script_of(given: dict[str, str], company: Company) -> str:
    """Return what `setup` prints for a run with these variables."""
    asked = {name: value for name, value in given.items() if "TOKEN" not in name}
    printed = run_bare({**asked, "ACTION": "setup", "BITBUCKET_REPO_UUID": company.repository.uuid})
    assert printed.returncode == 0, printed.stdout
    return "\n".join(printed.stdout.splitlines()[:-1])


def done(script: str, token: str) -> subprocess.CompletedProcess[str]:
    """Run a script beside OpenBao's program, as its administrator."""
    beside = Path(sys.executable).parent
    environ = {"PATH": f"{beside}:{os.environ['PATH']}", "HOME": "/nonexistent", "BAO_TOKEN": token}
    return subprocess.run(["sh", "-eu"], input=script, env=environ, capture_output=True, text=True, check=False)


def variables_of(vaulted: World, company: Company) -> dict[str, str]:
    return {
        **vaulted.pull_variables(company), "BITBUCKET_WORKSPACE_UUID": company.repository.workspace.uuid,
        "VAULT_AUTH_PATH": "bitbucket", "VAULT_ROLE": "puller",
    }  # fmt: skip


def setter(world: World) -> str:
    """Return a token that has the rights which the script asks for, and no others."""
    assert world.vault is not None
    rules = {
        "sys/policies/acl/puller": ["create", "update"], "auth/bitbucket/*": ["create", "update", "read"],
        "sys/auth/bitbucket": ["create", "update", "sudo"],
    }  # fmt: skip
    policy = {"path": {path: {"capabilities": rights} for path, rights in rules.items()}}
    make = (
        f"bao policy write setter - <<'END'\n{json.dumps(policy)}\nEND\nbao token create -policy=setter -field=token\n"
    )
    made = done(f"export BAO_ADDR={world.vault.url}\n{make}", world.vault.root_token)
    return made.stdout.splitlines()[-1]


@pytest.mark.parametrize("scan", [False, True])
def test_a_pull_works_once_the_commands_are_done(vaulted: World, scan: bool) -> None:
    company = vaulted.seed()
    assert vaulted.vault is not None
    given = variables_of(vaulted, company)
    assert run_bare(given).returncode == 1
    script = script_of(given, company)
    if scan:
        script = script.replace('# path "secret/detailed-metadata', 'path "secret/detailed-metadata')
    said = " ".join(script.replace("#", "").split())
    assert f"by bao login -address={vaulted.vault.url} (or vault login), as somebody who may create and update" in said
    assert "sys/policies/acl/puller, auth/bitbucket/* (with read) and with sudo sys/auth/bitbucket." in said
    # The second time all is there already.
    token = setter(vaulted)
    for _ in range(2):
        ended = done(script, token)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "path is already in use" in ended.stderr

    doctor = run_bare({**given, "ACTION": "doctor"})
    assert doctor.returncode == 0, doctor.stdout
    vaulted.vault.wire.forget()
    after = run_bare(given)
    assert after.returncode == 0, after.stdout
    listed = {seen.operation.partition(" ")[0] for seen in vaulted.vault.wire.journal}
    assert ("LIST" in listed) is not scan
    value = next(iter(company.secrets["secret/ci/database"].values()))
    held = vaulted.bitbucket.variables(company.environments["Staging"])
    assert value in {variable.value for variable in held.values()}


def test_a_mount_of_another_issuer_is_left_alone_and_one_of_none_is_taken(vaulted: World) -> None:
    company = vaulted.seed()
    assert vaulted.vault is not None
    address, token = f"export BAO_ADDR={vaulted.vault.url}\n", vaulted.vault.root_token
    script = script_of(variables_of(vaulted, company), company)
    assert done(f"{address}bao auth enable -path=bitbucket jwt\n", token).returncode == 0
    assert done(script, token).returncode == 0
    issuer = f"{address}bao read -field=bound_issuer auth/bitbucket/config\n"
    assert done(issuer, token).stdout.strip() == company.issuer.url

    of_another = script.replace(company.issuer.url, f"{company.issuer.url}/of-another")
    ended = done(of_another, token)
    assert ended.returncode != 0
    assert company.issuer.url in ended.stdout.splitlines()
    assert done(issuer, token).stdout.strip() == company.issuer.url
