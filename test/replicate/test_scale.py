"""How much is asked for, however many secrets there are: no more than must be."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from test.faults.sample import ALL, SPOILT
from test.replicate.case import SIGNING_IN, Case
from test.support import Result

FOLDER = "secret/ci/scale"


@dataclass(frozen=True)
class Asked:
    """How many requests a run made apart from signing in and out: to each service, and what of that wrote or read."""

    vault: int
    aws: int
    read: int = 0
    written: tuple[str, ...] = ()


def asked(case: Case, result: Result, *, gone: int = 0) -> Asked:
    """Return what a run asked for; all of it was answered well, at the first time."""
    assert [seen.status for seen in result.requests if seen.status not in (200, 204)] == [404] * gone
    ours = [seen for seen in result.requests if seen.operation not in SIGNING_IN]
    written = sorted(each for each in case.to_aws(result) if each != "ListSecrets")
    by = {service: sum(seen.service == service for seen in ours) for service in ("vault", "aws")}
    return Asked(by["vault"], by["aws"], len(case.reads(result)), tuple(written))


@pytest.mark.parametrize("count", [1, 101, *([1000] if SPOILT == ALL else [])])
def test_no_more_is_asked_for_than_must_be(case: Case, count: int) -> None:
    secrets = case.vault.put_many(FOLDER, count)
    case.heard(secrets)
    case.company.secrets.clear()
    case.company.secrets.update(secrets)
    case.given["SECRETS"] = f"{FOLDER}/** *"
    pages = -(-count // 100)
    one, last = next(iter(secrets)), [*secrets][-1]
    name = last.removeprefix("secret/")

    first = case.well()
    assert asked(case, first) == Asked(1 + count, 1 + count, count, ("CreateSecret",) * count)
    assert len(first.output.splitlines()) < 10
    case.assert_right()
    assert len([path for _, path in case.vault.audited() if "/data/" in path]) >= count

    unchanged = Asked(1, pages)
    idle = case.idle()
    assert asked(case, idle) == unchanged
    assert len(idle.output.splitlines()) < 10

    case.put(one, {"token": "the-one-that-has-changed"})
    changed = Asked(2, pages + 2, 1, ("PutSecretValue", "TagResource"))
    assert asked(case, case.well()) == changed

    case.edit(name)
    assert asked(case, case.well()) == Asked(1, pages + 1, 0, ("UpdateSecretVersionStage",))

    if count > 1:
        case.vault.remove(last)
        assert asked(case, case.idle()) == unchanged, "it is kept and named"
        assert asked(case, case.well(PRUNE="true"), gone=1) == Asked(2, pages + 1, 1, ("DeleteSecret",))
        assert asked(case, case.idle(PRUNE="true")) == unchanged
        case.put(last, {"token": "the-one-that-is-made-anew"})
        assert asked(case, case.well()) == Asked(2, pages + 2, 1, ("PutSecretValue", "RestoreSecret"))

    case.assert_right()
    assert asked(case, case.idle()) == unchanged
    assert case.vault.wire.most_in_flight <= 16
    assert case.aws.wire.most_in_flight <= 16


def test_no_secret_at_all_is_no_replica(case: Case) -> None:
    case.given |= {"SECRETS": f"{FOLDER}/** *", "ON_MISSING": "keep"}
    for _ in range(2):
        result = case.idle()
        assert case.to_aws(result) == ["ListSecrets"]
        assert result.last_line == "✔ Nothing to do: 0 secrets looked at; 1 warning, see above."
