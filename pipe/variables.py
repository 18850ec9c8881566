"""Every variable that Keyturn understands: its name, its default and what it means."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variable:
    """One variable of the public interface; `default` is the text that stands for an empty or missing value."""

    name: str
    group: str
    meaning: str
    default: str = ""
    shown_default: str = ""
    secret: bool = False
    required: bool = False


ALWAYS, AWS, ROTATE, ELSEWHERE = "Always", "AWS", "`rotate`", "Elsewhere"

VARIABLES = (
    Variable("ACTION", ALWAYS, "What to do: `rotate`, or `status` to look only.", required=True),
    Variable(
        "TARGETS",
        ALWAYS,
        "Where the result is written; a list. `[workspace/repository:]deployment:<environment>`, "
        "`[workspace/repository:]repository` or `workspace`.",
        shown_default="the step's own deployment environment",
    ),
    Variable("BITBUCKET_ACCESS_TOKEN", ALWAYS, "A repository, project or workspace access token (1).", secret=True),
    Variable("ATLASSIAN_ACCOUNT_EMAIL", ALWAYS, "The Atlassian account that `ATLASSIAN_API_TOKEN` belongs to (1)."),
    Variable("ATLASSIAN_API_TOKEN", ALWAYS, "A user's API token (1).", secret=True),
    Variable("DRY_RUN", ALWAYS, "Show the plan and write nothing.", default="false"),
    Variable("DEBUG", ALWAYS, "More of Keyturn's own log; never a library's.", default="false"),
    Variable("REPORT_DIR", ALWAYS, "A folder for the report as JSON; a report that cannot be written is only said."),
    Variable(
        "AWS_OIDC_ROLE_ARN",
        AWS,
        "The role to assume with the step's OIDC token (`oidc: true`); wins over keys (2).",
    ),
    Variable("AWS_ACCESS_KEY_ID", AWS, "An access key (2)."),
    Variable("AWS_SECRET_ACCESS_KEY", AWS, "The access key's secret (2).", secret=True),
    Variable("AWS_SESSION_TOKEN", AWS, "The session token that belongs to temporary keys.", secret=True),
    Variable("AWS_DEFAULT_REGION", AWS, "The region, e.g. `eu-central-1`; needed for a `SECRET_ID` that is no ARN."),
    Variable("ALLOWED_AWS_ACCOUNT_IDS", AWS, "A list; any other account is refused before anything is touched."),
    Variable("AWS_ENDPOINT_URL", AWS, "Another address than AWS's own; for the sandbox."),
    Variable(
        "IAM_USER_NAME", ROTATE, "Whose access key is rotated.", shown_default="the user whom the keys belong to"
    ),
    Variable(
        "SECRET_ID",
        ROTATE,
        "The AWS Secrets Manager secret that holds the pair: name or ARN. Needed for more than one target.",
    ),
    Variable("ROTATE_AFTER_DAYS", ROTATE, "The age in days at which a key is replaced.", default="90"),
    Variable("DEACTIVATE_AFTER_DAYS", ROTATE, "The age at which the replaced key is made inactive.", default="100"),
    Variable("DELETE_AFTER_DAYS", ROTATE, "The age at which the replaced key is deleted.", default="110"),
    Variable(
        "ACCESS_KEY_ID_VARIABLE", ROTATE, "The name of the id's variable in Bitbucket.", default="AWS_ACCESS_KEY_ID"
    ),
    Variable(
        "SECRET_ACCESS_KEY_VARIABLE",
        ROTATE,
        "The name of the secret's variable in Bitbucket; always secured.",
        default="AWS_SECRET_ACCESS_KEY",
    ),
    Variable("FORCE", ROTATE, "Rotate now, whatever the key's age.", default="false"),
    Variable(
        "REVOKE",
        ROTATE,
        "The key has leaked: rotate now; the old key goes inactive in the same run, once all targets have the new one.",
        default="false",
    ),
    Variable(
        "CREDENTIALS_VARIABLE",
        ROTATE,
        "The name of one more secured variable, which gets the pair as a credentials file in base64.",
    ),
    Variable(
        "IF_STILL_USED",
        ROTATE,
        "What becomes of an old key that is still used when its time is up: `postpone` or `deactivate`.",
        default="postpone",
    ),
    Variable(
        "BITBUCKET_API_URL", ELSEWHERE, "Another address than Bitbucket's own; for the sandbox.",
        default="https://api.bitbucket.org/2.0",
    ),
    Variable(
        "STATE_VARIABLE",
        ELSEWHERE,
        "The unsecured variable in which a target remembers what Keyturn did there; never a value.",
        default="KEYTURN_STATE",
    ),
)  # fmt: skip

BY_NAME = {variable.name: variable for variable in VARIABLES}

# What Bitbucket hands to every pipe of a step, and what of it is secret.
STEP_SECRETS = ("BITBUCKET_STEP_OIDC_TOKEN", "PIPELINES_JWT_TOKEN", "BITBUCKET_APP_PASSWORD")
