"""A session of AWS in a role that an access key may assume."""

from __future__ import annotations

from pipe.clients.aws import Aws, Terms


def by_assumed_role(aws: Aws, role_arn: str, terms: Terms) -> Aws:
    """Return a session of a role, assumed by who signs `aws`; raises ServiceError."""
    sts = aws.client("sts")
    answer = aws.ask(
        "sts:AssumeRole",
        lambda: sts.assume_role(RoleArn=role_arn, **terms.parameters),
        "Check AWS_ROLE_ARN: the role's trust policy has to name the key's user, and the user needs the permission "
        f"sts:AssumeRole on {role_arn}; AWS_SESSION_SECONDS must not be more than the role's longest session.",
    )
    return aws.signed(answer)
