from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from test.sandbox.test_aws import Bench, refusal, token

INVALID = ("InvalidParameterException", 400)
A, B, C = token(1), token(2), token(3)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    for version in (C, A):
        bench.aws.put_secret("s", version, version)
    bench.client("secretsmanager").put_secret_value(
        SecretId="s", ClientRequestToken=B, SecretString="b", VersionStages=["AWSPENDING"]
    )
    bench.aws.wire.forget()
    yield bench
    bench.close()


def stages(bench: Bench) -> dict[str, set[str]]:
    secret = bench.aws.secret("s")
    assert secret
    return {version.id: set(version.stages) for version in secret.versions.values()}


def move(bench: Bench, stage: str, remove_from: str | None = None, move_to: str | None = None) -> Any:
    """Call UpdateSecretVersionStage with what is given."""
    given = {"RemoveFromVersionId": remove_from, "MoveToVersionId": move_to}
    return bench.client("secretsmanager").update_secret_version_stage(
        SecretId="s", VersionStage=stage, **{name: value for name, value in given.items() if value}
    )


START = {C: {"AWSPREVIOUS"}, A: {"AWSCURRENT"}, B: {"AWSPENDING"}}


def test_moving_current_moves_previous_by_itself(bench: Bench) -> None:
    move(bench, "AWSCURRENT", A, B)
    assert stages(bench) == {C: set(), A: {"AWSPREVIOUS"}, B: {"AWSPENDING", "AWSCURRENT"}}


@pytest.mark.parametrize(
    ("stage", "remove_from", "move_to"),
    [
        ("AWSCURRENT", None, B),  # attached elsewhere, and not said where
        ("AWSCURRENT", C, B),  # attached elsewhere than said
        ("AWSPENDING", None, A),
        ("AWSPENDING", A, C),
        ("AWSPENDING", A, None),  # removed from where it is not
        ("mark", A, B),  # moved from where nobody has it
        ("mark", A, None),
        ("AWSCURRENT", A, None),  # AWSCURRENT can only be moved
        ("AWSPENDING", None, None),
    ],
)
def test_a_move_that_is_refused_changes_nothing(
    bench: Bench, stage: str, remove_from: str | None, move_to: str | None
) -> None:
    assert refusal(partial(move, bench, stage, remove_from, move_to)) == INVALID
    assert stages(bench) == START


def test_a_move_to_a_version_that_is_not_there_changes_nothing(bench: Bench) -> None:
    for stage, remove_from in (("AWSCURRENT", A), ("mark", None)):
        code = refusal(partial(move, bench, stage, remove_from, token(9)))
        assert code == ("ResourceNotFoundException", 400)
    assert stages(bench) == START


def test_a_new_label_is_attached_without_a_word_on_where_it_was(bench: Bench) -> None:
    move(bench, "mark", move_to=A)
    move(bench, "mark", move_to=A)
    assert stages(bench)[A] == {"AWSCURRENT", "mark"}


def test_a_label_can_be_removed(bench: Bench) -> None:
    move(bench, "AWSPENDING", B)
    assert stages(bench)[B] == set()
    assert refusal(partial(move, bench, "AWSPENDING", B)) == INVALID
