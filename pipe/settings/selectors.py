"""Which secrets are meant."""

from __future__ import annotations

from pipe.reading import Reader
from pipe.selectors import Selector, read_selectors


def read_secrets(reader: Reader, source: str) -> tuple[Selector, ...]:
    """Return the selectors of SECRETS for a source."""
    text = reader.text("SECRETS")
    if "SECRETS" in reader.gaps:
        return (Selector(text.removesuffix("/** *"), "*", recursive=True),)
    selectors, problems = read_selectors(text, source)
    for problem in problems:
        reader.problem("SECRETS", problem)
    if not selectors and not problems and not reader.complained("SECRETS"):
        example = "secret/ci/db" if source == "vault" else "ci/db"
        reader.missing("SECRETS", "needed; which secrets", f"Give one a line, e.g. {example} password | DB_PASSWORD.")
    return selectors
