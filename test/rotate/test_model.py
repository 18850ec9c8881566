"""Every short history of a rotation, in a model of its world: whatever happens in which order, no promise is broken.

The pipe's own rotation is run, on services in memory that are as strict as the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from test.faults.figures import FIGURES
from test.faults.sample import ALL, SEED, SPOILT
from test.rotate.model.events import calm, everything, rich
from test.rotate.model.explore import explore, walk
from test.rotate.model.promises import State
from test.rotate.model.runs import quick
from test.rotate.model.starts import starts

# How many events a history has, and how many histories of each start are tried where not all are.
EVENTS = 4
WALKS = 16


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with quick():
        yield


@pytest.mark.sample(10)
@pytest.mark.parametrize(("name", "start"), [pytest.param(*each, id=each[0]) for each in starts()])
def test_no_history_breaks_a_promise(
    name: str, start: Callable[[], State], record_property: Callable[[str, object], None]
) -> None:
    if SPOILT == ALL:
        found = explore({name: start()}, everything, EVENTS)
    else:
        found = walk({name: start()}, calm, rich, EVENTS, WALKS, SEED)
    record_property(FIGURES, ("model of rotation", dict(found.counted)))
    assert not found.wrong, "\n\n".join(" | ".join(story) for story in found.wrong.values())
