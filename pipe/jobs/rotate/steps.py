"""The steps of a rotation."""

from __future__ import annotations

from dataclasses import dataclass

from pipe.plan import Failure, Outcome, Plan, Step


@dataclass(frozen=True)
class KeyStep(Step):
    """A step about a key: `key_id` names it for AWS, and `replaces` the key that a new one takes the place of.

    `outlook` is what becomes of a key that is kept, briefly, where the reason says more. `leaked` is set where the key
    was ordered to be off, `anyway` where that is done whoever holds it. `keys` are those of a
    step about several.
    """

    key_id: str = ""
    replaces: str = ""
    outlook: str = ""
    leaked: bool = False
    anyway: bool = False
    keys: tuple[str, ...] = ()

    @property
    def ahead(self) -> str:
        """What becomes of the key, briefly."""
        return self.outlook or self.reason


KeyFailure = Failure[KeyStep]
KeyPlan = Plan[KeyStep]
KeyOutcome = Outcome[KeyStep]
