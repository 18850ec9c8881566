"""REVOKE in each situation: what is off, what lives, exit code and last line; run again, and killed anywhere."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest

from test.faults.sample import ALL, SEED, SPOILT
from test.rotate.model.explore import HOUR
from test.rotate.model.promises import DAY, broken
from test.rotate.model.runs import quick, run
from test.rotate.revocations import ROWS, TABLE, Row, Seen, begun, text, tried

# How many places a revocation is killed at where not all are tried.
CUTS = 2

REFUSED = [row for row in ROWS if "refuses" in row.name]
DONE = [row for row in ROWS if row not in REFUSED]


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with quick():
        yield


def test_the_table_is_what_happens() -> None:
    assert text() == TABLE.read_text(encoding="utf-8"), "read the difference: python -m test.rotate.revocations"


@pytest.mark.parametrize("row", DONE, ids=lambda row: row.name)
def test_a_revocation_that_was_killed_is_finished_by_the_next_one(row: Row) -> None:
    whole = tried(row)
    for cut in _cuts(row, whole):
        state, settings = begun(row)
        assert run(state.ground, settings, dies_after=cut).code is None
        state.passes(HOUR)
        ended = run(state.ground, settings)
        if not settings.policy.secret_id:
            # A lost key takes two runs and a day where variables alone tell of it.
            for _ in range(2):
                state.passes(DAY + HOUR)
                ended = run(state.ground, settings)
            for _ in range(3 if ended.problems else 0):
                # The leaked key is gone, which nobody knows any more; what its run has begun is finished by any other.
                run(state.ground, state.settings)
                state.passes(DAY + HOUR)
        told = f"killed after {cut} changes: {ended.last} {ended.problems}"
        leaked = state.ground.keys.get(f"AKIA{row.leaked:016d}")
        if leaked is None and (row.text or not settings.policy.secret_id):
            # What nobody knows any more by these letters, or without a secret at all, cannot be told from a typo.
            assert ended.code in (0, 1), told
        else:
            assert ended.code == whole.code, told
        if whole.code == 0:
            assert leaked is None or not leaked.active, told
            assert broken(state.ground) == set(), told
        held = {state.ground.held(name)[0] for name in state.settings.targets}
        assert len(held) == 1 or whole.code != 0, told


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.name)
def test_a_revocation_that_was_killed_while_a_target_refuses_breaks_no_other_and_is_finished_once_it_does_not(
    row: Row,
) -> None:
    whole = tried(row)
    leaked = f"AKIA{row.leaked:016d}"
    for cut in _cuts(row, whole):
        state, settings = begun(row)
        assert run(state.ground, settings, dies_after=cut).code is None
        state.passes(HOUR)
        ended = run(state.ground, settings)
        told = f"killed after {cut} changes: {ended.last} {ended.problems}"
        assert ended.code == whole.code, told
        off = broken(state.ground)
        assert {state.ground.held(name)[0] for name in off} <= ({leaked} if row.force else set()), told
        state.ground.refusing = frozenset()
        state.passes(HOUR)
        ended = run(state.ground, settings)
        told = f"{told}, and then {ended.last} {ended.problems}"
        assert ended.code == 0, told
        assert leaked not in state.ground.keys or not state.ground.keys[leaked].active, told
        assert broken(state.ground) == set(), told
        assert len({state.ground.held(name) for name in state.settings.targets}) == 1, told


def _cuts(row: Row, whole: Seen) -> Sequence[int]:
    """Return after how many changes a row's run is killed: all, or some by the seed."""
    cuts = range(1, whole.cuts + 1)
    return cuts if SPOILT == ALL else random.Random(f"{SEED} {row.name}").sample(cuts, min(CUTS, len(cuts)))
