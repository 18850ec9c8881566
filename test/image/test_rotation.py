"""The image, locked down, rotates a key in the sandbox."""

from __future__ import annotations

from pathlib import Path

from sandbox.wire import Fault
from sandbox.world import USER, Company, World
from test.image.container import Ended, run
from test.support import consumers, statuses


def rotate(world: World, company: Company, clone: Path) -> Ended:
    return run(world.variables(company), clone=clone, network="host")


def test_the_whole_life_of_a_key(world: World, company: Company, tmp_path: Path) -> None:
    ended = rotate(world, company, tmp_path)
    assert ended.returncode == 0, ended.stdout
    assert ended.stdout.splitlines()[-1].startswith(f"✔ Rotated {USER}'s key: the new one is in 2 targets")
    (pair,) = consumers(world, company)
    assert pair != company.old_key
    assert world.aws.signs(pair)
    assert pair.secret_access_key not in ended.stdout

    world.clock.move(days=10)
    assert rotate(world, company, tmp_path).returncode == 0
    assert statuses(world) == {company.old_key.access_key_id: "Inactive", pair.access_key_id: "Active"}

    world.clock.move(days=10)
    assert rotate(world, company, tmp_path).returncode == 0
    assert statuses(world) == {pair.access_key_id: "Active"}
    assert world.aws.signs(pair)


def test_a_run_with_nothing_due(world: World, tmp_path: Path) -> None:
    company = world.seed(key_age_days=30)
    ended = rotate(world, company, tmp_path)
    assert ended.returncode == 0, ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("✔ Nothing to do")
    assert consumers(world, company) == {company.old_key}


def test_a_target_that_cannot_be_written_ends_it_with_two(world: World, company: Company, tmp_path: Path) -> None:
    staging = company.environments["Staging"].uuid.strip("{}")
    # Its first write proves that it can be written; from the second on it is refused.
    world.bitbucket.wire.spoil(Fault(f"PUT *{staging}*", "403", nth=2, times=0))
    ended = rotate(world, company, tmp_path)
    assert ended.returncode == 2, ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("✖ Partly done")
    world.bitbucket.wire.mend()
    assert rotate(world, company, tmp_path).returncode == 0
    (pair,) = consumers(world, company)
    assert world.aws.signs(pair)
