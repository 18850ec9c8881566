"""The shortest pipeline that does what somebody wants, as YAML; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

# What needs no quotes in YAML, but for some words.
_PLAIN = re.compile(r"(?!(?:true|false|yes|no|on|off|null)$)[A-Za-z$/][\w./:@$+-]*[\w/]", re.IGNORECASE)

Variables = Mapping[str, str | tuple[str, ...]]


def pipeline(environment: str, image: str, actions: Mapping[str, Variables]) -> str:
    """Return the pipeline; each action is a pipe of one step, since one sign-in serves all of them.

    Beside a rotation stands the one for a leaked key, so that nobody needs a commit on that day.
    """
    lines = ["pipelines:", "  custom:", "    keyturn:", *_step(environment, image, actions)]
    if rotates := actions.keys() & {"rotate", "fleet"}:
        asked = [
            "    # A key has leaked: Run pipeline, and give its id. Without, the run is",
            "    # refused and lists the keys.",
            "    revoke-key:",
            "      - variables:",
            "          - name: REVOKE",
            '            default: "true"',
        ]
        lines += [
            *asked,
            *_step(environment, image, {each: {"REVOKE": "$REVOKE", **actions[each]} for each in rotates}),
        ]
    return "\n".join(lines) + "\n"


def _step(environment: str, image: str, actions: Mapping[str, Variables]) -> Iterator[str]:
    yield from ("      - step:", "          oidc: true")
    if environment:
        yield f"          deployment: {_word(environment)}"
    yield from ("          concurrency-group: keyturn", "          script:")
    for action, variables in actions.items():
        yield from (f"            - pipe: {image}", "              variables:")
        yield from (f"                {line}" for line in _lines({"ACTION": action, **variables}))


def _lines(variables: Variables) -> Iterator[str]:
    for name, value in variables.items():
        if isinstance(value, str):
            yield f"{name}: {_word(value)}"
        else:
            yield f"{name}:"
            yield from (f"  - {_word(item)}" for item in value)


def _word(text: str) -> str:
    """Return a text as one word of YAML, which understands quoted texts of JSON."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
