"""When two states of the model are alike, so that what follows from them is."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from pipe.jobs.rotate.journal import Label
from test.rotate.model.promises import DAY, State

# Beyond these, an age makes no difference any more: a key is due, a moment is long enough ago (without a secret, grace
# and recovery together), a key is quiet, an announcement is closed and a lost key may be deleted.
DUE, OVER, QUIET, OLD = 90 * DAY, 20 * DAY, 3 * DAY, DAY
# Below the first, an announcement keeps other runs away; above it hours make no difference, since all limits are whole
# days, and what passes beside days in a history are some hours.
YOUNG, HOUR = 15 * 60, 3_600
# A key that was made so long after an announcement may be the one that it announced.
WINDOW = (-60, 16 * 60)

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def key_of(state: State) -> object:
    """Return what two states have in common that nobody can tell apart: keys by their order, times by their age."""
    ground = state.ground
    now, secret = ground.now, ground.secret
    texts: list[Any] = []
    if secret is not None:
        announced = max((v.created for v in secret.versions.values() if "Intent" in v.value["SecretString"]), default=0)
        for version in secret.versions.values():
            # When a pair was made is told by IAM's list; nobody reads it here.
            body = re.sub(r'"CreateDate": "[^"]*"', "", version.value["SecretString"])
            stages = sorted(set(version.stages) - {Label.TRIED})
            is_last = "Intent" in body and version.created == announced
            if stages or is_last or any(key in body for key in ground.keys):
                moment = _age(now - int(version.created), OVER) if '"Published"' in body or '"Inactive"' in body else 0
                texts.append((stages, body, moment))
    targets = sorted((name, sorted(variables.items())) for name, variables in ground.targets.items())
    whole = f"{texts} {targets}"
    mentioned = re.findall(r"AKIA\d+", f"{whole} {ground.keys} {state.leaked} {state.lingers}")
    names = {key_id: f"k{number}" for number, key_id in enumerate(sorted({*mentioned, *state.orders}))}
    stamps = sorted({_seconds(found) for found in STAMP.findall(whole)})

    def named(value: object) -> str:
        return re.sub(r"AKIA\d+", lambda found: names[found[0]], str(value))

    made = -1
    keys = []
    for key in sorted(ground.keys.values(), key=lambda key: key.id):
        keys.append((
            names[key.id], _age(now - key.created, DUE), key.created == made, key.active, key.user, key.made,
            key.used and (_age(now - key.used[0], QUIET), key.used[1]),
            _age(now - state.free.get(key.id, now), OVER), _age(now - state.off.get(key.id, now), OVER),
            [WINDOW[0] <= key.created - at <= WINDOW[1] for at in stamps],
        ))  # fmt: skip
        made = key.created
    return (
        tuple(map(str, keys)), named(sorted(_aged(str(text), now) for text in texts)), _aged(named(targets), now),
        ground.refusing, ground.silent, state.settings, named(sorted(state.foreign & ground.keys.keys())),
        named(sorted(state.orders)), named(state.leaked), state.hand, named(state.lingers), secret is None,
    )  # fmt: skip


def _age(seconds: int, most: int) -> int:
    """Return an age as far as it makes a difference."""
    if seconds < YOUNG:
        return seconds
    return min(max(HOUR, seconds // DAY * DAY), most)


def _seconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp())


def _aged(text: str, now: int) -> str:
    """Return a text with its times as ages, and without who wrote it."""
    ages = STAMP.sub(lambda found: f"{_age(now - _seconds(found[0]), OLD)}s", text)
    return re.sub(r'"Number": ?\d+', "", ages)
