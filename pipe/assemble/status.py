"""Makes a status out of settings: a rotation that is only looked at."""

from __future__ import annotations

from pipe.actions.status import Look
from pipe.assemble.rotation import rotation
from pipe.patience import Patience
from pipe.settings import Settings
from pipe.settings.rotation import RotateJob


def status(settings: Settings, job: RotateJob, patience: Patience) -> Look:
    """Sign in to AWS and return the status; raises Refused for an account that is not allowed, and ServiceError."""
    return Look(rotation(settings, job, patience))
