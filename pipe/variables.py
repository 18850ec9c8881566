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
SETUP = "`setup` and `doctor`"
PULL, REPLICATE, VAULT = "`pull` and `replicate`", "`replicate`", "Vault and OpenBao"

VARIABLES = (
    Variable(
        "ACTION",
        ALWAYS,
        "What to do: `rotate`, `pull`, `replicate`; `status` to look at a key; for the way there, `setup` or `doctor`.",
        required=True,
    ),
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
    Variable("BITBUCKET_OAUTH_CLIENT_ID", ALWAYS, "The key of an OAuth consumer (1)."),
    Variable("BITBUCKET_OAUTH_CLIENT_SECRET", ALWAYS, "The consumer's secret (1).", secret=True),
    Variable(
        "BITBUCKET_ACCESS_TOKEN_FROM",
        ALWAYS,
        "Where to fetch the access token at run time: `vault: <path> <key>` or `secretsmanager: <name> <key>` (1).",
    ),
    Variable("ATLASSIAN_API_TOKEN_FROM", ALWAYS, "The same for the API token (1)."),
    Variable("BITBUCKET_OAUTH_CLIENT_SECRET_FROM", ALWAYS, "The same for the consumer's secret (1)."),
    Variable("DRY_RUN", ALWAYS, "Show the plan and write nothing.", default="false"),
    Variable("DEBUG", ALWAYS, "More of Keyturn's own log; never a library's.", default="false"),
    Variable("SNS_TOPIC_ARN", ALWAYS, "An Amazon SNS topic that gets a notice of the run; needs a way into AWS (2)."),
    Variable(
        "NOTIFY_ON",
        ALWAYS,
        "When: on `failure`, on `change` (something was changed, or failure), or `always`.",
        default="failure",
    ),
    Variable("REPORT_DIR", ALWAYS, "A folder for the report as JSON; a report that cannot be written is only said."),
    Variable(
        "AWS_OIDC_ROLE_ARN",
        AWS,
        "The role to assume with the step's OIDC token (`oidc: true`); wins over keys (2).",
    ),
    Variable("AWS_ACCESS_KEY_ID", AWS, "An access key (2)."),
    Variable("AWS_SECRET_ACCESS_KEY", AWS, "The access key's secret (2).", secret=True),
    Variable("AWS_SESSION_TOKEN", AWS, "The session token that belongs to temporary keys.", secret=True),
    Variable("AWS_ROLE_ARN", AWS, "A role to assume by the access key."),
    Variable("AWS_ROLESANYWHERE_TRUST_ANCHOR_ARN", AWS, "IAM Roles Anywhere: the trust anchor (2)."),
    Variable("AWS_ROLESANYWHERE_PROFILE_ARN", AWS, "The profile (2)."),
    Variable("AWS_ROLESANYWHERE_ROLE_ARN", AWS, "The role (2)."),
    Variable("AWS_ROLESANYWHERE_CERTIFICATE", AWS, "The certificate: PEM, or base64 of it (2)."),
    Variable("AWS_ROLESANYWHERE_PRIVATE_KEY", AWS, "The certificate's private key, likewise (2).", secret=True),
    Variable("AWS_ROLESANYWHERE_CHAIN", AWS, "Certificates between it and the anchor, likewise, if any."),
    Variable(
        "AWS_SESSION_POLICY",
        AWS,
        "Narrows the role's session: a policy as JSON, or `minimal`, which is the smallest one for this very run.",
    ),
    Variable("AWS_SESSION_SECONDS", AWS, "How many seconds the role's session lasts at most.", default="3600"),
    Variable(
        "AWS_DEFAULT_REGION",
        AWS,
        "The region, e.g. `eu-central-1`; needed for Secrets Manager, but for a `SECRET_ID` that is an ARN.",
    ),
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
    Variable(
        "FORCE",
        ROTATE,
        "Rotate now, whatever the key's age. With `pull` and `replicate`: write everything, changed or not.",
        default="false",
    ),
    Variable(
        "REVOKE",
        ROTATE,
        "A key has leaked: its id, or its last letters, at least four. A key in use is replaced first; then it goes "
        "inactive in the same run.",
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
        "SOURCE",
        PULL,
        "Where the secrets come from: `vault`, which is OpenBao, too, or for `pull` also `secretsmanager`.",
        default="vault",
    ),
    Variable(
        "SECRETS",
        PULL,
        "Which secrets: selectors, one a line or separated by `;`. Needed by both. For `secretsmanager`: a name, an "
        "ARN, `ci/**` or `tag:<key>=<value>`; a name may have a stage or version behind a colon.",
    ),
    Variable("SECURED", PULL, "Write secured variables; `pull` only.", default="true"),
    Variable(
        "PRUNE", PULL, "Delete what Keyturn has written and the source has no more.", default="false"
    ),
    Variable(
        "ON_MISSING", PULL, "What becomes of the run when a named secret or key is not there: `fail` or `keep`.",
        default="fail",
    ),
    Variable(
        "ENCODE",
        PULL,
        "`base64` for values that a variable cannot hold as they are, such as several lines; `pull` only.",
    ),
    Variable("TRIM", PULL, "`newline` leaves out one line break at the end of a value; `pull` only."),
    Variable(
        "ADOPT",
        REPLICATE,
        "Take over secrets of the same name in Secrets Manager that Keyturn did not write.",
        default="false",
    ),
    Variable("AWS_SECRET_PREFIX", REPLICATE, "What the replicas' names begin with, e.g. `vault/`."),
    Variable(
        "KMS_KEY_ID", REPLICATE, "The KMS key that new replicas are encrypted with.", shown_default="the account's own"
    ),
    Variable(
        "RECOVERY_WINDOW_DAYS", REPLICATE, "How many days a deleted replica can be restored, from 7 to 30.",
        default="30",
    ),
    Variable("VAULT_ADDR", VAULT, "The address; `http://` only on this machine. Needed for `SOURCE` `vault`."),
    Variable("VAULT_NAMESPACE", VAULT, "The namespace."),
    Variable("VAULT_CACERT", VAULT, "The certificates to trust instead of the usual ones: PEM, or base64 of it."),
    Variable(
        "VAULT_AUTH_METHOD",
        VAULT,
        "How to sign in: `jwt`, `approle`, `token`, `aws`, `userpass`, `kubernetes` or `ldap`.",
        shown_default="`jwt` with the step's OIDC token, else by what is given",
    ),
    Variable("VAULT_AUTH_PATH", VAULT, "Where the method is mounted.", shown_default="the method's name"),
    Variable("VAULT_ROLE", VAULT, "The role, for `jwt`, `aws` and `kubernetes`."),
    Variable("VAULT_ROLE_ID", VAULT, "The role's id, for `approle`."),
    Variable("VAULT_SECRET_ID", VAULT, "The secret id, for `approle`.", secret=True),
    Variable("VAULT_WRAPPED_SECRET_ID", VAULT, "Or a wrapping token of the secret id.", secret=True),
    Variable("VAULT_TOKEN", VAULT, "The token, for `token`.", secret=True),
    Variable("VAULT_USERNAME", VAULT, "The user, for `userpass` and `ldap`."),
    Variable("VAULT_PASSWORD", VAULT, "The password, for `userpass` and `ldap`.", secret=True),
    Variable(
        "SETUP_ACTIONS",
        SETUP,
        "For which actions, a list of `rotate`, `pull` and `replicate`.",
        shown_default="those that the other variables are for",
    ),
    Variable(
        "SETUP_FORMAT",
        SETUP,
        "How `setup` says what has to exist in AWS and Vault: `cli`, `cloudformation` or `terraform`.",
        default="cli",
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
