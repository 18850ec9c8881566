"""Sends a notice: signs in for it alone, and takes little time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from pipe.access.notice import NoticeSettings
from pipe.access.stored import Fetcher
from pipe.clients.webhook import Webhook
from pipe.errors import KeyturnError, Refused
from pipe.notice import Notice
from pipe.redact import Secret
from pipe.retry import Deadline

log = logging.getLogger("keyturn")

# Seconds in which a request may be repeated. The run's own budget may be over.
BUDGET = 15.0

# Of the usual time for an answer so much: the run's end waits for it.
PACE = 0.25


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
    # Only who has a topic pays for AWS's library.
    from pipe.access.aws_sign_in import sign_in  # noqa: PLC0415
    from pipe.clients.sns import Topic  # noqa: PLC0415

    log.info("Sending a notice to %s.", settings.topic)
    Topic(sign_in(settings.aws, settings.session_name, deadline), settings.topic).publish(notice.subject, notice.body)


def _post(settings: NoticeSettings, notice: Notice, deadline: Deadline) -> None:
    fetched = Fetcher(settings.session_name, deadline).of(settings.url) if settings.url else Secret("")
    log.info("Sending a notice to the address in NOTIFY_URL.")
    Webhook(fetched if isinstance(fetched, Secret) else fetched(), deadline).post(
        notice.subject, notice.text, notice.report
    )
