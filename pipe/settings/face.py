"""The pipe as the toolkit for Bitbucket's pipes knows it: variables, validated by a schema made from their table."""

from __future__ import annotations

import atexit
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from cerberus import Validator
from cerberus.errors import CUSTOM, BaseErrorHandler

from pipe.errors import Problem
from pipe.settings.rules import Variable
from pipe.settings.variables import ACTIONS, BY_NAME, VARIABLES

# The toolkit adds a handler to the root logger, and colorama, which it starts, ends the process with a code for
# terminals: both are undone.
_root = logging.getLogger()
_level, _handlers = _root.level, _root.handlers[:]

from bitbucket_pipes_toolkit import Pipe  # noqa: E402 - what was before has to be known
from colorama.initialise import reset_all  # noqa: E402 - see above

_root.handlers[:] = _handlers
_root.setLevel(_level)
atexit.unregister(reset_all)

_Complain = Callable[[str, Any, Problem], None]


class Face(Pipe):  # type: ignore[misc]  # the toolkit has no types
    """The variables that a job takes and that are given, as texts and lists; `refused` is what is wrong with each.

    The toolkit prints nothing, exits nowhere, and leaves the log alone; no value of a variable reaches its words.
    """

    def __init__(self, environ: Mapping[str, str], action: str) -> None:
        errors = _Collected()
        self.refused = errors.problems
        given: dict[str, str] = {}
        schema: dict[str, dict[str, Any]] = {}
        for name, rules in schema_of(action).items():
            try:
                texts = _texts(environ, BY_NAME[name])
            except ValueError:
                self.refused[name] = [Problem(name, f"{name}_COUNT must be a whole number")]
                continue
            if texts:
                given |= texts
                schema[name] = rules
        super().__init__(
            pipe_metadata={},
            # Those that are given: Cerberus checks a schema before it is used, each entry as slowly as a value.
            schema=schema,
            env=given,
            logger=logging.getLogger("keyturn"),
            validator=_Once(schema, purge_unknown=True, error_handler=errors),
        )

    def fail(self, message: str, print_community_link: bool = False) -> None:
        """Go on: what is wrong is told by the run, together with all else that is."""

    def enable_debug_log_level(self) -> None:
        """Leave the log to the shell."""


@cache
def schema_of(action: str) -> dict[str, dict[str, Any]]:
    """Return the schema of the variables that an action takes, of all of them for one that there is not.

    All are texts, or lists of texts: the toolkit would take a number for YAML, so that 010 is 8. Rules are functions,
    since Cerberus's own rules repeat the value that they refuse.
    """
    taken = [variable for variable in VARIABLES if action not in ACTIONS or action in variable.jobs]
    return {
        variable.name: {"type": "list" if variable.is_list else "string", "check_with": _checked(variable)}
        for variable in taken
    }


def _texts(environ: Mapping[str, str], variable: Variable) -> dict[str, str]:
    """Return what the toolkit is to read of a variable, nothing where it is empty; raises ValueError.

    The toolkit takes an empty text for a value, knows no list but NAME_COUNT, NAME_0 and so on, and no text that may
    be given as one.
    """
    name = variable.name
    text, count = environ.get(name, "").strip(), environ.get(f"{name}_COUNT", "").strip()
    if not variable.is_list and not variable.is_lines:
        return {name: text} if text else {}
    items = [text] if variable.is_lines else re.split(r"[,\n]", text)
    if count:
        if not re.fullmatch(r"[0-9]{1,4}", count):
            raise ValueError(name)
        items = [environ.get(f"{name}_{index}", "") for index in range(int(count))]
    items = list(dict.fromkeys(item.strip() for item in items if item.strip()))
    if not items:
        return {}
    if variable.is_lines:
        return {name: "\n".join(items)}
    return {f"{name}_COUNT": str(len(items)), **{f"{name}_{index}": item for index, item in enumerate(items)}}


def items_of(environ: Mapping[str, str], variable: Variable) -> tuple[str, ...]:
    """Return the items of a list as they are given, for a job that has a rule of its own for them."""
    try:
        texts = _texts(environ, variable)
    except ValueError:
        return ()
    return tuple(text for name, text in texts.items() if not name.endswith("_COUNT"))


def text_of(environ: Mapping[str, str], name: str) -> str:
    """Return a variable as one text, as a list of YAML, too, has it; an empty one where it is not given."""
    return "\n".join(items_of(environ, BY_NAME[name]))


def _checked(variable: Variable) -> Callable[[str, str | Sequence[str], _Complain], None]:
    def check(field: str, value: str | Sequence[str], complain: _Complain) -> None:
        for problem in variable.problems(value):
            complain(field, CUSTOM, problem)

    return check


class _Known(set[object]):
    """Has everything."""

    def __contains__(self, _: object) -> bool:
        return True


class _Once(Validator):  # type: ignore[misc]  # Cerberus has no types
    """Validates once; the toolkit would do so a second time to get at the values, and lose them where any is wrong."""

    # The schema comes from the table, and a test checks it; Cerberus would do so in each run.
    _valid_schemas = _Known()

    def validated(self, *_: Any, **__: Any) -> Mapping[str, Any]:
        return dict(self.document)


class _Collected(BaseErrorHandler):  # type: ignore[misc]  # Cerberus has no types
    """Collects what is wrong, by variable; the toolkit is told the variables alone."""

    def __init__(self) -> None:
        super().__init__()
        self.problems: dict[str, list[Problem]] = {}

    def __call__(self, errors: Iterable[Any]) -> dict[str, list[str]]:
        return {error.field: ["refused"] for error in errors}

    def emit(self, error: Any) -> None:
        self.problems.setdefault(error.field, []).extend(error.info)
