"""Which jobs there are, and whom is asked about them, where not everything can be seen."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pipe.jobs.fleet.facts import Credential
from pipe.jobs.fleet.file import Entry, FleetFile, read_file
from pipe.jobs.fleet.jobs import jobs_of
from pipe.jobs.fleet.lock import Line, Lock
from pipe.jobs.fleet.patterns import read_choice
from pipe.jobs.fleet.places import by_the_lock, sure
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
