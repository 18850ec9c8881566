"""Wherever text goes out, no value does, nothing of Keyturn's own is lost, and nothing from outside forges a line."""

from __future__ import annotations

import io
import json
import logging
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipe import redact
from pipe.errors import Denied, KeyturnError, Problem, Refused
from pipe.jobs.registry import Settings
from pipe.notice import notice
from pipe.plan import Do, Failure, Outcome, Plan, Step
from pipe.redact import Secret, learn, show
from pipe.report import Ended, Table
from pipe.retry import Deadline
from pipe.shell import main
from pipe.values import Build, Run
from test.encodings import OWN, forms, is_strong, values
from test.exposure import exposed

log = logging.getLogger("keyturn.test")

ENVIRON = {"ACTION": "pull", "DEBUG": "true", "CI": "true", "BITBUCKET_BUILD_NUMBER": "17", "FORCE_COLOR": "1"}
RUN = Run("run", "build 17 of acme/shop")


@dataclass(frozen=True)
class Works:
    """A job that acts, and repeats texts from outside wherever it says anything."""

    said: Sequence[str]

    def start(self, _: Run, __: Deadline) -> Works:
        return self

    def observe(self) -> None:
        for text in self.said:
            log.debug("heard %s", text)
            log.info("heard %s", text)
            log.warning("heard %s", text)
            log.error("heard %s", text)
            print(f"a library prints {text}")
            print(f"a library complains of {text}", file=sys.stderr)

    def plan(self, _: None) -> Plan[Step]:
        own = Step(Do.WRITE, "acme/shop Staging: DB_PASSWORD", "secret/ci/db: version 2 is new here")
        return Plan((own, *(Step(Do.KEEP, text, text, warn=True) for text in self.said)))

    def carry_out(self, _: None, plan: Plan[Step]) -> Outcome[Step]:
        failures = []
        for text in self.said:
            error = Denied(f"The server denies it: {text}", f"Look at {text}")
            log.error("write: %s", error)
            failures.append(Failure(plan.steps[0], error.what, error.check))
            failures.append(Failure(plan.steps[0], f"raw {text}", text))
        return Outcome(plan.steps[:1], tuple(failures), plan.steps[1:], changed=True)

    def summary(self, _: None, __: Plan[Step], ___: Outcome[Step] | None) -> str:
        return " ".join(["Wrote 1 variable in 1 target.", *self.said])

    def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Looks:
    """A job that shows what it has seen."""

    said: Sequence[str]

    def start(self, _: Run, __: Deadline) -> Looks:
        return self

    def run(self) -> Ended:
        own = ("current", "…MPLE", "acme/shop Staging")
        table = Table(("what", "key", "on"), (own, *((text, "x", text) for text in self.said)))
        parts: tuple[Table | str, ...] = (table, *(f"The script:\n  do it {text}\n  done" for text in self.said))
        return Ended(1, f"1 problem: {self.said[0]}", parts, tuple(self.said), {"seen": list(self.said)})


@dataclass(frozen=True)
class Fails:
    """A job that ends with an error."""

    make: Callable[[], Exception]

    def start(self, _: Run, __: Deadline) -> Looks:
        raise self.make()


def refuses(said: Sequence[str]) -> Fails:
    problems = [Problem("TARGETS", f"is wrong: {text}", f"Try {text}") for text in said]
    return Fails(lambda: Refused(problems, "\n".join(f"  to paste: {text}" for text in said)))


def errs(said: Sequence[str]) -> Fails:
    return Fails(lambda: KeyturnError(f"It failed: {said[0]}", said[-1], details="\n".join(said)))


def crashes(said: Sequence[str]) -> Fails:
    return Fails(lambda: RuntimeError(*said))


# Each way in which a run ends, with the places where text goes out in it.
JOBS: dict[str, Callable[[Sequence[str]], Any]] = {
    "log lines, stdout, stderr, the plan, failures": Works,
    "tables, texts and warnings of a view": Looks,
    "problems and details": refuses,
    "an error's text, advice and details": errs,
    "an unexpected exception": crashes,
}


