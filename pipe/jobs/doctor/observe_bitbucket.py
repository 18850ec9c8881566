"""Looks at Bitbucket: the token's scopes, the targets, and what they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pipe.errors import KeyturnError
from pipe.retry import side_by_side
from pipe.values import Target, Variable

if TYPE_CHECKING:
    from pipe.clients.bitbucket import Bitbucket


@dataclass(frozen=True)
class BitbucketFacts:
    """What was found of Bitbucket: the variables that each target holds, and the token's scopes, if it tells them."""

    held: Mapping[Target, Mapping[str, Variable] | KeyturnError]
    scopes: frozenset[str] = frozenset()


def observe_bitbucket(bitbucket: Bitbucket, targets: Sequence[Target]) -> BitbucketFacts:
    """Return what there is to be known of the targets without writing there."""
    answers = side_by_side(partial(_look, bitbucket, target) for target in targets)
    return BitbucketFacts(dict(zip(targets, answers, strict=True)), bitbucket.scopes)


def _look(bitbucket: Bitbucket, target: Target) -> dict[str, Variable]:
    return bitbucket.variables(bitbucket.find(target))
