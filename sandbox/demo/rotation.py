"""The calendar of one access key: four days on which the pipe runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sandbox.demo.stage import PIPE, head, run, tell, words
from sandbox.world import USER, Company, World


@dataclass(frozen=True)
class Day:
    """A day of the old key's life, and what has to be true once the pipe has run; None is a key that is not there."""

    number: int
    story: str
    old: str | None
    new: str | None = None


CALENDAR = (
    Day(30, "nothing is due", old="Active"),
    Day(91, "the key is rotated", old="Active", new="Active"),
    Day(101, "the old key is switched off", old="Inactive", new="Active"),
    Day(111, "the old key is deleted", old=None, new="Active"),
)


def play(world: World, pipe: Sequence[str] = PIPE) -> list[str]:
    """Play all days in a world, and return what was not as it had to be; the first bad day is the last."""
    today = CALENDAR[0].number
    company = world.seed(key_age_days=today)
    tell(
        f"{USER}'s access key is in two environments, Staging and Production; the pipe runs on four days of its life. "
        "It is given no key and no token but the step's own, by which it signs in to AWS and fetches Bitbucket's."
    )
    for day in CALENDAR:
        world.wait(timedelta(days=day.number - today))
        today = day.number
        # Each environment's step uses its pair, as deployments do every day.
        for pair in world.consumers().values():
            world.aws.use(pair)
        head(f"Day {day.number}: {day.story}")
        variables = world.unstored_variables(company)
        wrong = stored(company, variables) + run(pipe, variables) + problems(world, company, day)
        if wrong:
            return [f"Day {day.number}: {problem}" for problem in wrong]
        tell(f"✔ Checked: {_seen(world, company)}")
    tell(f"✔ {CALENDAR[-1].number} days: one key rotated, and on every day both environments' pairs signed requests.")
    return []


def stored(company: Company, variables: Mapping[str, str]) -> list[str]:
    """Return what the pipe was given that is a stored secret; its own token each step gets anew."""
    secrets = {company.admin.secret_access_key, company.old_key.secret_access_key, company.token.secret}
    return [f"{name} must hold no stored secret" for name, value in variables.items() if value in secrets]


def problems(world: World, company: Company, day: Day) -> list[str]:
    """Return every expectation of a day that the world, looked at from outside, does not meet."""
    wrong = []
    keys = {key.id: key.status for key in world.aws.keys(USER)}
    old = keys.pop(company.old_key.access_key_id, None)
    for name, wanted, found in (
        ("old", [day.old] if day.old else [], [old] if old else []),
        ("new", [day.new] if day.new else [], list(keys.values())),
    ):
        if wanted != found:
            wrong.append(f"the {name} key must be {words(wanted).lower()}, and is {words(found).lower()}")
    current, holders = set(keys) if day.new else {company.old_key.access_key_id}, world.consumers()
    if set(holders) != {"Staging", "Production"}:
        wrong.append(f"Staging and Production must hold a pair, and those that do are: {words(list(holders)).lower()}")
    for name, pair in holders.items():
        if pair.access_key_id not in current:
            wrong.append(f"{name} must hold the {'new' if day.new else 'old'} key, and holds {pair.access_key_id}")
        if not world.aws.signs(pair):
            wrong.append(f"{name}'s pair must sign a request, and does not")
    return wrong


def _seen(world: World, company: Company) -> str:
    ages = {company.old_key.access_key_id: "old"}
    keys = " and ".join(
        f"the {ages.get(key.id, 'new')} key …{key.id[-4:]} is {key.status.lower()}" for key in world.aws.keys(USER)
    )
    signing = [f"{name}'s pair …{pair.access_key_id[-4:]} signs" for name, pair in world.consumers().items()]
    return f"exit code 0; {keys}; {', '.join(signing)}."
