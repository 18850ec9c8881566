"""What ACTION=setup says of AWS, done in the sandbox's account, twice: a rotation signs in by the role and works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from pipe import permissions
from pipe.permissions import Home, document
from sandbox.aws.keys import ACCOUNT, iam
from sandbox.world import REGION, SECRET, USER, Company, World
from test.support import run, run_bare

# AWS's own program, as far as the commands go: each option is the parameter of that name.
PROGRAM = f"""#!{sys.executable}
import sys
import boto3
from botocore import xform_name
from botocore.exceptions import ClientError

service, action, *options = sys.argv[1:]
client = boto3.client(service)
name = {{xform_name(each, "-"): each for each in client.meta.method_to_api_mapping.values()}}[action]
shape = client.meta.service_model.operation_model(name).input_shape
members = {{"--" + xform_name(member, "-"): member for member in shape.members}}
given = {{members[option]: value for option, value in zip(options[::2], options[1::2], strict=True)}}
lists = {{member for member, of in shape.members.items() if of.type_name == "list"}}
try:
    client._make_api_call(name, {{each: [value] if each in lists else value for each, value in given.items()}})
except ClientError as error:
    sys.exit(str(error))
"""


def state(role_name: str) -> dict[str, object]:
    """Return what the commands make: the providers' audiences, the role's trust and its policies."""
    role = iam().get_role(role_name)
    return {
        "audiences": [provider.client_id_list for provider in iam().open_id_providers.values()],
        "path": role.path,
        "trust": json.loads(role.assume_role_policy_document),
        "policies": {name: json.loads(text) for name, text in role.policies.items()},
    }


def test_a_rotation_works_once_the_commands_are_done(world: World, company: Company, tmp_path: Path) -> None:
    home, topic = Home("aws", ACCOUNT, REGION), f"arn:aws:sns:{REGION}:{ACCOUNT}:keyturn"
    issuer, repository = company.issuer, company.repository
    given = {
        "BITBUCKET_STEP_OIDC_TOKEN": company.oidc_token, "AWS_OIDC_ROLE_ARN": home.iam("role/ci/deployer"),
        "AWS_DEFAULT_REGION": REGION, "IAM_USER_NAME": USER, "SECRET_ID": SECRET, "TARGETS": "deployment:staging",
    }  # fmt: skip
    printed = run_bare({**given, "ACTION": "setup", "SNS_TOPIC_ARN": topic})
    assert printed.returncode == 0, printed.stdout
    program = tmp_path / "aws"
    program.write_text(PROGRAM, encoding="utf-8")
    program.chmod(0o755)
    environ = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": "/nonexistent", "AWS_ENDPOINT_URL": world.aws_url,
        "AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": company.admin.access_key_id,
        "AWS_SECRET_ACCESS_KEY": company.admin.secret_access_key,
    }  # fmt: skip
    script = printed.stdout.rpartition("✔")[0]
    # The provider is there, but for another audience; and later somebody changes the role.
    iam().open_id_providers.clear()
    iam().create_open_id_connect_provider(issuer.url, [], ["sts.amazonaws.com"], [])
    for changed in (True, False):
        ended = subprocess.run(["sh", "-eu"], input=script, env=environ, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert state("deployer") == {
            "audiences": [["sts.amazonaws.com", issuer.audience]],
            "path": "/ci/",
            "trust": permissions.trusts_step(home, issuer.url, issuer.audience, f"{repository.uuid}:*"),
            "policies": {
                "rotate": document(permissions.rotate(home, USER, SECRET)),
                "notice": document(permissions.notice(topic)),
            },
        }
        if changed:
            iam().update_assume_role_policy("deployer", json.dumps(permissions.trusts(home.iam("root"))))
            iam().get_role("deployer").policies.clear()
    ended_run = run(world, company, **{**given, "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None})
    assert ended_run.code == 0, ended_run.output
