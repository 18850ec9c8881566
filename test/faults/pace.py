"""How fast the pipe's time goes by in tests."""

from __future__ import annotations

from pipe.retry import Deadline

# A second of the pipe's waiting takes this long.
PACE = 0.01

# Real seconds in which an answer has to come: a machine that is busy takes its time, and what is asked for twice since
# the first answer was late makes a test fail that counts. The other one is for answers that are held up on purpose.
PATIENT, IMPATIENT = 60.0, 0.6

# Real seconds after which a run is ended that will not end.
LONGEST = 600


class Brisk(Deadline):
    """Makes short pauses, but waits for an answer as long as it is told to."""

    def __init__(self, patience: float = PATIENT, pace: float = PACE) -> None:
        super().__init__(pace=pace)
        self._patience = patience

    @property
    def timeouts(self) -> tuple[float, float]:
        return self._patience, self._patience
