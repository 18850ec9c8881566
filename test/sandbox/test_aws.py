"""The account as a whole; `Bench`, `refusal`, `words` and `token` serve the other tests of it too."""

from collections.abc import Callable
from threading import Thread
from typing import Any
from uuid import UUID

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError

from sandbox.aws import Aws, Pair
from sandbox.clock import Clock
from sandbox.wire import Fault

# One for all: it keeps the API models, which take longer to read than a request.
SESSION = boto3.Session()


class Bench:
    """A started AWS, its clock, and clients with explicit credentials, one attempt, and no checks of their own."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.aws = Aws(self.clock, "us-east-1")
        self.url = self.aws.start()

    def close(self) -> None:
        self.aws.stop()

    def client(self, service: str, pair: Pair | None = None, *, region: str = "us-east-1", token: str = "") -> Any:
        pair = pair or self.aws.admin()
        client: Callable[..., Any] = SESSION.client
        return client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=pair.access_key_id,
            aws_secret_access_key=pair.secret_access_key,
            aws_session_token=token or None,
            config=_config(),
        )

    def anonymous(self) -> Any:
        client: Callable[..., Any] = SESSION.client
        return client("sts", region_name="us-east-1", endpoint_url=self.url, config=_config(signature_version=UNSIGNED))


def _config(**more: Any) -> Config:
    return Config(
        retries={"total_max_attempts": 1}, parameter_validation=False, read_timeout=10, max_pool_connections=20, **more
    )


def refusal(call: Callable[..., Any], **params: Any) -> tuple[str, int]:
    """Return code and HTTP status of a call that must be refused."""
    response = refused(call, **params)
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def words(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    """Return code and text of a call that must be refused."""
    error = refused(call, **params)["Error"]
    return error["Code"], error["Message"]


def refused(call: Callable[..., Any], **params: Any) -> Any:
    """Return the answer to a call that must be refused."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    return caught.value.response


def token(number: int) -> str:
    """Return a version id that is easy to tell from others."""
    return str(UUID(int=number))


def together(*calls: Callable[[], object]) -> None:
    """Make calls at the same time."""
    threads = [Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_requests_are_noted_by_service_and_action(bench: Bench) -> None:
    topic = bench.aws.add_topic("news")
    role = bench.aws.add_role("pipe")
    bench.client("iam").list_access_keys(UserName="admin")
    bench.client("secretsmanager").list_secrets()
    bench.client("sts").get_caller_identity()
    bench.client("sns").publish(TopicArn=topic, Message="m")
    refusal(bench.anonymous().assume_role_with_web_identity, RoleArn=role, RoleSessionName="run", WebIdentityToken="t")
    refusal(bench.client("secretsmanager").get_secret_value, SecretId="none")
    assert [(seen.operation, seen.status) for seen in bench.aws.wire.journal] == [
        ("iam.ListAccessKeys", 200),
        ("secretsmanager.ListSecrets", 200),
        ("sts.GetCallerIdentity", 200),
        ("sns.Publish", 200),
        ("sts.AssumeRoleWithWebIdentity", 400),
        ("secretsmanager.GetSecretValue", 400),
    ]


def test_a_publication_can_be_read(bench: Bench) -> None:
    topic = bench.aws.add_topic("news")
    bench.client("sns").publish(TopicArn=topic, Subject="s", Message="m")
    assert bench.aws.notices(topic) == [("s", "m")]
    assert refusal(bench.client("sns").publish, TopicArn=topic + "x", Message="m") == ("NotFound", 404)


CALLS: dict[str, Callable[[Bench], Callable[..., Any]]] = {
    "iam": lambda bench: bench.client("iam").list_users,
    "sts": lambda bench: bench.client("sts").get_caller_identity,
    "sns": lambda bench: bench.client("sns").list_topics,
    "secretsmanager": lambda bench: bench.client("secretsmanager").list_secrets,
}


@pytest.mark.parametrize(
    ("service", "kind", "code", "status"),
    [
        ("iam", "429-bare", "Throttling", 400),
        ("sts", "429-reset", "Throttling", 400),
        ("sns", "429-bare", "Throttling", 400),
        ("secretsmanager", "429-bare", "ThrottlingException", 400),
        ("iam", "500-before", "ServiceFailure", 500),
        ("sts", "500-after", "InternalFailure", 500),
        ("sns", "500-before", "InternalError", 500),
        ("secretsmanager", "500-after", "InternalServiceError", 500),
        ("iam", "503-before", "ServiceUnavailable", 503),
        ("secretsmanager", "503-after", "ServiceUnavailable", 503),
        ("iam", "403", "AccessDenied", 403),
        ("sts", "401", "AccessDenied", 403),
        ("secretsmanager", "403", "AccessDeniedException", 400),
    ],
)
def test_a_fault_speaks_as_its_service_does(bench: Bench, service: str, kind: str, code: str, status: int) -> None:
    bench.aws.wire.spoil(Fault(f"{service}.*", kind))
    call = CALLS[service](bench)
    assert refusal(call) == (code, status)
    assert call()


def test_a_hint_says_when_to_come_again(bench: Bench) -> None:
    bench.aws.wire.spoil(Fault("*", "429-hint"), Fault("*", "429-bare", nth=2))
    seen = []
    for _ in range(2):
        with pytest.raises(ClientError) as caught:
            bench.client("iam").list_users()
        seen.append(caught.value.response["ResponseMetadata"]["HTTPHeaders"].get("retry-after"))
    assert seen == ["1", None]


def test_a_gateway_s_failure_is_not_in_the_service_s_words(bench: Bench) -> None:
    bench.aws.wire.spoil(Fault("*", "502-before"))
    code, status = refusal(bench.client("secretsmanager").list_secrets)
    assert (code, status) == ("502", 502)


def test_a_key_whose_answer_is_cut_off_was_made_all_the_same(bench: Bench) -> None:
    bench.aws.add_user("bot")
    bench.aws.wire.spoil(Fault("iam.CreateAccessKey", "cut-before"), Fault("iam.CreateAccessKey", "cut-after", nth=2))
    for keys in (0, 1):
        with pytest.raises(HTTPClientError):
            bench.client("iam").create_access_key(UserName="bot")
        assert len(bench.aws.keys("bot")) == keys


def test_the_answers_date_is_the_clocks(bench: Bench) -> None:
    bench.clock.move(days=100)
    answer = bench.client("sts").get_caller_identity()["ResponseMetadata"]["HTTPHeaders"]["date"]
    assert answer[:16] == bench.clock.http_date()[:16]
