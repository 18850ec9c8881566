"""One topic of Amazon SNS."""

from __future__ import annotations

from pipe.clients.aws import Aws

# Asking again after an unclear answer may publish twice; a notice that is lost would be worse.
ATTEMPTS = 3


class Topic:
    """A topic, in the session's region."""

    def __init__(self, aws: Aws, arn: str) -> None:
        self._aws = aws
        self._client = aws.client("sns")
        self._arn = arn

    def publish(self, subject: str, body: str) -> None:
        """Publish a message; raises ServiceError."""
        self._aws.ask(
            "sns:Publish",
            lambda: self._client.publish(TopicArn=self._arn, Subject=subject, Message=body),
            "Check SNS_TOPIC_ARN, and that the identity has sns:Publish on the topic; if the topic is encrypted, also "
            "kms:GenerateDataKey and kms:Decrypt on its key.",
            attempts=ATTEMPTS,
        )
