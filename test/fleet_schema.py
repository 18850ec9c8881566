"""The JSON schema of a fleet file, for editors: made from the table of variables by `make docs`."""

from __future__ import annotations

import json
from typing import Any

from pipe.settings.rules import Choice, Number, Switch, Variable
from pipe.settings.variables import BITBUCKET_WAY, DOING, OF_THE_RUN, VARIABLES
from test.support import ROOT

SCHEMA = ROOT / "docs" / "fleet.schema.json"

_OF_STEP = r"^$|^\$[A-Z_][A-Z0-9_]*$"
_TEXT = {"type": ["string", "number", "boolean"]}
_TEXTS = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}
# The same name in other jobs is the run's.
_IN_FILE = {"ADOPT": ("replicate",)}


def schema() -> dict[str, Any]:
    """Return the schema: what is not in it is unknown; a secret is the name of a variable of the step."""
    jobs = [_job(action) for action in DOING]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A fleet of Keyturn",
        "type": "object",
        "required": ["version", "jobs"],
        "additionalProperties": False,
        "properties": {
            "version": {"enum": ["1", 1]},
            "workspace": {"type": "string", "description": "Of patterns without one. Default: the step's own."},
            "defaults": _map({each.name: _of(each) for each in VARIABLES if _is_in_file(each, DOING)}),
            "bitbucket": {
                "type": "array",
                "items": {
                    **_map({
                        "for": _TEXTS,
                        "requests": _TEXT,
                        **{each.name: _of(each) for each in VARIABLES if each.name in BITBUCKET_WAY},
                    }),
                    "required": ["for"],
                },
            },
            "jobs": {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": False,
                "patternProperties": {"^[a-z0-9-]+$": {"oneOf": jobs}},
            },
        },
    }  # fmt: skip


def _job(action: str) -> dict[str, Any]:
    own = {each.name: _of(each) for each in VARIABLES if _is_in_file(each, (action,))}
    each = {"EACH": {**_TEXTS, "description": "One job for each name, or for each repository that fits a pattern."}}
    return {**_map({"ACTION": {"const": action}, **each, **own}), "required": ["ACTION"]}


def _is_in_file(variable: Variable, actions: tuple[str, ...]) -> bool:
    taken = variable.jobs & set(actions)
    if variable.name in ("ACTION", *BITBUCKET_WAY):
        return False
    if variable.name in OF_THE_RUN:
        return actions in [(action,) for action in _IN_FILE.get(variable.name, ())]
    return bool(taken)


def _map(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _of(variable: Variable) -> dict[str, Any]:
    described = {"description": variable.meaning}
    if variable.secret:
        return {"type": "string", "pattern": _OF_STEP, **described}
    if variable.is_list or variable.is_lines:
        return {**_TEXTS, **described}
    rule = variable.rule
    if isinstance(rule, Choice):
        return {"anyOf": [{"enum": [*rule.words, ""]}, {"type": "string", "pattern": _OF_STEP}], **described}
    if isinstance(rule, Switch) and not rule.others:
        return {"enum": ["true", "false", True, False, ""], **described}
    if isinstance(rule, Number):
        return {"type": ["string", "integer"], "pattern": r"^[0-9]*$|^\$", **described}
    return {**_TEXT, **described}


def text() -> str:
    """Return the file's text."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"
