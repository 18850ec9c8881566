"""Plays a key's calendar, pulls and replications through the real pipe: `python -m sandbox.demo`."""

from __future__ import annotations

import sys

from sandbox.demo import pull, replicate, rotation
from sandbox.demo.stage import LAG, tell
from sandbox.vault import VaultError
from sandbox.world import World

NEXT = (
    "Next: `make sandbox` starts this world with a page, to try a leak, a fleet and mistakes of your own in. For your "
    "own repository, README.md has ten steps to the first rotation."
)


def main() -> int:
    """Play the demo; return 0 if all was as it had to be, else 1."""
    try:
        with World(lag=LAG, vault=True) as world:
            wrong = rotation.play(world) or pull.play(world) or replicate.play(world)
    except VaultError as error:
        wrong = [f"The sandbox could not be started: {error}"]
    for problem in wrong:
        tell(f"✖ {problem}.")
    if not wrong:
        tell(NEXT)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
