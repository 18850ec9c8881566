"""Which jobs there are, whom is asked about them, and how a run ends, where not everything can be seen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pipe.jobs.fleet.facts import Credential
from pipe.jobs.fleet.file import Entry, FleetFile, read_file
from pipe.jobs.fleet.jobs import FleetJob, jobs_of
from pipe.jobs.fleet.lock import Line, Lock
from pipe.jobs.fleet.patterns import read_choice
from pipe.jobs.fleet.places import by_the_lock, sure
from pipe.jobs.fleet.result import Result, view
from pipe.values import Repository

A, B = (f"{{00000000-0000-0000-0000-00000000000{number}}}" for number in (1, 2))
LOCK = Lock([Line("keys/svc", "acme/svc:repository", A), Line("other", "acme/website:repository", B)])


def of_each(pattern: str) -> FleetFile:
    return read_file(
        f"version: 1\nworkspace: acme\njobs:\n  keys:\n    EACH: '{pattern}'\n    ACTION: rotate\n"
        "    IAM_USER_NAME: ci-$each\n    TARGETS: repository\n".encode(),
        "keyturn.yaml",
        "",
    )


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("project:PAY/*", ["keys/svc"]),
        ("acme/*", ["keys/svc", "keys/website"]),
        ("acme/web*", ["keys/website"]),
    ],
)
def test_each_of_a_project_is_not_a_repository_that_only_another_jobs_line_tells_of(
    pattern: str, names: list[str]
) -> None:
    fleet = of_each(pattern)
    jobs = jobs_of(fleet, fleet.groups[0], by_the_lock(LOCK.lines).repositories)
    assert [job.name for job in sure(fleet, jobs, LOCK)] == names


def test_each_is_every_repository_that_a_list_shows() -> None:
    fleet = of_each("project:PAY/*")
    jobs = jobs_of(fleet, fleet.groups[0], [Repository("acme", "new", B, "PAY", A)])
    assert [job.name for job in sure(fleet, jobs, LOCK)] == ["keys/new"]


def test_a_credential_is_not_asked_about_a_workspace_of_which_it_leaves_repositories_out() -> None:
    aims = tuple(read_choice(text, "") for text in ("acme/*", "!other/legacy"))
    nothing = cast(Any, None)
    credential = Credential(Entry(1, aims, {}), nothing, nothing)
    assert [credential.lists(workspace) for workspace in ("acme", "other")] == [True, False]


@pytest.mark.parametrize(
    ("worst", "changed", "leak", "dead", "code"),
    [
        (0, False, "", "", 0),
        (0, True, "", "", 0),
        (0, False, "", "refused", 1),
        (0, True, "", "refused", 2),
        (0, False, "…0001, which leaked, is inactive", "refused", 1),
        (1, False, "", "", 1),
        (1, True, "", "", 2),
        (1, False, "…0001, which leaked, is still active", "", 2),
        (2, False, "", "", 2),
    ],
)
def test_a_credential_that_shows_nothing_is_no_work_that_was_done_in_part(
    worst: int, changed: bool, leak: str, dead: str, code: int
) -> None:
    api = SimpleNamespace(asked=1, refused=0, limit=1_000)
    credential = cast(Any, SimpleNamespace(name="acme/*", api=api, dead=dead, throttled=False))
    result = Result(FleetJob(of_each("acme/*").groups[0]), worst, "said", changed=changed)
    ended = view([result], [credential], (), (), dry_run=False, part="", leak=leak, locked=True)
    assert ended.code == code
