from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.clock import Clock
from test.sandbox.test_aws import Bench, together, token

CROWD = 5


class Dawdler(Clock):
    """A clock that lets other threads in where a service asks for the time, so that what is unguarded shows."""

    # moto asks for `now`, Secrets Manager for `time`; both ask for `now` before they are served.
    now_takes = 0.002
    time_takes = 0.03

    def now(self) -> datetime:
        self.sleep(self.now_takes)
        return super().now()

    def time(self) -> float:
        self.sleep(self.time_takes)
        return super().time()


@pytest.fixture
def clock() -> Dawdler:
    return Dawdler()


@pytest.fixture
def bench(clock: Dawdler) -> Iterator[Bench]:
    bench = Bench(clock)
    yield bench
    bench.close()


def race(*calls: Callable[[], Any]) -> list[Any]:
    """Make calls at the same time and return what they answered, or the code of the refusal."""
    outcomes: list[Any] = []

    def run(call: Callable[[], Any]) -> None:
        try:
            outcomes.append(call())
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])

    together(*[partial(run, call) for call in calls])
    return outcomes


def put(manager: Any, body: str) -> Any:
    return manager.put_secret_value(SecretId="s", ClientRequestToken=token(1), SecretString=body)["VersionId"]


def test_the_limit_of_two_keys_holds(bench: Bench, clock: Dawdler) -> None:
    bench.aws.add_user("bot")
    iam = bench.client("iam")
    clock.now_takes = 0.05
    outcomes = race(*[partial(iam.create_access_key, UserName="bot")] * CROWD)
    assert outcomes.count("LimitExceeded") == CROWD - 2
    assert len(bench.aws.keys("bot")) == 2


def test_puts_with_one_token_have_one_winner(bench: Bench) -> None:
    manager = bench.client("secretsmanager")
    manager.create_secret(Name="s")
    outcomes = race(*[partial(put, manager, f"body {number}") for number in range(CROWD)])
    assert sorted(outcomes) == [token(1), *["ResourceExistsException"] * (CROWD - 1)]
    secret = bench.aws.secret("s")
    assert secret
    assert list(secret.versions) == [token(1)]


def test_moves_from_one_version_have_one_winner(bench: Bench) -> None:
    for number in range(CROWD + 1):
        bench.aws.put_secret("s", "body", token(number))
    move = partial(bench.client("secretsmanager").update_secret_version_stage, SecretId="s", VersionStage="AWSCURRENT")
    move = partial(move, RemoveFromVersionId=token(CROWD))
    outcomes = race(*[partial(move, MoveToVersionId=token(number)) for number in range(CROWD)])
    assert outcomes.count("InvalidParameterException") == CROWD - 1
    secret = bench.aws.secret("s")
    previous = secret and secret.at("AWSPREVIOUS")
    assert previous
    assert previous.id == token(CROWD)
