"""Starts the pretend world and keeps it until it is told to stop: `python -m sandbox`."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence

from sandbox.control import Control
from sandbox.fleet import add_site
from sandbox.moods import UnknownMood
from sandbox.overview import overview
from sandbox.server import PortTaken
from sandbox.vault import VaultError
from sandbox.world import World


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; return 0, or 1 if the sandbox could not be started."""
    options = _parser().parse_args(arguments)
    end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end.set())
    try:
        world = World(vault=True, moods=[mood for moods in options.mood for mood in moods.split(",")])
        world.start(options.bitbucket_port, options.aws_port, options.openbao_port, front=Control)
    except (UnknownMood, PortTaken, VaultError) as error:
        print(f"✖ The sandbox could not be started: {error}.", file=sys.stderr)
        return 1
    try:
        world.seed()
        add_site(world)
        print(overview(world), flush=True)
        end.wait()
    finally:
        world.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="A pretend world to try Keyturn in: Bitbucket Cloud, AWS and OpenBao on this machine alone.",
    )
    for service in ("bitbucket", "aws", "openbao"):
        parser.add_argument(
            f"--{service}-port", type=int, default=0, metavar="PORT", help="by default any that is free"
        )
    parser.add_argument(
        "--mood",
        action="append",
        default=[],
        metavar="MOODS",
        help="behave otherwise: put=replace,lag=24; docs/sandbox.md lists the moods",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
