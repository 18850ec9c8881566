from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import boto3
import jwt
import pytest
import requests

from sandbox.server import PortTaken, Server
from sandbox.world import USER, World
from test.support import ROOT

# Seconds in which the sandbox has to say what runs where.
GREETED = 120


class Started:
    """`python -m sandbox` as a process of its own, and what it has printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.lines: list[str] = []
        for line in process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.endswith("instead of the checkout.\n"):
                break
        else:
            raise AssertionError(f"The sandbox has ended, or was ended after {GREETED} seconds: {self.lines}")
        self.text = "\n".join(self.lines)
        places = re.findall(
            r"^ {2}(Page|Bitbucket|AWS|OpenBao) +(http://127\.0\.0\.1:\d+\S*) ", self.text, re.MULTILINE
        )
        self.places = dict(places)

    def command(self, name: str) -> str:
        """Return the line to paste that runs the pipe so."""
        [found] = re.findall(rf"^ {{2}}(curl \S+ \S+/run/{re.escape(name)}'? .*)$", self.text, re.MULTILINE)
        return str(found)

    def control(self, method: str, name: str, **form: str) -> requests.Response:
        return requests.request(method, self.places["Page"] + name, data=form, timeout=10)


@contextmanager
def sandbox() -> Iterator[Started]:
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
        start_new_session=True,
    )  # fmt: skip
    ending = threading.Timer(GREETED, os.killpg, (process.pid, signal.SIGKILL))
    ending.start()
    try:
        started = Started(process)
        ending.cancel()
        yield started
    finally:
        ending.cancel()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def paste(command: str) -> str:
    """Run a command as the shell does to which it is pasted, and return what it prints."""
    ran = subprocess.run(
        ["/bin/sh", "-c", command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


def end(started: Started, number: int) -> None:
    """Stop the sandbox by a signal to it alone, and see that nothing of it is left."""
    started.process.send_signal(number)
    rest, _ = started.process.communicate(timeout=60)
    assert (started.process.returncode, rest) == (0, "")
    with pytest.raises(ProcessLookupError):
        os.killpg(started.process.pid, 0)


def test_it_says_what_runs_where_and_what_it_prints_runs_the_pipe_in_every_way() -> None:
    with sandbox() as started:
        assert len(started.lines) < 30
        assert max(map(len, started.lines)) <= 120
        bitbucket, aws, openbao = (started.places[name] for name in ("Bitbucket", "AWS", "OpenBao"))
        assert requests.get(f"{bitbucket}/", timeout=10).url == started.places["Page"]
        assert requests.get(f"{openbao}/v1/sys/health", timeout=10).status_code == 200
        services = {"bitbucket": bitbucket, "aws": aws, "openbao": openbao}
        assert started.control("GET", "state").json()["services"] == services
        scripts = [started.control("GET", f"run/rotate-by-keys{image}").text for image in ("", "?image=keyturn:latest")]
        assert scripts[1].startswith("docker run --rm --read-only --cap-drop ALL")
        checkout, image = (set(re.findall(r"\w+=(?:'[^']*'|\S+)", script)) for script in scripts)
        assert checkout == image
        assert f"AWS_ENDPOINT_URL={aws}" in image
        old = {pair["key"] for pair in started.control("GET", "check").json().values()}
        assert "✔ Rotated deploy-bot's key" in paste(started.command("rotate-by-keys"))
        assert "assumed-role/keyturn" in paste(started.command("rotate"))
        started.control("POST", "clock", days="10")
        by_token = paste(started.command("rotate"))
        assert "assumed-role/keyturn" in by_token
        assert "✔ Deactivated" in by_token
        assert "in 3 targets" in paste(started.command("pull"))
        assert "12 secrets" in paste(started.command("replicate"))
        assert "rotate: all is well" in paste(started.command("doctor"))
        (lock,) = re.findall(r"The new lock is in (\S+keyturn\.lock)", paste(started.command("fleet-lock")))
        assert Path(lock).exists()
        file = Path(lock).with_name("keyturn.yaml")
        file.write_text(file.read_text(encoding="utf-8") + "  # as somebody has it\n", encoding="utf-8")
        assert "2 changed" in paste(started.command("fleet"))
        assert file.read_text(encoding="utf-8").endswith("# as somebody has it\n")
        status = started.command("status").replace("run/status", "'run/status?FLEET=keyturn.yaml'")
        assert "3 jobs, 0 with a problem" in paste(status)
        check = started.control("GET", "check")
        assert check.status_code == 200
        assert old.isdisjoint(pair["key"] for pair in check.json().values())
        end(started, signal.SIGINT)
        assert not Path(lock).parent.exists()


def test_a_taken_port_is_said_in_one_line() -> None:
    server = Server(lambda *_: [])
    # OpenBao is started last, when all else runs already.
    ran = subprocess.run(
        [sys.executable, "-m", "sandbox", f"--openbao-port={server.server_port}"],
        cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    server.close()
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        f"✖ The sandbox could not be started: port {server.server_port} cannot be used: address already in use.\n"
    )


def test_a_world_that_cannot_start_leaves_nothing_running() -> None:
    server = Server(lambda *_: [])
    world = World()
    with pytest.raises(PortTaken):
        world.start(aws_port=server.server_port)
    server.close()
    with pytest.raises(requests.ConnectionError):
        requests.get(world.bitbucket_url, timeout=10)


def test_the_company_has_an_old_key_in_two_of_three_environments(world: World) -> None:
    company = world.seed(key_age_days=95)
    assert list(company.environments) == ["Test", "Staging", "Production"]
    assert world.consumers() == {"Staging": company.old_key, "Production": company.old_key}
    [key] = world.aws.keys(USER)
    assert (world.clock.now() - key.created).days == 95
    assert world.aws.signs(company.old_key)


def test_a_moment_has_the_providers_of_tokens_and_the_tags_of_users(world: World) -> None:
    company = world.seed()
    client = boto3.client(
        "iam",
        region_name=world.aws.region,
        endpoint_url=world.aws_url,
        aws_access_key_id=company.admin.access_key_id,
        aws_secret_access_key=company.admin.secret_access_key,
    )
    client.tag_user(UserName=USER, Tags=[{"Key": "team", "Value": "shop"}])
    [provider] = client.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    moment = world.save()
    client.delete_open_id_connect_provider(OpenIDConnectProviderArn=provider["Arn"])
    client.untag_user(UserName=USER, TagKeys=["team"])
    world.restore(moment)
    assert client.list_open_id_connect_providers()["OpenIDConnectProviderList"] == [provider]
    assert client.list_user_tags(UserName=USER)["Tags"] == [{"Key": "team", "Value": "shop"}]


def test_a_step_s_token_holds_by_both_clocks(world: World) -> None:
    company = world.seed()
    machine = datetime.now(UTC).timestamp()
    for days in (0, 111, -222):
        sandbox = world.clock.move(days=days).timestamp()
        claims = jwt.decode(company.oidc_token, options={"verify_signature": False})
        assert claims["iat"] <= min(machine, sandbox) + 1
        assert claims["exp"] >= max(machine, sandbox) + 3599