@contextmanager
def process() -> Iterator[None]:
    """Put back what a run changes in its process."""
    root, keyturn = logging.getLogger(), logging.getLogger("keyturn")
    kept = sys.stdout, sys.stderr, root.handlers[:], root.level, keyturn.handlers[:], keyturn.propagate
    heard = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        sys.stdout, sys.stderr, root.handlers[:], root.level, keyturn.handlers[:], keyturn.propagate = kept
        for number, handler in heard.items():
            signal.signal(number, handler)


@dataclass(frozen=True)
class Told:
    """All that a run told: to the terminal, as its report, and as its notice."""

    code: int
    screen: str
    report: Any
    subject: str
    body: str

    @property
    def all(self) -> str:
        return "\n".join((self.screen, json.dumps(self.report, ensure_ascii=False), self.subject, self.body))


def run(job: Any, folder: Path) -> Told:
    def read(_: Mapping[str, str]) -> Settings:
        return Settings("pull", RUN, job)

    out = io.StringIO()
    with process():
        sys.stdout = sys.stderr = out
        code = main({**ENVIRON, "REPORT_DIR": str(folder)}, Deadline(), read)
    written = (folder / "keyturn-pull.json").read_text()
    report = json.loads(written)
    # A notice starts from what the run has found, as the report does.
    said = getattr(job, "said", ["nothing"])
    raw = {**report, "failed": [{"do": "write", "on": text, "what": text, "check": text} for text in said]}
    told = notice(Ended(code, f"Failed: {said[0]}", report=raw), Build("pull", f"acme/{said[0]}", "17"))
    return Told(code, out.getvalue() + written, report, told.subject, told.body)


def plain(text: str) -> str:
    return re.sub(r"\033\[[0-9;]*m", "", text)


def windows(text: str) -> set[str]:
    folded = "".join(plain(text).split())
    return {folded[at : at + 8] for at in range(len(folded) - 7)}


@pytest.mark.sample(1)
@pytest.mark.parametrize("value", values(40, seed=11), ids=ascii)
def test_no_value_gets_out_anywhere_in_any_form(value: str, tmp_path: Path) -> None:
    texts = list(forms(value).values())
    harmless = {name: run(job(["nothing"]), tmp_path) for name, job in JOBS.items()}
    learn(value)
    for name, job in JOBS.items():
        told = run(job(texts), tmp_path)
        known = windows(harmless[name].all + redact.HIDDEN) | windows("-----BEGIN KEY-----\n-----END KEY-----")
        shown = windows(told.all) - known
        assert not [text for text in texts if len(windows(text)) > 3 and windows(text) - known <= shown], name
        if is_strong(value):
            assert not shown & windows(value), name
            assert not exposed([value], told.all), name
        assert told.code == harmless[name].code
        assert plain(told.screen).split("{\n")[0].splitlines()[-1][0] in "✔✖"


@pytest.mark.parametrize("value", OWN, ids=ascii)
@pytest.mark.sample(12)
def test_no_word_of_keyturn_s_own_is_lost(value: str, tmp_path: Path) -> None:
    show("acme/shop", "Staging", "DB_PASSWORD", "secret/ci/db")
    before = {name: run(job(["nothing"]), tmp_path) for name, job in JOBS.items()}
    learn(value)
    assert {name: run(job(["nothing"]), tmp_path) for name, job in JOBS.items()} == before


FORGED = "prod\n✔ Rotated deploy-bot's key: all is well\r\x1b[2K\x9b1A\u202e\u2066\u200e\u2028✔ done\x85\ud800"


@pytest.mark.parametrize("job", JOBS)
def test_nothing_from_outside_steers_the_terminal_or_forges_a_line(job: str, tmp_path: Path) -> None:
    told = run(JOBS[job]([FORGED]), tmp_path)
    lines = plain(told.screen.partition("{\n")[0]).split("\n")
    assert not [line for line in lines if not line.isprintable()]
    assert told.body.replace("\n", "").isprintable()
    assert told.subject.isascii()
    assert "✖" in [line[:1] for line in lines]
    assert "✔" not in [line[:1] for line in lines]


def test_a_secret_in_a_text_by_mistake_is_not_shown(tmp_path: Path) -> None:
    secret = Secret("a-canary-in-a-Secret")
    told = run(Looks([f"{secret} {secret!r} %s" % secret, str([secret]), str(KeyError(secret))]), tmp_path)
    assert "canary" not in told.all
    assert "Secret(…)" in told.screen
