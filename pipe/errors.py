"""What can go wrong, said so that a person knows what to check."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipe.redact import clean_lines, one_line

log = logging.getLogger("keyturn")

# How many characters of a problem are told.
_LONGEST = 1200
# Problems that are told one by one.
_MOST = 200


class Problem(NamedTuple):
    """One thing that is wrong: with which `variable`, if it is one's fault, `what` it is, and what helps, if known.

    `what` may lack a full stop at its end, `advice` has one. `lacks` names the variable that is not given where that is
    what is wrong.
    """

    variable: str
    what: str
    advice: str = ""
    lacks: str = ""

    @property
    def sentence(self) -> str:
        """What is wrong, and with which variable, without the advice."""
        said = f"{self.variable}: {self.what}" if self.variable else self.what
        return said if said.endswith((".", "…")) else f"{said}."

    def __str__(self) -> str:
        return f"{self.sentence} {self.advice}".strip()


class KeyturnError(Exception):
    """Something failed: `what` says what, `check` which variable or permission to look at.

    `changed` is true where keys, secrets or targets are no longer as they were before the step that failed. `details`
    are further lines for a person at the log, such as a policy to paste.
    """

    def __init__(self, what: str, check: str = "", *, changed: bool = False, details: str = "") -> None:
        # AWS puts the cause of a refusal at its end, behind the ARNs of who asked and of what.
        self.what = one_line(what, 1200)
        self.check = one_line(check, 600)
        self.changed = changed
        self.details = clean_lines(details)
        super().__init__(self.what)

    def __str__(self) -> str:
        return f"{self.what} {self.check}".strip()


class Refused(KeyturnError):
    """The run cannot begin; every reason is named and nothing was touched.

    A problem that is a plain text is one of no single variable. Of very many the first ones are in `problems`; `count`
    says how many there are.
    """

    def __init__(self, problems: Sequence[Problem | str], details: str = "") -> None:
        different = [*dict.fromkeys(problems)]
        self.count = len(different)
        self.problems = tuple(dict.fromkeys(map(_cleaned, different[:_MOST])))
        if self.count > _MOST:
            self.problems += (Problem("", f"There are {self.count - _MOST} more of these"),)
        else:
            self.count = len(self.problems)
        first = self.problems[0]
        alone = self.count == 1
        super().__init__(
            first.sentence if alone else f"{self.count} problems", first.advice if alone else "", details=details
        )

    @classmethod
    def by(cls, errors: Sequence[KeyturnError]) -> Refused:
        """Return the refusal for several errors, those of refusals one by one."""
        details = dict.fromkeys(error.details for error in errors if error.details)
        return cls(problems_of(errors), "\n\n".join(details))


class ServiceError(KeyturnError):
    """A service answered with an error that asking again does not mend; `code` is its own name for it, if known.

    `check` is required: whoever reads of a service's error is told which variable, permission or network to look at.
    `unclear` is true where the request may have been carried out although no good answer came, be it at an earlier
    attempt than the one that failed in the end.
    """

    code = ""
    unclear = False

    def __init__(self, what: str, check: str, *, changed: bool = False, details: str = "") -> None:
        super().__init__(what, check, changed=changed, details=details)


class Denied(ServiceError):
    """The identity is known but may not do this."""


class BadCredentials(ServiceError):
    """The service does not know the credentials, or they do not fit together."""


class Mismatched(BadCredentials):
    """The service knows the key, but the secret is another one's."""


class Missing(ServiceError):
    """What was asked for does not exist."""


class Conflict(ServiceError):
    """It exists already."""


class WrongState(ServiceError):
    """Its state does not allow this: a label is elsewhere, it waits for its deletion, another service owns it."""


class Invalid(ServiceError):
    """The service does not understand the request, or does not take its values."""


class Unsupported(ServiceError):
    """The service cannot do this at all; another one of its kind, or a newer one, may."""


class LimitReached(ServiceError):
    """A quota of the service is used up."""


class Unreadable(ServiceError):
    """The answer is not one of the service's; the request may have been carried out all the same."""


class Busy(ServiceError):
    """The service cannot answer now; asking again may help.

    `after` is the pause in seconds that the service asked for; `throttled` is true where the service wants fewer
    requests. Asking again is given up at `until`, by the monotonic clock.
    """

    def __init__(
        self,
        what: str,
        check: str,
        *,
        after: float | None = None,
        unclear: bool = False,
        throttled: bool = False,
        until: float | None = None,
    ) -> None:
        super().__init__(what, check)
        self.after = after
        self.unclear = unclear
        self.throttled = throttled
        self.until = until


class Unexpected(KeyturnError):
    """Something that nobody has thought of; `cause` is told by its kind alone, since its words may hold a secret."""

    def __init__(self, cause: Exception, *, changed: bool = False) -> None:
        super().__init__(
            f"An unexpected {type(cause).__name__} ended the run.",
            "Run with DEBUG: 'true' and report it.",
            changed=changed,
        )
        log.debug("%s", _where(cause))


class Elsewhere(KeyturnError):
    """Another run is doing the work; there is nothing to be done here, and nothing is wrong."""


class Stopped(KeyturnError):
    """The run was told to end (SIGTERM) or its time is over."""


def problems_of(errors: Iterable[KeyturnError]) -> list[Problem]:
    """Return what is wrong by several errors, by those of refusals one by one."""
    problems: list[Problem] = []
    for error in errors:
        problems += error.problems if isinstance(error, Refused) else [Problem("", error.what, error.check)]
    return problems


def _cleaned(problem: Problem | str) -> Problem:
    """Return a problem without secrets, each of its parts on one line."""
    if isinstance(problem, str):
        return Problem("", one_line(problem, _LONGEST))
    what, advice = one_line(problem.what, _LONGEST), one_line(problem.advice, _LONGEST)
    return Problem(problem.variable, what, advice, problem.lacks)


def _where(error: Exception) -> str:
    """Return where an unexpected error came from: files and lines, and none of its words."""
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{os.path.basename(code.co_filename)}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return " > ".join(places)
