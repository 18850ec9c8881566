"""What `pull` needs to know."""

from __future__ import annotations

from dataclasses import dataclass

from pipe.reading import Reader
from pipe.selectors import read_selectors
from pipe.settings.vault import VaultAccess, read_vault
from pipe.values import Pull

SOURCES = ("vault",)


@dataclass(frozen=True)
class PullJob:
    """What is pulled, and how its source is asked."""

    pull: Pull
    vault: VaultAccess


def read_pull_job(reader: Reader) -> PullJob:
    """Return what is pulled from where."""
    reader.choice("SOURCE", SOURCES)
    selectors, problems = read_selectors(reader.lines("SECRETS"))
    for problem in problems:
        reader.problem(f"SECRETS: {problem}")
    if not selectors and not problems:
        reader.problem("SECRETS: needed; which secrets, one a line, e.g. secret/ci/db password | DB_PASSWORD.")
    state_variable = reader.variable_name("STATE_VARIABLE")
    for selector in selectors:
        if selector.name == state_variable and not selector.wild:
            reader.problem(f"SECRETS: “{selector.text}”: {state_variable} is the variable that Keyturn remembers in.")
    pull = Pull(
        selectors=selectors,
        secured=reader.switch("SECURED"),
        prune=reader.switch("PRUNE"),
        fail_on_missing=reader.choice("ON_MISSING", ("fail", "keep")) == "fail",
        force=reader.switch("FORCE"),
        encode=reader.choice("ENCODE", ("", "base64")) == "base64",
        trim=reader.choice("TRIM", ("", "newline")) == "newline",
        state_variable=state_variable,
    )
    return PullJob(pull, read_vault(reader))
