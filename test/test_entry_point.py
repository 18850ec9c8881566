"""`python -m pipe` as a process of its own: what it prints, how it exits, and that it heeds a signal.

All other runs are forked from a process that has imported the pipe already; how they end must not differ.
"""

from __future__ import annotations

import signal

from sandbox.wire import Fault
from sandbox.world import Company, World
from test.support import Pipe, pipe_in, really, run_bare, run_really, statuses


def test_without_any_variable_it_says_what_is_needed_and_exits_with_1() -> None:
    ended = run_really({})
    assert ended.returncode == 1
    assert ended.stdout.splitlines()[-1].startswith("✖ Refused, nothing was touched: ")
    assert ended.stdout == run_bare({}).stdout


def test_a_rotation_that_is_done_exits_with_0_and_says_the_same_as_a_forked_one(
    world: World, company: Company, pipe: Pipe
) -> None:
    ended = run_really(world.variables(company))
    assert ended.returncode == 0, ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("✔ Rotated deploy-bot's key: ")
    assert run_really(world.variables(company)).stdout == pipe().output


def test_a_rotation_that_is_half_done_exits_with_2(world: World, company: Company) -> None:
    world.bitbucket.wire.spoil(Fault("PUT */variables/*", "403", nth=3))
    ended = run_really(world.variables(company))
    assert ended.returncode == 2, ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("✖ Partly done")


def test_it_ends_by_itself_when_it_is_told_to_stop(world: World, company: Company) -> None:
    running = really(world.variables(company))
    world.aws.wire.spoil(
        Fault("secretsmanager.PutSecretValue", "call", call=lambda: running.send_signal(signal.SIGTERM))
    )
    output, _ = running.communicate(timeout=120)
    assert running.returncode in {0, 1, 2}, output
    assert output.splitlines()[-1].startswith("✔ " if running.returncode == 0 else "✖ "), output
    assert "Traceback" not in output
    world.aws.wire.mend()
    assert pipe_in(world, company)().code == 0
    assert len(statuses(world)) == 2
