"""Whom a notice of the run goes to, and how it is sent: by a sign-in for it alone, in little time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pipe.access.aws import AwsAccess, read_aws
from pipe.access.aws_session import sign_in
from pipe.access.stored import Fetcher, Stored, read_secret
from pipe.clients.webhook import Webhook
from pipe.errors import KeyturnError, Refused
from pipe.notice import Notice
from pipe.redact import Secret
from pipe.retry import Deadline
from pipe.settings.reader import Reader

if TYPE_CHECKING:
    from pipe.clients.aws import Aws

log = logging.getLogger("keyturn")

# Seconds in which a request may be repeated. The run's own budget may be over.
BUDGET = 15.0

# Of the usual time for an answer so much: the run's end waits for it.
PACE = 0.25


class NoticeSettings(NamedTuple):
    """The topic, empty where none is wanted, when it gets a notice, and how AWS is asked, None where that is unknown.

    `url` is an address that gets the notice, too, None where none is wanted.
    """

    topic: str
    when: str
    aws: AwsAccess | None
    session_name: str
    url: Secret | Stored | None


def read_notice(reader: Reader) -> NoticeSettings:
    """Return whom a notice goes to; a topic needs a way to sign in to AWS, whatever the action."""
    topic = reader.text("SNS_TOPIC_ARN")
    return NoticeSettings(
        topic=topic,
        when=reader.text("NOTIFY_ON") or "failure",
        aws=_access(reader, topic) if topic else None,
        session_name=reader.session_name(),
        url=read_secret(reader, "NOTIFY_URL"),
    )


def _access(reader: Reader, topic: str) -> AwsAccess | None:
    """Return how AWS is asked in the topic's own region; None where a wrong address or role would be."""
    # Its minimal policy has the topic in any case.
    access = read_aws(reader, lambda _: [])
    if reader.complained("AWS_ENDPOINT_URL") or reader.complained("AWS_OIDC_ROLE_ARN"):
        return None
    return access._replace(region=topic.split(":")[3]) if access.way else None


def send(settings: NoticeSettings, notice: Notice, *, at_once: bool) -> None:
    """Send a notice to all that are to get one, `at_once` without repeating any request.

    One that fails does not hold up the other; raises Refused with all that fail.
    """
    ways: list[Callable[[Deadline], None]] = []
    if settings.topic:
        ways.append(partial(_publish, settings, notice))
    if settings.url:
        ways.append(partial(_post, settings, notice))
    failed: list[KeyturnError] = []
    for way in ways:
        try:
            way(Deadline(0.0 if at_once else BUDGET, pace=PACE))
        except KeyturnError as error:
            failed.append(error)
    if len(failed) > 1:
        raise Refused(["; ".join(map(str, failed))])
    if failed:
        raise failed[0]


def _publish(settings: NoticeSettings, notice: Notice, deadline: Deadline) -> None:
    if settings.aws is None:
        raise Refused(["there is no way to sign in to AWS for it, see above."])
    log.info("Sending a notice to %s.", settings.topic)
    publish(sign_in(settings.aws, settings.session_name, deadline), settings.topic, notice.subject, notice.body)


def publish(aws: Aws, topic: str, subject: str, body: str) -> None:
    """Publish a message to a topic in the session's region; raises ServiceError."""
    sns = aws.client("sns")
    aws.ask(
        "sns:Publish",
        lambda: sns.publish(TopicArn=topic, Subject=subject, Message=body),
        "Check SNS_TOPIC_ARN, and that the identity has sns:Publish on the topic; if the topic is encrypted, also "
        "kms:GenerateDataKey and kms:Decrypt on its key.",
        # Asking again after an unclear answer may publish twice; a notice that is lost would be worse.
        attempts=3,
    )


def _post(settings: NoticeSettings, notice: Notice, deadline: Deadline) -> None:
    fetched = Fetcher(settings.session_name, deadline).of(settings.url) if settings.url else Secret("")
    log.info("Sending a notice to the address in NOTIFY_URL.")
    Webhook(fetched if isinstance(fetched, Secret) else fetched(), deadline).post(
        notice.subject, notice.text, notice.report
    )
