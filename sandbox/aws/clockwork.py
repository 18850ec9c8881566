"""The names in moto that are replaced: its clock, and its own note of a key's last use."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import moto.iam.models
import moto.sns.models
import moto.sts.models

from sandbox.clock import Clock


def wind(clock: Clock) -> None:
    """Make moto live by this clock, in whole seconds as AWS does."""

    def utcnow() -> datetime:
        return naive(clock.now())

    for module in (moto.iam.models, moto.sts.models, moto.sns.models):
        vars(module)["utcnow"] = utcnow
    # AWS shows a key's last use hours later; `sandbox.aws.keys` keeps that book.
    vars(moto.iam.models)["mark_account_as_visited"] = _ignore


def naive(moment: datetime) -> datetime:
    """Return an aware UTC time as moto keeps it."""
    return moment.replace(tzinfo=None, microsecond=0)


def _ignore(**_: Any) -> None:
    """Do nothing."""
