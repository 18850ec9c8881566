"""Which secrets are meant."""

from __future__ import annotations

from pipe.selectors import Selector, read_selectors
from pipe.settings.reader import Reader
from pipe.sources.registry import source_type


def read_secrets(reader: Reader, source: str) -> tuple[Selector, ...]:
    """Return the selectors of SECRETS for a source."""
    text = reader.text("SECRETS")
    if "SECRETS" in reader.gaps:
        return (Selector(text.removesuffix("/** *"), "*", recursive=True),)
    selectors, problems = read_selectors(text, source)
    for problem in problems:
        reader.problem("SECRETS", problem)
    if not selectors and not problems and not reader.complained("SECRETS"):
        example = source_type(source).example
        reader.missing("SECRETS", "needed; which secrets", f"Give one a line, e.g. {example} password | DB_PASSWORD.")
    return selectors
