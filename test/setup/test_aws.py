"""What ACTION=setup says of AWS, done in the sandbox's account, twice: a rotation signs in by the role and works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, UnixStreamServer
from threading import Thread
from typing import Any

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError

from pipe import permissions
from pipe.permissions import Home, document
from sandbox.aws.keys import ACCOUNT, iam
from sandbox.world import REGION, SECRET, USER, Company, World
from test.support import run, run_bare

# AWS's own program, as far as the commands go: it hands its arguments to the test, which has boto3 loaded already.
PROGRAM = """#!{python} -IS
import json, socket, sys
with socket.socket(socket.AF_UNIX) as asking:
    asking.connect("{door}")
    asking.sendall(json.dumps(sys.argv[1:]).encode() + b"\\n")
    sys.exit(asking.makefile().read() or None)
"""


@contextmanager
def answering(door: Path, company: Company, endpoint: str) -> Iterator[None]:
    """Do what the program is asked for, as the account's administrator, and tell it what AWS refuses."""
    session = boto3.Session(company.admin.access_key_id, company.admin.secret_access_key, region_name=REGION)
    clients = {name: session.client(name, endpoint_url=endpoint) for name in ("iam", "sts")}

    class Answer(StreamRequestHandler):
        def handle(self) -> None:
            service, action, *options = json.loads(self.rfile.readline())
            try:
                ask(clients[service], action, options)
            except ClientError as error:
                self.wfile.write(str(error).encode())

    with UnixStreamServer(str(door), Answer) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield
        server.shutdown()
        thread.join()


def ask(client: Any, action: str, options: list[str]) -> None:
    """Make a request as the program would: each option is the parameter of that name."""
    name = {xform_name(each, "-"): each for each in client.meta.method_to_api_mapping.values()}[action]
    shape = client.meta.service_model.operation_model(name).input_shape
    members = {"--" + xform_name(member, "-"): member for member in shape.members}
    given = {members[option]: value for option, value in zip(options[::2], options[1::2], strict=True)}
    lists = {member for member, of in shape.members.items() if of.type_name == "list"}
    client._make_api_call(name, {each: [value] if each in lists else value for each, value in given.items()})


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
    program.write_text(PROGRAM.format(python=sys.executable, door=tmp_path / "door"), encoding="utf-8")
    program.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": "/nonexistent"}
    script = printed.stdout.rpartition("✔")[0]
    # The provider is there, but for another audience; and later somebody changes the role.
    iam().open_id_providers.clear()
    iam().create_open_id_connect_provider(issuer.url, [], ["sts.amazonaws.com"], [])
    for changed in (True, False):
        with answering(tmp_path / "door", company, world.aws_url):
            ended = subprocess.run(
                ["sh", "-eu"], input=script, env=environ, capture_output=True, text=True, check=False
            )
        (tmp_path / "door").unlink()
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
