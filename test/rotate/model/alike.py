"""When two states of the model are alike, so that what follows from them is."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from pipe.jobs.rotate.secret_journal import TRIED
from test.rotate.model.promises import DAY, State

# Beyond these, an age makes no difference any more.
LONG, SHORT = 120 * DAY, 12 * DAY


def key_of(state: State) -> object:
    """Return what two states have in common that nobody can tell apart: keys by their order, times by their age."""
    ground = state.ground
    now, secret = ground.now, ground.secret
    texts: list[Any] = []
    if secret is not None:
        announced = max((v.created for v in secret.versions.values() if "Intent" in v.value["SecretString"]), default=0)
        for version in secret.versions.values():
            body = version.value["SecretString"]
            stages = sorted(set(version.stages) - {TRIED})
            is_last = "Intent" in body and version.created == announced
            if stages or is_last or any(key in body for key in ground.keys):
                moment = min(now - int(version.created), LONG) if '"Published"' in body or '"Inactive"' in body else 0
                texts.append((stages, _aged(body, now), moment))
    mentioned = re.findall(r"AKIA\d+", f"{texts} {ground.keys} {ground.targets} {state.leaked} {state.lingers}")
    names = {key_id: f"k{number}" for number, key_id in enumerate(sorted({*mentioned, *state.orders}))}

    def named(value: object) -> str:
        return re.sub(r"AKIA\d+", lambda found: names[found[0]], str(value))

    keys = tuple(
        (
            names[key.id], min(now - key.created, LONG), key.active, key.user, key.made,
            key.used and (min(now - key.used[0], 4 * DAY), key.used[1]),
            min(now - state.free.get(key.id, now), SHORT), min(now - state.off.get(key.id, now), SHORT),
        )
        for key in sorted(ground.keys.values(), key=lambda key: key.id)
    )  # fmt: skip
    targets = sorted((name, sorted(variables.items())) for name, variables in ground.targets.items())
    return (
        keys, named(sorted(texts, key=str)), _aged(named(targets), now),
        ground.refusing, ground.silent, state.settings, named(sorted(state.foreign)), named(sorted(state.orders)),
        named(state.leaked), state.hand, named(state.lingers), secret is None,
    )  # fmt: skip


def _aged(text: str, now: int) -> str:
    """Return a text with its times as ages, and without who wrote it."""

    def age(found: re.Match[str]) -> str:
        at = datetime.fromisoformat(found[0].replace("Z", "+00:00")).timestamp()
        return f"{min(now - int(at), LONG)}s"

    return re.sub(r'"Number": ?\d+', "", re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", age, text))
