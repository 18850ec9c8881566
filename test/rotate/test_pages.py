"""A proxy's page in the place of AWS's answer, at each request of a rotation, carried out or not."""

from __future__ import annotations

import pytest

from sandbox.wire import Answer, Fault
from test.rotate.case import PARTLY, Case
from test.rotate.test_fifteen_cases import AS_THEY_WERE

HTML = b"<!DOCTYPE html><html><body>Blocked by policy<br>Ask your administrator</body></html>"
PAGES = {
    "200 in HTML": Answer("200 OK", [("Content-Type", "text/html")], HTML),
    "200 in JSON": Answer("200 OK", [("Content-Type", "application/json")], b'{"status": "ok"}'),
    "204": Answer("204 No Content", [], b""),
    "302": Answer("302 Found", [("Location", "https://login.example.com/")], b""),
    "403 in HTML": Answer("403 Forbidden", [("Content-Type", "text/html")], HTML),
    "503 in text": Answer("503 Service Unavailable", [("Content-Type", "text/plain")], b"upstream connect error"),
}
READS = ("sts.GetCallerIdentity", "iam.ListAccessKeys", "secretsmanager.DescribeSecret")
OTHERS = (
    "iam.GetAccessKeyLastUsed", "secretsmanager.CreateSecret", "secretsmanager.ListSecretVersionIds",
    "secretsmanager.PutSecretValue", "secretsmanager.UpdateSecretVersionStage", "secretsmanager.GetSecretValue",
)  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.sample(2)
def test_a_create_that_a_page_answers_leaves_no_key(case: Case, page: str) -> None:
    case.spoil(Fault("iam.CreateAccessKey", "500-after", answer=lambda _: PAGES[page]))
    result = case.run()
    assert (result.code, result.last_line.startswith(AS_THEY_WERE)) == (1, True), result.output
    assert "is not AWS's" in result.last_line
    assert "administrator" not in result.output
    assert case.keys == {"old": "Active"}
    assert case.asked_so_far("iam.CreateAccessKey") == 1
    case.mend()
    case.rotated(case.run())


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("operation", READS)
@pytest.mark.sample(2)
def test_a_page_before_anything_is_done_ends_the_run_as_nothing_done(case: Case, operation: str, page: str) -> None:
    case.spoil(Fault(operation, "call-answer", times=0, answer=lambda _: PAGES[page]))
    result = case.run()
    assert result.code == 1, result.output
    assert "is not AWS's" in result.output
    assert "AWS_ENDPOINT_URL" in result.output
    assert "unexpected" not in result.output
    assert case.keys == {"old": "Active"}
    case.mend()
    case.rotated(case.run())


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("number", range(len(OTHERS)))
@pytest.mark.sample(2)
def test_a_page_at_any_other_request_is_healed_by_the_next_run(case: Case, number: int, carried_out: bool) -> None:
    page = list(PAGES.values())[(2 * number + carried_out) % len(PAGES)]
    kind = "500-after" if carried_out else "call-answer"
    case.spoil(Fault(OTHERS[number], kind, times=0, answer=lambda _: page))
    result = case.run()
    assert result.code in {0, 1, 2}, result.output
    assert (result.code == 2) == result.last_line.startswith(PARTLY), result.output
    assert "unexpected" not in result.output
    assert case.broken == set()
    case.mend()
    case.world.clock.move(minutes=16)
    last = case.run()
    assert last.code == 0, last.output
    assert case.broken == set()
    assert len(case.keys) <= 2
