"""Notices to an address: what it gets, and that nobody else learns the address."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pipe.clients.webhook import LONGEST, Webhook, body_for
from pipe.errors import KeyturnError, Refused
from pipe.jobs.registry import read_settings
from pipe.redact import Secret
from pipe.retry import Deadline
from sandbox.server import Server
from sandbox.wire import Environ, StartResponse
from sandbox.world import Company, World
from test.faults.runner import Runner

PATH = "/services/T000000/B0000000/a-secret-of-the-address"


class Taker:
    """Takes notices, and answers with what is next, at last with 200."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, Any]] = []
        self.answers: list[str] = []
        self._server = Server(self._serve)
        self.url = f"{self._server.url}{PATH}"

    def _serve(self, environ: Environ, start_response: StartResponse) -> list[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        self.taken.append((environ["PATH_INFO"], json.loads(body)))
        status = self.answers.pop(0) if self.answers else "200 OK"
        start_response(status, [("Location", self._server.url), ("Content-Type", "text/plain")])
        return [b"ok"]

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def taker() -> Iterator[Taker]:
    found = Taker()
    yield found
    found.close()


def test_an_address_gets_the_notice_and_no_line_shows_it(
    world: World, company: Company, runner: Runner, taker: Taker
) -> None:
    given = {**world.variables(company), "NOTIFY_URL": taker.url, "DEBUG": "true", "TARGETS": "deployment:nowhere"}
    ended = runner.run(given)
    assert ended.code == 1
    ((path, body),) = taker.taken
    assert path == PATH
    assert (body["schema"], body["subject"][:23]) == ("keyturn/notice/1", "Keyturn: rotate failed,")
    assert body["text"].splitlines()[0] == ended.last_line
    assert body["report"]["exit_code"] == 1
    assert "a-secret-of-the-address" not in ended.output
    assert company.token.secret not in json.dumps(body)


@pytest.mark.parametrize(
    ("answers", "code", "asked"),
    [
        (["503 Busy"], 1, 2),
        (["503 Busy", "503 Busy"], 1, 2),
        (["302 Found"], 1, 1),
        (["404 Not Found"], 1, 1),
    ],
)
def test_one_retry_no_redirect_and_no_other_exit_code(
    world: World, company: Company, runner: Runner, taker: Taker, answers: list[str], code: int, asked: int
) -> None:
    taker.answers = list(answers)
    given = {**world.variables(company), "NOTIFY_URL": taker.url, "TARGETS": "nowhere"}
    ended = runner.run(given)
    assert (ended.code, len(taker.taken)) == (code, asked)
    unsent = "The notice could not be sent: The address in NOTIFY_URL does not take the notice" in ended.output
    assert unsent is (len(answers) == asked)


def test_an_address_that_is_stored(vaulted: World, runner: Runner, taker: Taker) -> None:
    company = vaulted.seed()
    assert vaulted.vault is not None
    vaulted.vault.put("secret/ci/notify", {"url": taker.url})
    given = {**vaulted.pull_variables(company), "NOTIFY_URL_FROM": "vault: secret/ci/notify url", "NOTIFY_ON": "always"}
    ended = runner.run(given)
    assert ended.code == 0, ended.output
    assert len(taker.taken) == 1
    assert "a-secret-of-the-address" not in ended.output


@pytest.mark.parametrize("host", ["hooks.slack.com", "hooks.slack-gov.com"])
def test_slack_gets_a_text_and_nothing_else(host: str) -> None:
    text = "*Keyturn: done*\na &lt;b&gt; &amp; c"
    assert body_for(host, "Keyturn: done", "a <b> & c", {"plan": []}) == {"text": text}
    assert len(body_for(host, "s", "x" * 100_000, {})["text"]) == LONGEST


@pytest.mark.parametrize(
    "wrong",
    ["hooks.example", "http://hooks.example/x", "https://user:word@hooks.example/x", "https://a b/c", "https://"],
)
def test_an_address_that_is_none_is_refused_and_not_shown(wrong: str) -> None:
    with pytest.raises(Refused) as refused:
        read_settings({"ACTION": "rotate", "NOTIFY_URL": wrong})
    (problem,) = [each for each in refused.value.problems if each.variable == "NOTIFY_URL"]
    assert problem.what.startswith("must ")
    assert "hooks.example" not in str(problem)


def test_a_stored_address_that_is_not_https_is_not_asked() -> None:
    with pytest.raises(KeyturnError, match="must begin with https"):
        Webhook(Secret("http://hooks.example/services/secret"), Deadline())
