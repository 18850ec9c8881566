"""What is said where the step's own token, or what a step should have been handed, is not there."""

from __future__ import annotations

from pipe.settings.reader import Reader
from pipe.settings.variables import STEP_TOKEN

# Why a variable that somebody has made is empty in a step all the same.
WHERE_EMPTY = (
    "Secured variables are empty in pull requests of forks, and a deployment's variables in steps without "
    "`deployment:`."
)


def lacks_token(reader: Reader, variable: str, what: str) -> None:
    """Note that a variable asks for the step's token, which is not there."""
    in_pipelines = bool(reader.plain("BITBUCKET_BUILD_NUMBER"))
    where = "" if in_pipelines else " Only a step of Pipelines has such a token."
    reader.problem(variable, what, f"Put `oidc: true` into the step ({STEP_TOKEN}).{where}", lacks=STEP_TOKEN)
