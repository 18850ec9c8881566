"""What `pull` needs to know."""

from __future__ import annotations

from dataclasses import dataclass

from pipe.reading import Reader
from pipe.settings.bitbucket import Targets, read_targets
from pipe.settings.selectors import read_secrets
from pipe.settings.vault import VaultAccess, read_vault
from pipe.values import Pull

SOURCES = ("vault",)


@dataclass(frozen=True)
class PullJob:
    """What is pulled, where it is written, and how its source is asked."""

    targets: Targets
    pull: Pull
    vault: VaultAccess


def read_pull_job(reader: Reader) -> PullJob:
    """Return what is pulled from where."""
    reader.choice("SOURCE", SOURCES)
    selectors = read_secrets(reader, "vault")
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
    return PullJob(read_targets(reader), pull, read_vault(reader))
