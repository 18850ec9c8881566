"""ACTION=setup: what it prints is whole, asks nobody, shows no secret, and refuses what the run refuses."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

import jsonschema
import pytest
import yaml

from pipe.jobs.registry import read_settings
from pipe.permissions import Home, compact, needed_to_rotate
from pipe.settings.variables import STEP_SECRETS, VARIABLES
from sandbox.bitbucket import Environment, Project, Repository, Workspace
from sandbox.issuer import Issuer
from test.exposure import exposed
from test.support import ROOT, run_bare

REPOSITORY = Repository(Project(Workspace("acme"), "SHOP"), "shop")
ISSUER = Issuer(REPOSITORY.workspace)
HOME = Home("aws", "123456789012", "eu-central-1")
KNOWN = {
    "BITBUCKET_WORKSPACE": "acme",
    "BITBUCKET_WORKSPACE_UUID": REPOSITORY.workspace.uuid,
    "BITBUCKET_REPO_SLUG": "shop",
    "BITBUCKET_REPO_UUID": REPOSITORY.uuid,
    "AWS_DEFAULT_REGION": HOME.region,
    "ALLOWED_AWS_ACCOUNT_IDS": HOME.account,
    "TARGETS": "deployment:staging, deployment:production",
}
ROTATE = {"IAM_USER_NAME": "deploy-bot", "SECRET_ID": "ci/deploy-bot"}
PULL = {"SECRETS": "secret/ci/** *; secret/db password | DB_PASSWORD", "VAULT_ADDR": "https://vault.acme.example"}
REPLICATE = {**PULL, "SECRETS": "secret/ci/** *", "AWS_SECRET_PREFIX": "vault/"}
COMBINED = {**KNOWN, **ROTATE, **REPLICATE, "SETUP_ACTIONS": "rotate, pull, replicate"}


def printed(given: Mapping[str, str], folder: Path | None = None) -> str:
    """Return what a run of `setup` prints, which is never a failure."""
    ended = run_bare({"ACTION": "setup", **({"REPORT_DIR": str(folder)} if folder else {}), **given})
    assert ended.returncode == 0, ended.stdout
    lines = ended.stdout.splitlines()
    assert lines[-1].startswith("✔ setup for "), ended.stdout
    assert len([line for line in lines if line.startswith("✔")]) == 1
    return "\n".join(lines[:-1]) + "\n"


def commented(text: str, heading: str) -> str:
    """Return what stands as a comment behind a heading."""
    lines = text.partition(f"# {heading}\n")[2].splitlines()
    end = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines[:end])


@pytest.mark.parametrize(
    ("given", "actions"),
    [
        ({}, "rotate, pull and replicate"),
        (ROTATE, "rotate"),
        ({"SECRET_ID": "ci/bot"}, "rotate"),
        (PULL, "pull"),
        (REPLICATE, "replicate"),
        ({**ROTATE, **PULL}, "rotate and pull"),
        ({**ROTATE, "SETUP_ACTIONS": "pull"}, "pull"),
    ],
)
@pytest.mark.sample(3)
def test_the_actions_that_are_meant(given: dict[str, str], actions: str) -> None:
    ended = run_bare({"ACTION": "setup", **given})
    assert ended.stdout.splitlines()[-1].startswith(f"✔ setup for {actions}: ")


@pytest.mark.parametrize("given", [{}, {**KNOWN, **ROTATE}, {**KNOWN, **PULL}, {**KNOWN, **REPLICATE}, COMBINED])
def test_the_commands_are_a_script(given: dict[str, str]) -> None:
    text = printed(given)
    checked = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert [line for line in text.splitlines() if line.startswith("#") and len(line) > 80] == []


@pytest.mark.parametrize("known", [True, False])
def test_what_is_missing_is_named_and_nothing_else_is(known: bool, tmp_path: Path) -> None:
    text = printed(COMBINED if known else {}, tmp_path)
    report = json.loads((tmp_path / "keyturn-setup.json").read_text(encoding="utf-8"))
    jsonschema.validate(report, json.loads((ROOT / "docs" / "setup.schema.json").read_text(encoding="utf-8")))
    body, _, told = text.partition("# To be filled in; ")
    stand_ins = [set(re.findall(r"<[\w-]+>", each["stands"])) for each in report["to_fill_in"]]
    assert set(re.findall(r"<[\w-]+>", body)) == set().union(*stand_ins)
    assert re.findall(r"^#   (\w+)", told, re.MULTILINE) == [each["variable"] for each in report["to_fill_in"]]
    assert bool(stand_ins) is not known
    assert report["text"].strip() in text


@pytest.mark.parametrize("given", [{}, {**KNOWN, **ROTATE}, {**KNOWN, **PULL}, COMBINED])
@pytest.mark.sample(2)
def test_the_pipeline_is_valid_and_the_pipe_takes_it(given: dict[str, str], tmp_path: Path) -> None:
    text = commented(printed(given), "bitbucket-pipelines.yml:")
    file = tmp_path / "bitbucket-pipelines.yml"
    file.write_text(text, encoding="utf-8")
    check = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.bitbucket-pipelines", str(file))
    checked = subprocess.run(check, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    custom = yaml.safe_load(text)["pipelines"]["custom"]
    rotates = not given or "IAM_USER_NAME" in given
    assert list(custom) == ["keyturn", *(["revoke-key"] if rotates else [])]
    assert len(custom["keyturn"][1]["step"]["script"]) == (3 if given in ({}, COMBINED) else 1)
    for variables, step in custom.values():
        asked = {each["name"]: each["default"] for each in variables["variables"]}
        assert step["step"]["oidc"] is True
        for pipe in step["step"]["script"] if given else ():
            environ = {
                "BITBUCKET_STEP_OIDC_TOKEN": "a.b.c",
                "BITBUCKET_WORKSPACE": "acme",
                "BITBUCKET_REPO_SLUG": "shop",
            }
            for name, value in pipe["variables"].items():
                text = "\n".join(value) if isinstance(value, list) else value
                environ[name] = asked.get(name, "made-for-the-step") if text == f"${name}" else text
            assert set(asked) <= set(pipe["variables"])
            assert read_settings(environ).action in ("rotate", "pull", "replicate")


def test_the_step_s_claims_go_before_its_variables() -> None:
    environment = Environment(REPOSITORY, "Production", "production", uuid="{00000000-0000-0000-0000-00000000000e}")
    token = ISSUER.token(REPOSITORY, environment, audience="own")
    text = printed({"BITBUCKET_STEP_OIDC_TOKEN": token, "BITBUCKET_DEPLOYMENT_ENVIRONMENT": "production", **ROTATE})
    assert f'"{REPOSITORY.uuid}:{environment.uuid}:*"' in text
    assert "--client-id-list own" in text
    assert "deployment: production" in commented(text, "bitbucket-pipelines.yml:")
    assert "<workspace" not in text
    assert exposed([token], text) == []


def test_no_secret_is_shown_whatever_the_environment_holds(tmp_path: Path) -> None:
    # Two kinds of credentials for Bitbucket are refused, as by the run.
    others = {"ATLASSIAN_API_TOKEN", "BITBUCKET_OAUTH_CLIENT_SECRET"}
    names = {variable.name for variable in VARIABLES if variable.secret} - others
    canaries = {name: secrets.token_urlsafe(24) for name in (*names, *STEP_SECRETS) if name != "BITBUCKET_APP_PASSWORD"}
    del canaries["VAULT_WRAPPED_SECRET_ID"]
    canaries["NOTIFY_URL"] = f"https://notices.example/{canaries['NOTIFY_URL']}"
    for method in ("", "token", "userpass", "approle"):
        given = {**canaries, **COMBINED, "VAULT_AUTH_METHOD": method, "VAULT_USERNAME": "bot", "DEBUG": "true"}
        text = printed(given, tmp_path)
        assert exposed(canaries.values(), text + (tmp_path / "keyturn-setup.json").read_text(encoding="utf-8")) == []


def test_it_asks_nobody_not_even_for_a_notice() -> None:
    given = {"SNS_TOPIC_ARN": "arn:aws:sns:eu-central-1:123456789012:keyturn", "NOTIFY_ON": "always"}
    # Whoever asked would have to wait for a port on which nobody answers, and say so.
    nobody = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "BITBUCKET_API_URL": "http://127.0.0.1:1/2.0"}
    keys = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "an-example-of-a-secret"}
    text = printed({**COMBINED, **given, **nobody, **keys})
    assert "could not be sent" not in text
    assert "sns:Publish" in text
    assert text.count(f"SNS_TOPIC_ARN: {given['SNS_TOPIC_ARN']}\n") == 4


def test_what_is_wrong_is_refused() -> None:
    ended = run_bare({"ACTION": "setup", "SETUP_ACTIONS": "dance", "IAM_USER_NAME": "a b"})
    assert ended.returncode == 1
    told = [line.partition(":")[0] for line in ended.stdout.splitlines()]
    assert told == ["✖ SETUP_ACTIONS", "✖ IAM_USER_NAME", "✖ Refused, nothing was touched"]


SIGNED_IN = {
    "BITBUCKET_STEP_OIDC_TOKEN": "a.b.c",
    "BITBUCKET_ACCESS_TOKEN": "token-of-the-repository",
    "AWS_OIDC_ROLE_ARN": f"arn:aws:iam::{HOME.account}:role/keyturn",
    "VAULT_ROLE": "keyturn",
}
OTHER_REGION = f"arn:aws:secretsmanager:eu-west-1:{HOME.account}:secret:ci/deploy-bot-AbCdEf"


@pytest.mark.parametrize(
    ("action", "given"),
    [
        ("rotate", {**ROTATE, "ROTATE_AFTER_DAYS": "5 weeks"}),
        ("rotate", {**ROTATE, "ROTATE_AFTER_DAYS": "90", "DELETE_AFTER_DAYS": "80"}),
        ("rotate", {**ROTATE, "SECRET_ID": OTHER_REGION}),
        ("rotate", {**ROTATE, "ACCESS_KEY_ID_VARIABLE": "SAME", "SECRET_ACCESS_KEY_VARIABLE": "SAME"}),
        ("rotate", {**ROTATE, "SNS_TOPIC_ARN": "arn:aws:sns:nonsense"}),
        ("rotate", {**ROTATE, "TARGETS": "staging", "BITBUCKET_ACCESS_TOKEN": "ATATT-of-a-user"}),
        ("pull", {**PULL, "SECRETS": "secret/db password | KEYTURN_STATE"}),
        ("pull", {**PULL, "SECRETS": f"{OTHER_REGION} password", "SOURCE": "secretsmanager"}),
        ("pull", {**PULL, "VAULT_ADDR": "http://vault.acme.example"}),
        ("replicate", {**REPLICATE, "SOURCE": "secretsmanager"}),
        ("replicate", {**REPLICATE, "SECRETS": "secret/db password | NAME"}),
        ("replicate", {**REPLICATE, "KMS_KEY_ID": "a key", "RECOVERY_WINDOW_DAYS": "1", "VAULT_ROLE": "a role"}),
    ],
)
def test_what_the_run_refuses_is_refused_in_the_same_words(action: str, given: dict[str, str]) -> None:
    given = {**KNOWN, **SIGNED_IN, **given}
    by_the_run = run_bare({"ACTION": action, **given})
    by_the_set_up = run_bare({"ACTION": "setup", "SETUP_ACTIONS": action, **given})
    assert (by_the_run.returncode, by_the_set_up.returncode) == (1, 1)
    assert by_the_set_up.stdout == by_the_run.stdout


def test_what_is_taken_for_a_mount_is_said() -> None:
    text = printed({**KNOWN, **PULL, "SECRETS": "team-a/kv/ci/db password; secret/ci/** *"})
    assert 'path "team-a/data/kv/ci/db" { capabilities = ["read"] }\n' in text
    assert "taken for the mount: secret, team-a." in " ".join(text.replace("#", "").split())


def test_the_right_to_fetch_the_token_is_granted() -> None:
    text = printed({**KNOWN, **ROTATE, "BITBUCKET_ACCESS_TOKEN_FROM": "secretsmanager: ci/bitbucket token"})
    assert '"Action": "secretsmanager:GetSecretValue"' in text
    assert 'secret:ci/bitbucket-??????"' in text
    text = printed({**KNOWN, **PULL, "BITBUCKET_ACCESS_TOKEN_FROM": "vault: secret/bitbucket token"})
    assert 'path "secret/data/bitbucket" { capabilities = ["read"] }\n' in text
    assert '#                 BITBUCKET_ACCESS_TOKEN_FROM: "vault: secret/bitbucket token"\n' in text
    assert "BITBUCKET_ACCESS_TOKEN:" not in text


def test_a_variable_with_a_wrong_name_is_told_in_a_comment() -> None:
    assert "# WARNING: IAM_USER: Keyturn has no such variable. Is IAM_USER_NAME meant?" in printed({"IAM_USER": "bot"})


def test_an_order_for_one_run_is_not_repeated_by_the_pipeline() -> None:
    text = printed({**KNOWN, **ROTATE, "FORCE": "true", "REVOKE": "7J5L", "ROTATE_AFTER_DAYS": "30"})
    assert re.findall("FORCE.*", text) == ["FORCE", "FORCE: $FORCE"]
    assert "7J5L" not in text
    assert text.count("REVOKE: $REVOKE") == 1, "the pipeline for a leak asks for it"
    assert 'ROTATE_AFTER_DAYS: "30"' in text


@pytest.mark.parametrize(("users", "parts"), [(20, 0), (60, 3), (300, 11)])
def test_what_is_too_long_for_a_role_s_own_policies_is_put_beside_it(tmp_path: Path, users: int, parts: int) -> None:
    names = [f"user-of-service-{number:03}" for number in range(users)]
    (tmp_path / "keyturn.yaml").write_text(
        f"version: '1'\nworkspace: acme\njobs:\n  keys:\n    EACH: {json.dumps(names)}\n    ACTION: rotate\n"
        "    IAM_USER_NAME: $each\n    SECRET_ID: ci/$each\n    TARGETS: acme/$each:deployment:production\n"
    )
    text = printed({**KNOWN, "FLEET": "keyturn.yaml", "BITBUCKET_CLONE_DIR": str(tmp_path)})
    inline = re.findall(r"put-role-policy .*\n  --policy-document '(.*?)'\n", text, re.DOTALL)
    apart = [json.loads(each) for each in re.findall(r"\npolicy='(.*?)'\n", text, re.DOTALL)]
    assert (len(inline), len(apart)) == ((0, parts) if parts else (1, 0))
    assert sum(len(compact(json.loads(each))) for each in inline) <= 10_240
    assert all(len(compact(each)) <= 6_144 for each in apart)
    assert len(re.findall(r"attach-role-policy --role-name keyturn --policy-arn \S+/keyturn-\d+\n", text)) == parts
    assert ("WARNING: a role may have 10 such policies" in text) == (parts > 10)
    allowed = {
        (action, resource)
        for each in (*map(json.loads, inline), *apart)
        for statement in each["Statement"]
        for action in statement["Action"]
        for resource in ([statement["Resource"]] if isinstance(statement["Resource"], str) else statement["Resource"])
    }
    needed = chain.from_iterable(needed_to_rotate(HOME, name, f"ci/{name}") for name in names)
    assert allowed == {(each.action, resource) for each in needed for resource in each.resources}
    checked = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
