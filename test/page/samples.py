"""Pages of made-up runs: one repository and a thousand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from pipe.overview import Held, KeyLife, Overview, Store
from pipe.page import page
from pipe.report import Ended
from pipe.values import Build

AT = datetime(2026, 11, 29, 2, 0, tzinfo=UTC)
DAY = AT.date()
MANY = 1_000


def samples(many: int = MANY) -> dict[str, str]:
    """Return the pages by name; those of many repositories are of so many."""
    ends = {"one": one(), "keys": keys(many), "stores": stores(many), "holders": holders(many), "refused": refused()}
    return {name: page(ended, Build("status", "acme/shop", "17"), AT) for name, ended in ends.items()}


def key(user: str, name: str, age: int, *holders: str, overdue: bool = False) -> KeyLife:
    due = DAY + timedelta(days=90 - age)
    said = f"deactivate, due since {due}" if overdue else f"rotates on {due}"
    state = "previous, inactive" if overdue else "current, active"
    return KeyLife(user, name, age, not overdue, state, said, due, overdue, (90, 100, 110), holders)


def one() -> Ended:
    changes = ("create the new key", "promote the new key", "publish acme/shop Production")
    old = key("deploy-bot", "…NX2D", 95)._replace(state="previous, active", next="deactivates on 2026-12-09")
    lives = (old, key("deploy-bot", "…ZIO2", 0, "acme/shop Production", "acme/shop Staging"))
    last = "Rotated deploy-bot's key: the new one is in 2 targets; …NX2D deactivates on 2026-12-09."
    return Ended(0, last, changed=True, changes=changes, seen=Overview(lives))


def keys(many: int) -> Ended:
    """Return many users with a repository of two environments each."""
    lives = []
    for number in range(many):
        name, repository = f"ci-service-{number:04}", f"acme/service-number-{number:04}-with-a-name"
        late = number % 250 == 3
        age = 104 + number % 9 if late else number * 37 % 89
        lives.append(key(name, f"…{number:04}", age, f"{repository} Production", f"{repository} Staging", overdue=late))
    problems = tuple(
        f"{each.user}: {each.key}: {each.next}: its grace period is over" for each in lives if each.overdue
    )
    return Ended(1, f"{len(problems)} problems: {problems[0]}", seen=Overview(tuple(lives), problems=problems))


def stores(many: int) -> Ended:
    """Return many repositories that hold twelve variables each."""

    def held(number: int, at: int) -> Held:
        edited, behind = number % 100 == 3 and at == 0, number % 50 == 1 and at < 2
        return Held(
            f"VARIABLE_NUMBER_{at}", f"secret/ci/service-{number:04}/database", str(at + 1), date(2026, 11, 20),
            "somebody has made it anew" if edited else "", "the source has version 7" if behind else "", behind, edited,
        )  # fmt: skip

    everything = tuple(
        Store(f"acme/service-number-{number:04} Production", tuple(held(number, at) for at in range(12)))
        for number in range(many)
    )
    unseen = ("access keys (neither IAM_USER_NAME nor SECRET_ID is given)",)
    return Ended(0, "12,000 variables in 1,000 targets", seen=Overview(stores=everything, unseen=unseen))


def holders(many: int) -> Ended:
    """Return one key that many repositories hold."""
    places = [f"acme/service-number-{number:04}-with-a-long-name Production" for number in range(many)]
    return Ended(0, "deploy-bot: all is well", seen=Overview((key("deploy-bot", "…ABCD", 40, *places),)))


def refused() -> Ended:
    failed = [{"do": "run", "on": "rotate", "what": "TARGETS: “<nowhere>” is no target.", "check": ""}]
    return Ended(1, "Refused, nothing was touched: 1 problem, see above.", report={"failed": failed}, seen=Overview())
