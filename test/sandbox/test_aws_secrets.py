import re
from functools import partial
from typing import Any

import pytest

from test.sandbox.test_aws import Bench, refusal, token

EXISTS = ("ResourceExistsException", 400)
MISSING = ("ResourceNotFoundException", 400)
INVALID = ("ValidationException", 400)
REFUSED = ("InvalidRequestException", 400)


def stages(bench: Bench, name: str = "s") -> dict[str, set[str]]:
    secret = bench.aws.secret(name)
    assert secret
    return {version.id: set(version.stages) for version in secret.versions.values()}


def put(manager: Any, number: int, body: str = "body", labels: list[str] | None = None) -> Any:
    given = {} if labels is None else {"VersionStages": labels}
    return manager.put_secret_value(SecretId="s", ClientRequestToken=token(number), SecretString=body, **given)


def test_a_secret_without_a_value_has_no_version(bench: Bench, manager: Any) -> None:
    assert "VersionId" not in manager.create_secret(Name="s", ClientRequestToken=token(1))
    assert stages(bench) == {}
    assert "VersionIdsToStages" not in manager.describe_secret(SecretId="s")
    assert refusal(manager.get_secret_value, SecretId="s") == MISSING


def test_the_token_of_a_creation_is_the_version(bench: Bench, manager: Any) -> None:
    made = manager.create_secret(Name="s", SecretString="x", ClientRequestToken=token(1))
    assert made["VersionId"] == token(1)
    assert re.fullmatch(r"arn:aws:secretsmanager:us-east-1:123456789012:secret:s-[A-Za-z]{6}", made["ARN"])
    assert stages(bench) == {token(1): {"AWSCURRENT"}}


def test_a_creation_repeated_does_nothing_and_another_is_refused(bench: Bench, manager: Any) -> None:
    create = partial(manager.create_secret, Name="s")
    made = create(SecretString="x", ClientRequestToken=token(1))
    assert create(SecretString="x", ClientRequestToken=token(1))["ARN"] == made["ARN"]
    assert refusal(create, SecretString="y", ClientRequestToken=token(1)) == EXISTS
    assert refusal(create, SecretString="x", ClientRequestToken=token(2)) == EXISTS
    assert refusal(create) == EXISTS
    assert stages(bench) == {token(1): {"AWSCURRENT"}}


@pytest.mark.parametrize("labels", [["AWSPENDING"], ["keyturn-intent"], ["AWSCURRENT"]])
def test_the_first_version_is_current_whatever_is_named(bench: Bench, manager: Any, labels: list[str]) -> None:
    manager.create_secret(Name="s")
    answer = put(manager, 1, labels=labels)
    assert set(answer["VersionStages"]) == {*labels, "AWSCURRENT"} == stages(bench)[token(1)]
    put(manager, 2, labels=["AWSPENDING"])
    assert stages(bench)[token(2)] == {"AWSPENDING"}


def test_a_version_cannot_be_rewritten(bench: Bench, manager: Any) -> None:
    manager.create_secret(Name="s")
    put(manager, 1, "one")
    put(manager, 2, "two")
    before = stages(bench)
    assert put(manager, 1, "one", ["AWSPENDING"])["VersionStages"] == ["AWSPREVIOUS"]
    assert refusal(partial(put, manager, 1, "other")) == EXISTS
    assert stages(bench) == before
    assert manager.get_secret_value(SecretId="s", VersionId=token(1))["SecretString"] == "one"


def test_a_plain_put_moves_current_and_previous_follows(bench: Bench, manager: Any) -> None:
    manager.create_secret(Name="s")
    for number in (1, 2, 3):
        put(manager, number, str(number))
    assert stages(bench) == {token(1): set(), token(2): {"AWSPREVIOUS"}, token(3): {"AWSCURRENT"}}
    assert manager.get_secret_value(SecretId="s")["SecretString"] == "3"


def test_a_put_moves_the_labels_that_it_names(bench: Bench, manager: Any) -> None:
    manager.create_secret(Name="s")
    put(manager, 1)
    put(manager, 2, labels=["AWSPENDING", "mark"])
    put(manager, 3, labels=["AWSPENDING"])
    assert stages(bench) == {token(1): {"AWSCURRENT"}, token(2): {"mark"}, token(3): {"AWSPENDING"}}
    put(manager, 4, labels=["AWSCURRENT", "mark"])
    assert stages(bench) == {
        token(1): {"AWSPREVIOUS"},
        token(2): set(),
        token(3): {"AWSPENDING"},
        token(4): {"AWSCURRENT", "mark"},
    }


