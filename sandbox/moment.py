"""A moment of the world that one can go back to, as often as one likes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sandbox.aws import Aws
from sandbox.aws.keys import iam, sts
from sandbox.bitbucket import Bitbucket
from sandbox.clock import Clock
from sandbox.moods import Moods


@dataclass(frozen=True)
class Moment:
    """The contents of all collections that make the world up, and the clock's shift."""

    contents: tuple[Any, ...]
    shift: timedelta


def save(clock: Clock, bitbucket: Bitbucket, aws: Aws, moods: Moods) -> Moment:
    """Return the present moment."""
    with _still(bitbucket, aws):
        # One copy for all: a key must be the same object in the user's list and in IAM's index.
        return Moment(copy.deepcopy((*_collections(bitbucket, aws), moods.on)), clock.shift)


def restore(moment: Moment, clock: Clock, bitbucket: Bitbucket, aws: Aws, moods: Moods) -> None:
    """Make the world what it was at that moment."""
    with _still(bitbucket, aws):
        then = copy.deepcopy(moment.contents)
        for now, before in zip((*_collections(bitbucket, aws), moods.on), then, strict=True):
            now.clear()
            now.update(before)
        clock.shift = moment.shift
        moods.settle()


def _still(bitbucket: Bitbucket, aws: Aws) -> ExitStack:
    """Hold every service's lock."""
    stack = ExitStack()
    for lock in (*aws.locks, bitbucket.lock):
        stack.enter_context(lock)
    return stack


def _collections(bitbucket: Bitbucket, aws: Aws) -> Iterator[Any]:
    yield from bitbucket.collections
    yield from aws.collections
    yield iam().users
    yield iam().access_keys
    yield iam().roles
    yield iam().open_id_providers
    yield iam().tagger.tags
    yield sts().__dict__
