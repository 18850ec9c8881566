"""What the ARNs of AWS's things look like."""

from __future__ import annotations

ROLE_ARN = r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+"
