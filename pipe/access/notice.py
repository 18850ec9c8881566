"""Whom a notice of the run goes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipe.access.aws import AwsAccess, read_aws
from pipe.access.stored import Stored, read_secret
from pipe.redact import Secret
from pipe.settings.reader import Reader


@dataclass(frozen=True)
class NoticeSettings:
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


def read_notice_alone(environ: Mapping[str, str]) -> NoticeSettings:
    """Return whom a notice goes to as far as the environment tells, whatever else is wrong with it."""
    return read_notice(Reader(environ))


def _access(reader: Reader, topic: str) -> AwsAccess | None:
    """Return how AWS is asked in the topic's own region; None where a wrong address or role would be."""
    # Its minimal policy has the topic in any case.
    access = read_aws(reader, lambda _: [])
    if reader.complained("AWS_ENDPOINT_URL") or reader.complained("AWS_OIDC_ROLE_ARN"):
        return None
    return replace(access, region=topic.split(":")[3]) if access.way else None
