"""What the ARNs of AWS's things look like."""

from __future__ import annotations

ROLE_ARN = r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+"


def arn_parts(text: str) -> list[str]:
    """Return the parts of an ARN, its account being the fifth; none where the text is a name."""
    return text.split(":", 6) if text.startswith("arn:") else []
