"""What ACTION=setup says of Vault, done in a real OpenBao: the step can sign in and pull, and the doctor is content."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.world import World
from test.support import run_bare


@pytest.mark.parametrize("scan", [False, True])
def test_a_pull_works_once_the_commands_are_done(vaulted: World, scan: bool) -> None:
    company = vaulted.seed()
    assert vaulted.vault is not None
    given = {
        **vaulted.pull_variables(company), "BITBUCKET_WORKSPACE_UUID": company.repository.workspace.uuid,
        "VAULT_AUTH_PATH": "bitbucket", "VAULT_ROLE": "puller",
    }  # fmt: skip
    before = run_bare(given)
    assert before.returncode == 1
    asked = {name: value for name, value in given.items() if "TOKEN" not in name}
    text = run_bare({**asked, "ACTION": "setup", "BITBUCKET_REPO_UUID": company.repository.uuid}).stdout
    script = "\n".join(text.splitlines()[:-1])
    if scan:
        cheaper = script.partition("# bao policy write")[2].partition("# END\n")[0]
        script += "\nbao policy write" + cheaper.replace("\n# ", "\n") + "END\n"
    beside = Path(sys.executable).parent
    environ = {"PATH": f"{beside}:{os.environ['PATH']}", "HOME": "/nonexistent", "BAO_TOKEN": vaulted.vault.root_token}
    done = subprocess.run(["bash", "-eu"], input=script, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

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
