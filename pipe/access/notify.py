"""Sends a notice: signs in to AWS for it alone, and takes little time."""

from __future__ import annotations

import logging

from pipe.access.aws_sign_in import sign_in
from pipe.access.notice import NoticeSettings
from pipe.clients.sns import Topic
from pipe.errors import Refused
from pipe.notice import Notice
from pipe.retry import Patience

log = logging.getLogger("keyturn")

# Seconds in which a request may be repeated. The run's own budget may be over.
BUDGET = 15.0

# Of the usual time for an answer so much: the run's end waits for it.
PACE = 0.25


def send(settings: NoticeSettings, notice: Notice, *, at_once: bool) -> None:
    """Publish a notice, `at_once` without repeating any request; raises Refused and ServiceError."""
    if settings.aws is None:
        raise Refused(["there is no way to sign in to AWS for it, see above."])
    log.info("Sending a notice to %s.", settings.topic)
    patience = Patience(0.0 if at_once else BUDGET, pace=PACE)
    Topic(sign_in(settings.aws, settings.session_name, patience), settings.topic).publish(notice.subject, notice.body)