def test_a_value_is_read_by_label_by_id_or_by_both(manager: Any) -> None:
    manager.create_secret(Name="s")
    put(manager, 1, "one")
    put(manager, 2, "two", ["AWSPENDING"])
    get = partial(manager.get_secret_value, SecretId="s")
    assert get()["SecretString"] == get(VersionStage="AWSCURRENT")["SecretString"] == "one"
    assert get(VersionStage="AWSPENDING")["SecretString"] == get(VersionId=token(2))["SecretString"] == "two"
    assert get(VersionId=token(2), VersionStage="AWSPENDING")["VersionStages"] == ["AWSPENDING"]
    assert refusal(get, VersionId=token(2), VersionStage="AWSCURRENT") == REFUSED
    assert refusal(get, VersionId=token(3)) == MISSING
    assert refusal(get, VersionStage="AWSPREVIOUS") == MISSING
    assert refusal(manager.get_secret_value, SecretId="other") == MISSING


def test_a_version_without_a_label_can_still_be_read_by_id(manager: Any) -> None:
    manager.create_secret(Name="s")
    for number in (1, 2, 3):
        put(manager, number, str(number))
    answer = manager.get_secret_value(SecretId="s", VersionId=token(1))
    assert answer["SecretString"] == "1"
    assert "VersionStages" not in answer


def test_a_binary_value_comes_back_as_it_was(manager: Any) -> None:
    manager.create_secret(Name="s", SecretBinary=b"\x00\xff")
    assert manager.get_secret_value(SecretId="s")["SecretBinary"] == b"\x00\xff"


@pytest.mark.parametrize("text", ["x" * 31, "x" * 65])
def test_a_token_has_32_to_64_characters(manager: Any, text: str) -> None:
    manager.create_secret(Name="s")
    given = {"SecretId": "s", "SecretString": "x"}
    assert refusal(manager.put_secret_value, ClientRequestToken=text, **given) == INVALID
    for fits in ("x" * 32, "x" * 64):
        assert manager.put_secret_value(ClientRequestToken=fits, **given)


def test_a_value_has_1_to_65536_bytes(manager: Any) -> None:
    manager.create_secret(Name="s")
    for body in ("", "x" * 65_537, "é" * 32_769):
        assert refusal(manager.put_secret_value, SecretId="s", SecretString=body) == INVALID
    for body in ("x", "x" * 65_536, "é" * 32_768):
        assert manager.put_secret_value(SecretId="s", SecretString=body)
    assert refusal(manager.put_secret_value, SecretId="s") == REFUSED
    assert refusal(manager.put_secret_value, SecretId="s", SecretString="x", SecretBinary=b"x") == REFUSED


def test_a_put_names_20_labels_at_most_and_so_many_has_a_secret(bench: Bench, manager: Any) -> None:
    manager.create_secret(Name="s", SecretString="x", ClientRequestToken=token(1))
    labels = [f"l{number}" for number in range(21)]
    assert refusal(partial(put, manager, 2, labels=labels)) == INVALID
    assert refusal(partial(put, manager, 2, labels=labels[:20])) == ("LimitExceededException", 400)
    assert stages(bench) == {token(1): {"AWSCURRENT"}}
    put(manager, 2, labels=labels[:19])
    one_more = {"SecretId": "s", "VersionStage": "more", "MoveToVersionId": token(2)}
    assert refusal(manager.update_secret_version_stage, **one_more) == ("LimitExceededException", 400)


@pytest.mark.parametrize("name", ["a b", "ä", "a:b", "a!", "", "x" * 513])
def test_a_name_that_is_not_allowed(manager: Any, name: str) -> None:
    assert refusal(manager.create_secret, Name=name, SecretString="x") == INVALID


def test_a_secret_is_found_by_name_arn_and_arn_without_suffix(manager: Any) -> None:
    arn = manager.create_secret(Name="a/s", SecretString="x")["ARN"]
    for secret_id in ("a/s", arn, arn[:-7]):
        assert manager.describe_secret(SecretId=secret_id)["ARN"] == arn
    assert refusal(manager.describe_secret, SecretId=arn + "x") == MISSING


def test_regions_are_apart(bench: Bench, manager: Any) -> None:
    elsewhere = bench.client("secretsmanager", region="eu-west-1")
    manager.create_secret(Name="s", SecretString="here")
    elsewhere.create_secret(Name="s", SecretString="there")
    assert manager.get_secret_value(SecretId="s")["SecretString"] == "here"
    assert len(elsewhere.list_secrets()["SecretList"]) == 1
    bench.aws.put_secret("by-hand", "x", region="eu-west-1")
    assert bench.aws.secret("by-hand") is None
    assert bench.aws.secret("by-hand", region="eu-west-1")
    assert elsewhere.get_secret_value(SecretId="by-hand")["SecretString"] == "x"


def test_an_operation_that_is_not_there(manager: Any) -> None:
    assert refusal(manager.get_random_password) == ("UnknownOperationException", 400)
