from datetime import timedelta
from typing import Any

import pytest

from sandbox.aws import Pair
from test.sandbox.test_aws import Bench, refusal

IDENTITY = "get_caller_identity"


def accepted(bench: Bench, pair: Pair, times: int) -> str:
    """Ask who we are so many times; `y` stands for an answer, `n` for a refusal of the key."""
    sts = bench.client("sts", pair)
    seen = ""
    for _ in range(times):
        try:
            sts.get_caller_identity()
            seen += "y"
        except sts.exceptions.ClientError as error:
            seen += {"InvalidClientTokenId": "n"}.get(error.response["Error"]["Code"], "?")
    return seen


def make_key(bench: Bench, user: str) -> Pair:
    key = bench.client("iam").create_access_key(UserName=user)["AccessKey"]
    return Pair(key["AccessKeyId"], key["SecretAccessKey"])


def last_used(bench: Bench, pair: Pair) -> dict[str, Any]:
    answer = bench.client("iam").get_access_key_last_used(AccessKeyId=pair.access_key_id)
    used: dict[str, Any] = answer["AccessKeyLastUsed"]
    return used


@pytest.mark.parametrize(
    ("service", "call", "code", "status"),
    [
        ("sts", IDENTITY, "InvalidClientTokenId", 403),
        ("iam", "list_users", "InvalidClientTokenId", 403),
        ("sns", "list_topics", "InvalidClientTokenId", 403),
        ("secretsmanager", "list_secrets", "UnrecognizedClientException", 400),
    ],
)
def test_unknown_inactive_and_deleted_keys_are_refused(
    bench: Bench, service: str, call: str, code: str, status: int
) -> None:
    pair = bench.aws.add_user("bot", key_age_days=1)
    iam = bench.client("iam")
    method = getattr(bench.client(service, pair), call)
    assert method()
    unknown = Pair("AKIA" + "A" * 16, pair.secret_access_key)
    assert refusal(getattr(bench.client(service, unknown), call)) == (code, status)
    iam.update_access_key(UserName="bot", AccessKeyId=pair.access_key_id, Status="Inactive")
    assert refusal(method) == (code, status)
    iam.update_access_key(UserName="bot", AccessKeyId=pair.access_key_id, Status="Active")
    assert method()
    iam.delete_access_key(UserName="bot", AccessKeyId=pair.access_key_id)
    assert refusal(method) == (code, status)


def test_a_wrong_secret_is_refused(bench: Bench) -> None:
    pair = bench.aws.add_user("bot", key_age_days=1)
    wrong = Pair(pair.access_key_id, pair.secret_access_key[::-1])
    assert refusal(bench.client("sts", wrong).get_caller_identity) == ("SignatureDoesNotMatch", 403)
    assert refusal(bench.client("secretsmanager", wrong).list_secrets) == ("InvalidSignatureException", 400)


def test_an_unsigned_call_is_refused(bench: Bench) -> None:
    assert refusal(bench.anonymous().get_caller_identity) == ("MissingAuthenticationToken", 403)


@pytest.mark.parametrize(("refusals", "seen"), [(2, "nnynyyy"), (1, "nynyyyy"), (0, "yyyyyyy")])
def test_a_new_key_is_known_once_then_refused_once_more(bench: Bench, refusals: int, seen: str) -> None:
    bench.aws.refusals = refusals
    bench.aws.add_user("bot")
    assert accepted(bench, make_key(bench, "bot"), 7) == seen


def test_signs_tells_what_a_consumer_would_see_and_leaves_no_trace(bench: Bench) -> None:
    bench.aws.last_used_lag = 0
    bench.aws.add_user("bot")
    pair = make_key(bench, "bot")
    bench.aws.wire.forget()
    assert [bench.aws.signs(pair) for _ in range(9)] == [False] * 9
    assert bench.aws.wire.journal == []
    assert accepted(bench, pair, 2) == "nn"
    assert bench.aws.signs(pair)
    assert accepted(bench, pair, 1) == "y"
    assert not bench.aws.signs(pair)
    assert accepted(bench, pair, 3) == "nyy"
    used = last_used(bench, pair)["LastUsedDate"]
    bench.clock.move(days=1)
    assert bench.aws.signs(pair)
    assert last_used(bench, pair)["LastUsedDate"] == used
    assert not bench.aws.signs(Pair(pair.access_key_id, "x" * 40))
    bench.client("iam").update_access_key(UserName="bot", AccessKeyId=pair.access_key_id, Status="Inactive")
    assert not bench.aws.signs(pair)


def test_inactive_keys_count_towards_the_limit_of_two(bench: Bench) -> None:
    pair = bench.aws.add_user("bot", key_age_days=100)
    iam = bench.client("iam")
    iam.update_access_key(UserName="bot", AccessKeyId=pair.access_key_id, Status="Inactive")
    make_key(bench, "bot")
    assert refusal(iam.create_access_key, UserName="bot") == ("LimitExceeded", 409)
    assert [key.status for key in bench.aws.keys("bot")] == ["Inactive", "Active"]


def test_keys_have_the_age_they_are_seeded_with_and_then_age_by_the_clock(bench: Bench) -> None:
    bench.aws.add_user("bot", key_age_days=95)
    bench.clock.move(days=5)
    make_key(bench, "bot")
    listed = bench.client("iam").list_access_keys(UserName="bot")["AccessKeyMetadata"]
    ages = [(bench.clock.now() - key["CreateDate"]).days for key in listed]
    assert ages == [100, 0]
    assert [key.created for key in bench.aws.keys("bot")] == [key["CreateDate"] for key in listed]


def test_a_key_never_used_has_no_date(bench: Bench) -> None:
    assert last_used(bench, bench.aws.add_user("bot", key_age_days=9)) == {"ServiceName": "N/A", "Region": "N/A"}


def test_a_use_shows_after_the_lag_and_hides_the_one_before(bench: Bench) -> None:
    pair = bench.aws.add_user("bot", key_age_days=9)
    first = bench.clock.now()
    bench.client("sts", pair, region="eu-west-1").get_caller_identity()
    assert "LastUsedDate" not in last_used(bench, pair)
    bench.clock.move(seconds=bench.aws.last_used_lag)
    shown = last_used(bench, pair)
    assert abs(shown["LastUsedDate"] - first) < timedelta(minutes=1)
    assert (shown["ServiceName"], shown["Region"]) == ("sts", "eu-west-1")
    bench.aws.use(pair)
    assert last_used(bench, pair) == shown
    bench.clock.move(minutes=61)
    assert last_used(bench, pair)["ServiceName"] == "s3"


def test_a_user_may_name_themselves_by_omission(bench: Bench) -> None:
    pair = bench.aws.add_user("bot", key_age_days=9)
    listed = bench.client("iam", pair).list_access_keys()["AccessKeyMetadata"]
    assert [key["AccessKeyId"] for key in listed] == [pair.access_key_id]
