"""The README's ten minutes, as they are written: its pipelines, run as Bitbucket would, and what one sees."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from sandbox.aws.keys import iam
from sandbox.world import REGION, Company, World
from test.readme import README, blocks
from test.setup.test_aws import PROGRAM
from test.setup.test_text import commented
from test.support import run_bare
from test.test_readme import environment_of, pipes_in

CUSTOM: dict[str, list[dict[str, Any]]] = {
    name: steps
    for block in blocks("yaml", README)
    if "pipelines" in (tree := yaml.safe_load(block.text))
    for name, steps in tree["pipelines"]["custom"].items()
}
# What the README says that the last lines are, in the order in which they are seen.
SEEN = re.findall(r"`(✔[^`]+)`", README.read_text(encoding="utf-8"))


def defaults(name: str) -> dict[str, str]:
    """Return what a pipeline's variables are where nobody gives any."""
    return {each["name"]: each.get("default", "") for each in CUSTOM[name][0]["variables"]}


def fits(line: str, shown: str) -> bool:
    """Whether a last line is what the README shows, where `…` stands for anything, as the keys' letters do."""
    text = re.sub(r"…[A-Z]{4}", "…", " ".join(shown.split()))
    return re.fullmatch(re.escape(text).replace("…", ".*"), line) is not None


def test_the_pipelines_do_what_the_readme_says(world: World, company: Company, tmp_path: Path) -> None:
    token = world.bitbucket.issue_token("repository", company.repository, scopes=["pipeline", "pipeline:variable"])
    last: list[str] = []

    def start(name: str, *, code: int = 0, **chosen: str) -> str:
        variables = {**defaults(name), **chosen, "BITBUCKET_ACCESS_TOKEN": token.secret}
        (pipe,) = pipes_in(CUSTOM[name][1])
        ended = run_bare({
            **environment_of(pipe["variables"], variables),
            "AWS_ENDPOINT_URL": world.aws_url, "BITBUCKET_API_URL": f"{world.bitbucket_url}/2.0",
            "BITBUCKET_STEP_OIDC_TOKEN": company.token_for(), "BITBUCKET_DEPLOYMENT_ENVIRONMENT": "",
        })  # fmt: skip
        assert ended.returncode == code, ended.stdout
        last.append(ended.stdout.splitlines()[-1])
        return ended.stdout

    iam().open_id_providers.clear()
    script = start("keyturn", ACTION="setup").rpartition("✔")[0]
    # What the set-up prints to be pasted is what the README has, but for the sandbox's addresses.
    printed = re.sub(r"\n +\w+_URL: .*", "", commented(script, "bitbucket-pipelines.yml:"))
    assert yaml.safe_load(printed)["pipelines"]["custom"] == CUSTOM
    program = tmp_path / "aws"
    program.write_text(PROGRAM, encoding="utf-8")
    program.chmod(0o755)
    environ = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": "/nonexistent", "AWS_ENDPOINT_URL": world.aws_url,
        "AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": company.admin.access_key_id,
        "AWS_SECRET_ACCESS_KEY": company.admin.secret_access_key,
    }  # fmt: skip
    pasted = subprocess.run(["sh"], input=script, env=environ, capture_output=True, text=True, check=False)
    assert pasted.returncode == 0, pasted.stderr
    start("keyturn", ACTION="doctor")
    start("keyturn", DRY_RUN="true")
    start("keyturn")
    start("keyturn")
    assert "deploy-bot has: AKIA" in start("revoke-key", code=1)
    del last[-1]
    (pair,) = set(world.consumers().values())
    start("revoke-key", REVOKE=pair.access_key_id[-4:])
    assert len(last) == len(SEEN)
    assert [line for line, shown in zip(last, SEEN, strict=True) if not fits(line, shown)] == []
