"""Where nobody reads what a run prints, nothing can be written, or somebody stops it, it still ends in order."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from test.support import ROOT, run_bare
from test.test_ways_out import Looks, run

# Offline, and of many lines.
SETUP = {"ACTION": "setup", "SETUP_ACTIONS": "rotate"}
REFUSED = {"ACTION": "rotate"}


def started(environ: dict[str, str], out: int | None, err: int | None = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """Start `python -m pipe` with such a stdout, None for a closed one."""
    command = [sys.executable, "-m", "pipe"]
    if out is None:
        command = ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *command]
    return subprocess.Popen(command, cwd=ROOT, env={"HOME": "/nonexistent", **environ}, stdout=out, stderr=err)


@pytest.mark.parametrize(
    ("stdout", "environ", "code"),
    [("closed", SETUP, 0), ("full", SETUP, 0), ("unread", SETUP, 0), ("full", REFUSED, 1)],
    ids=["closed", "full", "unread", "full, refused"],
)
@pytest.mark.sample(2)
def test_a_stdout_that_takes_nothing_changes_nothing(stdout: str, environ: dict[str, str], code: int) -> None:
    reading, unread = os.pipe()
    os.close(reading)
    full = os.open("/dev/full", os.O_WRONLY)
    running = started(environ, {"closed": None, "full": full, "unread": unread}[stdout])
    os.close(unread)
    os.close(full)
    _, complaint = running.communicate(timeout=60)
    assert (running.returncode, complaint) == (code, b"")


@pytest.mark.parametrize("variables", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C"}])
@pytest.mark.sample(1)
def test_a_stdout_of_other_characters_gets_the_last_line_all_the_same(variables: dict[str, str]) -> None:
    running = started({**REFUSED, "TARGETS": "prod\udcff ✔ ü", **variables}, subprocess.PIPE, subprocess.STDOUT)
    output, _ = running.communicate(timeout=60)
    *_, last, nothing = output.decode("latin-1").split("\n")
    assert nothing == ""
    assert last.endswith("see above.")
    assert "Traceback" not in output.decode("latin-1")
    assert running.returncode == 1


def test_a_run_that_is_interrupted_until_its_very_end_ends_with_its_own_code() -> None:
    running = started(SETUP, subprocess.PIPE, subprocess.STDOUT)
    assert running.stdout is not None
    ending = threading.Timer(60, running.kill)
    ending.start()
    first = running.stdout.readline()

    def interrupt() -> None:
        while running.poll() is None:
            running.send_signal(signal.SIGINT)
            time.sleep(0.0005)

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    output = first + running.stdout.read()
    running.wait(60)
    ending.cancel()
    interrupting.join()
    assert running.returncode == 0
    assert output.decode().split("\n")[-2].startswith("✔ ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_stopped_before_it_begins_says_so(number: signal.Signals) -> None:
    # Python tells each import when it is done.
    running = started({**REFUSED, "PYTHONPROFILEIMPORTTIME": "1"}, subprocess.PIPE)
    assert running.stderr is not None
    assert running.stdout is not None
    ending = threading.Timer(60, running.kill)
    ending.start()
    assert any(b"pipe.redact" in line for line in running.stderr)
    ending.cancel()
    running.send_signal(number)
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 1
    assert output.decode().splitlines()[-1].startswith("✖ ")


SEEN = Looks(["nothing"])


def told(folder: Path) -> str:
    """Return the lines about the report of a run that writes it into a folder."""
    return "\n".join(line for line in run(SEEN, folder).screen.splitlines() if "REPORT_DIR" in line)


@pytest.mark.parametrize("link", ["there", "nowhere"])
def test_a_link_in_the_place_of_a_report_is_replaced_and_not_followed(link: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    if link == "there":
        other.write_text("somebody else's")
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "keyturn-pull.json").symlink_to(other)
    assert told(folder) == ""
    assert not (folder / "keyturn-pull.json").is_symlink()
    assert json.loads((folder / "keyturn-pull.json").read_text())
    assert (other.read_text() if other.exists() else None) == ("somebody else's" if link == "there" else None)
    assert [each.name for each in folder.iterdir()] == ["keyturn-pull.json"]


def test_nobody_waits_for_who_reads_a_pipe_in_the_place_of_a_report(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "keyturn-pull.json")
    assert told(tmp_path) == ""
    assert (tmp_path / "keyturn-pull.json").is_file()


@pytest.fixture
def bad_folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return a REPORT_DIR that takes no report."""
    place = tmp_path / "reports"
    match request.param:
        case "a pipe":
            os.mkfifo(place)
        case "a file":
            place.write_text("")
        case "a device":
            place = Path("/dev/full")
        case "read-only":
            place = Path("/proc/keyturn")
        case "too long":
            place = tmp_path / ("x" * 300)
        case "in a circle":
            place.symlink_to(place)
        case "with a folder in the report's place":
            (place / "keyturn-setup.json" / "more").mkdir(parents=True)
    return str(place)


@pytest.mark.parametrize(
    "bad_folder",
    ["a pipe", "a file", "a device", "read-only", "too long", "in a circle", "with a folder in the report's place"],
    indirect=True,
)
@pytest.mark.sample(2)
def test_a_report_that_cannot_be_written_is_said_and_changes_nothing(bad_folder: str) -> None:
    ended = run_bare({**SETUP, "REPORT_DIR": bad_folder})
    assert ended.returncode == 0
    assert ended.stdout.count("WARNING: The report could not be written to REPORT_DIR: ") == 1
    assert ended.stdout.splitlines()[-1].startswith("✔ ")


def test_of_a_report_that_finds_no_room_nothing_is_left(tmp_path: Path) -> None:
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, usual[1]))
    try:
        with pytest.raises(FileNotFoundError):
            run(SEEN, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_ROLESANYWHERE_PRIVATE_KEY": "LS0tLS1CRUdJTiBé", "AWS_ROLESANYWHERE_CERTIFICATE": "é"},
        {"AWS_SESSION_POLICY": "[" * 100_000},
        {"AWS_SESSION_SECONDS": "9" * 5000},
        {"BITBUCKET_STEP_OIDC_TOKEN": "a.é.c", "AWS_OIDC_ROLE_ARN": "\udcff"},
        {"SNS_TOPIC_ARN": "arn:aws:sns:\udcff"},
        {"NOTIFY_ON": "\x1b[2J"},
    ],
)
def test_what_is_wrong_with_the_settings_of_a_notice_is_a_problem_like_others(variables: dict[str, str]) -> None:
    topic = "arn:aws:sns:eu-central-1:123456789012:keyturn"
    ended = run_bare({"ACTION": "replicate", "SNS_TOPIC_ARN": topic, **variables})
    assert ended.returncode == 1
    assert ended.stdout.splitlines()[-1].startswith("✖ Refused, nothing was touched: ")
    assert "unexpected" not in ended.stdout
    assert "Traceback" not in ended.stdout
