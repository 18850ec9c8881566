"""What is not AWS's answer, at each request to it: a proxy's page, a wrong type in any field, too slow, too large."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import pytest

from pipe.clients.secret_versions import SecretVersions
from pipe.errors import BadCredentials, Busy, Invalid, KeyturnError, Unreadable
from pipe.secrets import Described
from sandbox.wire import Answer, Environ, Fault
from sandbox.world import REGION, Company, World
from sandbox.wrong import change
from test.clients.aws_questions import ATTEMPTS, FEWER, NAME, ONCE, OPERATIONS, Questions

HTML = b"<!DOCTYPE html><html><head><title>Blocked</title></head><body>Policy<br>Ask your administrator</body></html>"
XHTML = b"<html><head><title>Blocked</title></head><body><p>Policy</p></body></html>"
ENVOY = b"upstream connect error or disconnect/reset before headers. reset reason: connection failure"
# What may have been done although nobody can read the answer.
WRITES = frozenset(
    f"secretsmanager.{name}"
    for name in ("CreateSecret", "PutSecretValue", "UpdateSecretVersionStage", "DeleteSecret", "RestoreSecret")
)
PAGES = {
    "a portal": Answer("200 OK", [("Content-Type", "text/html")], HTML),
    "a portal in good XML": Answer("200 OK", [("Content-Type", "text/html")], XHTML),
    "a foreign object": Answer("200 OK", [("Content-Type", "application/json")], b'{"status": "ok"}'),
    "a foreign list": Answer("200 OK", [("Content-Type", "application/json")], b"[1]"),
    "nothing": Answer("200 OK", [], b""),
    "no content": Answer("204 No Content", [], b""),
    "a ban": Answer("403 Forbidden", [("Content-Type", "text/html")], HTML),
    "a ban in good XML": Answer("403 Forbidden", [("Content-Type", "text/html")], XHTML),
    "a ban in JSON": Answer("403 Forbidden", [("Content-Type", "application/json")], b'{"message": "Forbidden"}'),
    "a ban in text": Answer("403 Forbidden", [("Content-Type", "text/plain")], b"RBAC: access denied"),
    "not found": Answer("404 Not Found", [("Content-Type", "text/html")], HTML),
    "elsewhere": Answer("302 Found", [("Location", "https://login.example.com/?from=aws")], b""),
    "nowhere": Answer("307 Temporary Redirect", [("Location", "http://[bad")], b""),
    "no upstream": Answer("503 Service Unavailable", [("Content-Type", "text/plain")], ENVOY),
    "a page of a gateway": Answer("502 Bad Gateway", [("Content-Type", "text/html")], HTML),
    "too many": Answer("429 Too Many Requests", [("Content-Type", "text/html")], HTML),
}
DEEP = 1000


@pytest.fixture
def questions(world: World, company: Company) -> Questions:
    return Questions(world, company)


def attempts_at(operation: str) -> int:
    return 1 if operation == ONCE else FEWER.get(operation, ATTEMPTS)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.sample(3)
def test_a_page_is_not_taken_for_aws(world: World, questions: Questions, operation: str) -> None:
    for page, answer in PAGES.items():
        world.aws.wire.mend()
        world.aws.wire.forget()
        world.aws.wire.spoil(Fault(operation, "call-answer", times=0, answer=lambda _, answer=answer: answer))  # type: ignore[misc]
        raised = outcome(questions, operation)
        again = answer.status[0] in "25" or answer.status.startswith("429")
        assert isinstance(raised, Busy if again else Unreadable), page
        assert "is not AWS's" in raised.what, page
        assert operation.replace(".", ":") in raised.what, page
        assert "AWS_ENDPOINT_URL" in raised.check, page
        assert "proxy" in raised.check, page
        assert "administrator" not in str(raised), page
        if isinstance(raised, Busy):
            assert (raised.unclear, raised.throttled) == (page != "too many", page == "too many"), page
        asked = [seen.operation for seen in world.aws.wire.journal]
        assert asked.count(operation) == (attempts_at(operation) if again else 1), page
        # Whether a key was switched off is told by the list.
        assert set(asked) - {operation} <= ({"iam.ListAccessKeys"} if operation == "iam.UpdateAccessKey" else set()), (
            page
        )


def test_a_redirect_says_where_it_leads_and_is_not_followed(world: World, questions: Questions) -> None:
    world.aws.wire.spoil(Fault("iam.*", "call-answer", times=0, answer=lambda _: PAGES["elsewhere"]))
    with pytest.raises(Unreadable, match=r"login\.example\.com"):
        questions.ask("iam.ListAccessKeys")
    assert len(world.aws.wire.journal) == 1


@pytest.mark.parametrize("page", ["a portal", "no upstream"])
@pytest.mark.sample(1)
def test_what_may_be_asked_again_gets_over_a_page(world: World, questions: Questions, page: str) -> None:
    for operation in OPERATIONS:
        if operation != ONCE:
            world.aws.wire.mend()
            world.aws.wire.spoil(Fault(operation, "call-answer", answer=lambda _: PAGES[page]))
            questions.ask(operation)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.sample(6)
def test_a_body_that_cannot_be_read_ends_in_an_error_of_ours(
    world: World, questions: Questions, operation: str
) -> None:
    recorded = record(world, questions, operation)
    questions.be_impatient()
    for what, body in unreadable(recorded.body):
        world.aws.wire.mend()
        answer = Answer(recorded.status, _unmeasured(recorded), body)
        world.aws.wire.spoil(Fault(operation, "call-answer", times=0, answer=lambda _, answer=answer: answer))  # type: ignore[misc]
        error = outcome(questions, operation)
        assert error is None or isinstance(error, KeyturnError), what
        # A user of another spelling is no fault of the answer's form.
        spelt = isinstance(error, Invalid) and "spells" in error.what
        assert error is None or spelt or (operation.replace(".", ":") in error.what and error.check), (what, error)


@pytest.mark.parametrize(
    ("operation", "field"),
    [
        ("sts.GetCallerIdentity", "Arn"),
        ("sts.AssumeRole", "SessionToken"),
        ("sts.AssumeRole", "AssumedRoleUser"),
        ("sts.AssumeRoleWithWebIdentity", "SecretAccessKey"),
        ("iam.ListAccessKeys", "Status"),
        ("iam.ListAccessKeys", "CreateDate"),
        ("iam.ListAccessKeys", "AccessKeyMetadata"),
        (ONCE, "SecretAccessKey"),
        ("iam.GetAccessKeyLastUsed", "AccessKeyLastUsed"),
        ("secretsmanager.DescribeSecret", "ARN"),
        ("secretsmanager.ListSecrets", "SecretList"),
        ("secretsmanager.ListSecretVersionIds", "VersionId"),
        ("secretsmanager.GetSecretValue", "VersionId"),
        ("secretsmanager.BatchGetSecretValue", "Name"),
        ("secretsmanager.CreateSecret", "ARN"),
        ("secretsmanager.PutSecretValue", "VersionId"),
        ("secretsmanager.UpdateSecretVersionStage", "ARN"),
        ("secretsmanager.DeleteSecret", "ARN"),
        ("secretsmanager.RestoreSecret", "ARN"),
    ],
)
@pytest.mark.sample(8)
def test_a_field_that_is_missing_is_named(world: World, questions: Questions, operation: str, field: str) -> None:
    recorded = record(world, questions, operation)
    body = re.sub(rf"<{field}>.*?</{field}>|\"{field}\": (\"[^\"]*\"|\[.*\])(, )?".encode(), b"", recorded.body)
    body = body.replace(b", }", b"}")
    assert body != recorded.body
    world.aws.wire.spoil(
        Fault(operation, "call-answer", times=0, answer=lambda _: Answer(recorded.status, _unmeasured(recorded), body))
    )
    with pytest.raises(Busy if operation in WRITES else Unreadable, match=field):
        questions.ask(operation)


@pytest.mark.parametrize(
    ("operation", "field"),
    [("iam.ListAccessKeys", "AccessKeyId"), (ONCE, "AccessKeyId"), (ONCE, "SecretAccessKey")],
)
@pytest.mark.parametrize("value", [b"-1", b"1000000000000000000", b"nothing", b"a secret that has blanks in it, once"])
def test_what_cannot_be_a_key_is_not_taken_for_one(
    world: World, questions: Questions, operation: str, field: str, value: bytes
) -> None:
    recorded = record(world, questions, operation)
    body = re.sub(rf"(<{field}>).*?(</{field}>)".encode(), rb"\g<1>" + value + rb"\g<2>", recorded.body)
    world.aws.wire.spoil(
        Fault(operation, "call-answer", times=0, answer=lambda _: Answer(recorded.status, _unmeasured(recorded), body))
    )
    with pytest.raises(Unreadable, match=field):
        questions.ask(operation)


def test_a_version_that_is_not_the_one_written_is_no_success(world: World, questions: Questions) -> None:
    recorded = record(world, questions, "secretsmanager.PutSecretValue")
    world.aws.wire.spoil(Fault("secretsmanager.PutSecretValue", "call-answer", times=0, answer=lambda _: recorded))
    with pytest.raises(Busy, match="VersionId") as raised:
        questions.ask("secretsmanager.PutSecretValue")
    assert raised.value.unclear


def test_a_write_whose_labels_cannot_be_read_is_made_again(world: World, questions: Questions) -> None:
    world.aws.wire.forget()
    world.aws.wire.spoil(
        Fault("secretsmanager.PutSecretValue", "change-after", change=change("/VersionStages/*", "10^18"))
    )
    assert SecretVersions(questions.aws, NAME).put(str(uuid4()), "a body", "a-label") == {"a-label"}
    assert [seen.operation for seen in world.aws.wire.journal].count("secretsmanager.PutSecretValue") == 2


@pytest.mark.parametrize("operation", sorted(WRITES))
def test_a_write_whose_answer_cannot_be_read_is_asked_for_again(
    world: World, questions: Questions, operation: str
) -> None:
    world.aws.wire.spoil(Fault(operation, "change-after", change=change("/ARN", "absent")),
                         Fault(operation, "change-after", change=change("/VersionId", "absent")))  # fmt: skip
    world.aws.wire.forget()
    questions.ask(operation)
    assert [seen.operation for seen in world.aws.wire.journal].count(operation) == 2


def test_a_secret_that_somebody_else_keeps_is_told(world: World, questions: Questions) -> None:
    recorded = record(world, questions, "secretsmanager.DescribeSecret")
    told: list[tuple[str, str, bool, bool]] = []
    for more in (
        {},
        {"PrimaryRegion": REGION},
        {"PrimaryRegion": "us-east-1", "OwningService": "rds", "RotationEnabled": True},
        {"RotationEnabled": False},
    ):
        body = json.dumps({**json.loads(recorded.body), **more}).encode()
        answer = Answer(recorded.status, _unmeasured(recorded), body)
        world.aws.wire.mend()
        world.aws.wire.spoil(Fault("secretsmanager.*", "call-answer", answer=lambda _, answer=answer: answer))  # type: ignore[misc]
        secret = questions.ask("secretsmanager.DescribeSecret")
        assert isinstance(secret, Described)
        told.append((secret.primary_region, secret.owner, secret.rotates, secret.is_replica))
    assert told == [
        ("", "", False, False), (REGION, "", False, False), ("us-east-1", "rds", True, True), ("", "", False, False),
    ]  # fmt: skip


def test_pages_that_lead_round_in_a_circle_end(world: World, questions: Questions) -> None:
    recorded = record(world, questions, "secretsmanager.ListSecrets")
    body = json.dumps({**json.loads(recorded.body), "NextToken": "1"}).encode()
    again = Answer(recorded.status, _unmeasured(recorded), body)
    world.aws.wire.spoil(Fault("secretsmanager.ListSecrets", "call-answer", times=0, answer=lambda _: again))
    with pytest.raises(Unreadable, match="NextToken"):
        questions.ask("secretsmanager.ListSecrets")


class Raw:
    """A server on a real socket, which sends what it is told and counts who asks."""

    def __init__(self, send: Callable[[socket.socket], None]) -> None:
        self._send = send
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.asked = 0
        self.sent_all = 0
        self._open = True
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._open = False
        self._listening.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while self._open:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.recv(65536)
            self.asked += 1
            self._send(connection)
            self.sent_all += 1


@pytest.fixture
def raw() -> Iterator[Callable[[Callable[[socket.socket], None]], Raw]]:
    started: list[Raw] = []

    def start(send: Callable[[socket.socket], None]) -> Raw:
        started.append(Raw(send))
        return started[-1]

    yield start
    for each in started:
        each.close()


def trickle(data: bytes, connection: socket.socket) -> None:
    for number in range(len(data)):
        connection.sendall(data[number : number + 1])
        time.sleep(0.05)


WHO = (
    b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    b"<Arn>arn:aws:iam::123456789012:user/a-user</Arn><UserId>A</UserId><Account>123456789012</Account>"
    b"</GetCallerIdentityResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>"
    b"</GetCallerIdentityResponse>"
)


def http(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers, b"", body])


@pytest.mark.parametrize("where", ["in the head", "in the body"])
@pytest.mark.parametrize("operation", [ONCE, "secretsmanager.PutSecretValue"])
@pytest.mark.sample(2)
def test_an_answer_that_trickles_in_is_given_up(
    world: World,
    company: Company,
    raw: Callable[[Callable[[socket.socket], None]], Raw],
    operation: str,
    where: str,
) -> None:
    head, _, body = http(b"x" * 1000).partition(b"\r\n\r\n")
    now, slowly = (b"", head) if where == "in the head" else (head + b"\r\n\r\n", body)

    def send(connection: socket.socket) -> None:
        connection.sendall(now)
        trickle(slowly * 20, connection)

    server = raw(send)
    with pytest.raises(Busy, match="in time") as raised:
        Questions(world, company, server.url, budget=2.0).ask(operation)
    assert raised.value.unclear
    assert server.url.removeprefix("http://") in raised.value.what
    assert server.sent_all == 0
    assert server.asked == 1 if operation == ONCE else server.asked > 0


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_that_is_too_large_is_not_read(
    world: World, company: Company, raw: Callable[[Callable[[socket.socket], None]], Raw], packed: bool
) -> None:
    huge = b" " * (12 * 2**20)
    answer = http(gzip.compress(huge, 1), b"Content-Encoding: gzip") if packed else http(huge)
    server = raw(lambda connection: connection.sendall(answer))
    for operation in (ONCE, "sts.GetCallerIdentity", "secretsmanager.ListSecrets"):
        with pytest.raises(Unreadable, match="larger than 8 MiB"):
            Questions(world, company, server.url).ask(operation)


@pytest.mark.parametrize("date", [b"no date", b"Mon, 99 Foo 2026 25:61:61 GMT", b"9" * 5000, b"\xff\xfe", b""])
def test_a_date_that_is_none_changes_no_clock(
    world: World, company: Company, raw: Callable[[Callable[[socket.socket], None]], Raw], date: bytes
) -> None:
    server = raw(lambda connection: connection.sendall(http(WHO, b"Date: " + date, b"Connection: close")))
    questions = Questions(world, company, server.url)
    assert questions.aws.identity().user == "a-user"
    assert abs(questions.aws.now() - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize("pause", [b"9" * 5000, b"-1", b"1e9", b"\xc2\xb2", b"soon", b""])
def test_a_pause_that_makes_no_sense_is_chosen_here(
    world: World, company: Company, raw: Callable[[Callable[[socket.socket], None]], Raw], pause: bytes
) -> None:
    busy = http(b"", b"Retry-After: " + pause, b"Connection: close", status=b"503 Service Unavailable")
    server = raw(lambda connection: connection.sendall(busy))
    with pytest.raises(Busy) as raised:
        Questions(world, company, server.url).ask("sts.GetCallerIdentity")
    assert raised.value.after is None
    assert server.asked == ATTEMPTS


def test_a_pause_that_aws_asks_for_is_kept(
    world: World, company: Company, raw: Callable[[Callable[[socket.socket], None]], Raw]
) -> None:
    busy = http(b"", b"Retry-After: 7", b"Connection: close", status=b"503 Service Unavailable")
    server = raw(lambda connection: connection.sendall(busy))
    with pytest.raises(Busy) as raised:
        Questions(world, company, server.url).ask(ONCE)
    assert (raised.value.after, raised.value.unclear) == (7.0, True)


def test_a_connection_that_fails_names_the_host(world: World, company: Company) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        place = f"127.0.0.1:{closed.getsockname()[1]}"
    for operation in ("sts.GetCallerIdentity", ONCE, "secretsmanager.DescribeSecret"):
        with pytest.raises(Busy, match=place) as raised:
            Questions(world, company, f"http://{place}").ask(operation)
        assert not raised.value.unclear
        assert operation.replace(".", ":") in raised.value.what


def test_garbage_is_no_answer(
    world: World, company: Company, raw: Callable[[Callable[[socket.socket], None]], Raw]
) -> None:
    for garbage in (b"SSH-2.0-OpenSSH_9.2\r\n", b"\x00" * 100, b"HTTP/1.1 abc\r\n\r\n", b"HTTP/9.9 200\r\n\r\n", b""):
        server = raw(partial(_sends, garbage))
        with pytest.raises(KeyturnError) as raised:
            Questions(world, company, server.url).ask(ONCE)
        assert "iam:CreateAccessKey" in raised.value.what


def test_services_have_no_addresses_of_their_own_from_outside(
    monkeypatch: pytest.MonkeyPatch, world: World, company: Company
) -> None:
    for service in ("STS", "IAM", "SECRETS_MANAGER", "SNS"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")
    questions = Questions(world, company)
    for operation in ("sts.GetCallerIdentity", "iam.ListAccessKeys", "secretsmanager.ListSecrets", "sns.Publish"):
        questions.ask(operation)


def test_a_secret_that_does_not_fit_is_still_told_from_a_page(world: World, questions: Questions) -> None:
    refusal = (
        b"<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code><Message>The request signature we "
        b"calculated does not match</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    )
    answer = Answer("403 Forbidden", [("Content-Type", "text/xml")], refusal)
    world.aws.wire.spoil(Fault("sts.*", "call-answer", answer=lambda _: answer))
    with pytest.raises(BadCredentials):
        questions.ask("sts.GetCallerIdentity")


def _sends(data: bytes, connection: socket.socket) -> None:
    connection.sendall(data)


def outcome(questions: Questions, operation: str) -> Exception | None:
    """Return what a question ends in, None where it is answered."""
    try:
        questions.ask(operation)
    except Exception as error:  # noqa: BLE001 - which one it is, is what is tested
        return error
    return None


def record(world: World, questions: Questions, operation: str) -> Answer:
    """Return the answer that the sandbox's AWS gives to a question."""
    recorded: list[Answer] = []

    def kept(environ: Environ) -> Answer:
        recorded.append(world.aws.wire._run(environ))
        return recorded[-1]

    world.aws.wire.spoil(Fault(operation, "call-answer", answer=kept))
    questions.ask(operation)
    world.aws.wire.mend()
    (answer,) = recorded
    return answer


def _unmeasured(answer: Answer) -> list[tuple[str, str]]:
    return [each for each in answer.headers if each[0].lower() != "content-length"]


def unreadable(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield a body spoilt as a whole, and what that is; `test_answers` spoils each field."""
    for length in (1, len(body) // 2, max(1, len(body) - 1)):
        yield f"cut at {length}", body[:length]
    yield "deep JSON", b'{"a":' * 100_000
    yield "a deep list", b"[" * 100_000
    yield "deep XML", b"<a>" * DEEP + b"</a>" * DEEP
    yield "no UTF-8", b"\xff\xfe\x00" + body
    yield "UTF-16", body.decode().encode("utf-16")
