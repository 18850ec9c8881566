"""Every variable that Keyturn understands: its name, its rule, its default and what it means; the only such list."""

from __future__ import annotations

from collections.abc import Iterator

from pipe.settings.pem import Certificates, PrivateKey
from pipe.settings.rules import (
    Address,
    Choice,
    Lines,
    Listing,
    Number,
    Pattern,
    SessionPolicy,
    StoredSecret,
    Switch,
    SwitchOrCount,
    TargetText,
    Text,
    Token,
    Variable,
    VariableName,
)
from pipe.sources.registry import SOURCES, stored_forms

# What Keyturn can do, and what of that `setup` and `doctor` are the way to.
DOING = ("rotate", "pull", "replicate")
ACTIONS = (*DOING, "status", "fleet", "discover", "setup", "doctor")
METHODS = ("jwt", "approle", "token", "aws", "userpass", "kubernetes", "ldap")

ALWAYS, AWS, ROTATE, ELSEWHERE = "Always", "AWS", "`rotate`", "Elsewhere"
SETUP = "`setup` and `doctor`"
FLEET = "`fleet`"
PULL, REPLICATE, VAULT = "`pull` and `replicate`", "`replicate`", "Vault and OpenBao"

# Which jobs take a variable. Those on the way there take what the jobs take that they are the way to.
WAY_THERE = frozenset({"setup", "doctor"})
ANY = frozenset(ACTIONS)
ROTATION = frozenset({"rotate", "status"}) | WAY_THERE
WRITING = ROTATION | {"pull"}
TO_BITBUCKET = WRITING | {"discover"}
SELECTING = frozenset({"pull", "replicate", "status"}) | WAY_THERE
OF_FLEETS = frozenset({"fleet", "status"}) | WAY_THERE
PULL_ONLY, REPLICATE_ONLY = SELECTING - {"replicate"}, SELECTING - {"pull"}

_ROLE = Pattern(
    r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+", "the ARN of a role",
    ((r"([\w+=,.@-]+)", "Give the whole of it, such as arn:aws:iam::123456789012:role/{0}."),),
)  # fmt: skip
_ANYWHERE = r"arn:aws[a-z-]*:rolesanywhere:[a-z]{2,}(-[a-z]+)+-\d:\d{12}"
_TOPIC = Pattern(r"arn:aws[\w-]*:sns:[a-z0-9-]+:\d{12}:[\w-]{1,256}", "the ARN of a standard topic of Amazon SNS")
_REGION = Pattern(
    r"[a-z]{2,}(-[a-z]+)+-\d", "a region such as eu-central-1",
    (
        (r"([a-z]{2,}(?:-[a-z]+)+-\d)[a-z]", "That is an availability zone; its region is {0}."),
        (r"([a-z]{2,}(?:-[a-z]+)*-[a-z]+)(\d)[a-z]?", "Is {0}-{1} meant?"),
    ),
)  # fmt: skip
_ACCOUNT = Pattern(r"\d{12}", "a list of account ids of twelve digits")
_USER = Pattern(
    r"[\w+=,.@-]{1,64}", "the name of an IAM user",
    ((r"arn:aws[\w-]*:iam::\d{12}:user/(?:.*/)?([^/]+)", "That is an ARN; the name is {0}."),),
)  # fmt: skip
_EMAIL = Pattern(r"[^@\s]+@[^@\s]+", "the e-mail address of an Atlassian account")
_APP_PASSWORD = ("ATBB", "That is an app password, which Bitbucket does not take any more.")
_USER_TOKEN = ("ATATT", "That is a user's API token: give it as ATLASSIAN_API_TOKEN, with ATLASSIAN_ACCOUNT_EMAIL.")
_OTHER_TOKEN = (
    "ATCTT", "That is an access token of a repository, project or workspace: give it as BITBUCKET_ACCESS_TOKEN.",
)  # fmt: skip
_SECRET = Pattern(
    r"(?!arn:)[\w/+=.@-]{1,512}|arn:aws[\w-]*:secretsmanager:[\w-]+:\d{12}:secret:[\w/+=.@-]+-[A-Za-z0-9]{6}",
    "a secret's name or ARN",
    ((r"arn:.*", "An ARN ends with “-” and six characters that AWS has chosen; or give the name."),),
)
_DAYS = Number("days", 1, 9_999)


def _group(
    group: str, jobs: frozenset[str], *variables: Variable, way: str = "", of_run: bool = False
) -> Iterator[Variable]:
    """Yield variables with what they have in common, but for jobs that one names itself."""
    for each in variables:
        yield each._replace(group=group, jobs=each.jobs or jobs, way=way, of_run=of_run or each.of_run)


VARIABLES = (
    *_group(
        ALWAYS, ANY,
        Variable("ACTION", Choice(ACTIONS),
                 "What to do: `rotate`, `pull`, `replicate`; `status` to look at a key; for the way there, `setup` "
                 "or `doctor`.", required=True, also="ACTIONS"),
        Variable("TARGETS", Listing(TargetText()),
                 "Where the result is written; a list. `[workspace/repository:]deployment:<environment>`, "
                 "`[workspace/repository:]repository` or `[<workspace>:]workspace`. Keyturn knows no other places: one "
                 "that you leave out stops signing when the old key goes. `discover`, which finds them: in which "
                 "repositories, such as `acme/*` or `project:PLAT/*`.", jobs=WRITING,
                 shown_default="the step's own deployment environment", also="TARGET ENVIRONMENT"),
    ),
    *_group(
        ALWAYS, TO_BITBUCKET,
        Variable("BITBUCKET_ACCESS_TOKEN", Token((_USER_TOKEN, _APP_PASSWORD)),
                 "A repository, project or workspace access token (1).", secret=True, from_step=True,
                 also="BITBUCKET_TOKEN"),
        Variable("ATLASSIAN_ACCOUNT_EMAIL", _EMAIL, "The Atlassian account that `ATLASSIAN_API_TOKEN` belongs to (1).",
                 private=True, from_step=True, also="ATLASSIAN_EMAIL BITBUCKET_EMAIL"),
        Variable("ATLASSIAN_API_TOKEN", Token((_OTHER_TOKEN, _APP_PASSWORD)), "A user's API token (1).", secret=True,
                 from_step=True, also="BITBUCKET_API_TOKEN"),
        Variable("BITBUCKET_OAUTH_CLIENT_ID", Token(), "The key of an OAuth consumer (1).", private=True,
                 from_step=True),
        Variable("BITBUCKET_OAUTH_CLIENT_SECRET", Token(), "The consumer's secret (1).", secret=True, from_step=True),
        Variable("BITBUCKET_ACCESS_TOKEN_FROM", StoredSecret(),
                 f"Where to fetch the access token at run time: {stored_forms()} (1).", private=True),
        Variable("ATLASSIAN_API_TOKEN_FROM", StoredSecret(), "The same for the API token (1).", private=True),
        Variable("BITBUCKET_OAUTH_CLIENT_SECRET_FROM", StoredSecret(), "The same for the consumer's secret (1).",
                 private=True),
        way="Bitbucket",
    ),
    *_group(
        ALWAYS, ANY,
        Variable("DRY_RUN", Switch(("offline",)),
                 "Show the plan and write nothing. With `fleet`, `offline` compares the file and its lock and asks "
                 "nobody.", default="false"),
        Variable("DEBUG", Switch(), "More of Keyturn's own log; never a library's.", default="false"),
        Variable("SNS_TOPIC_ARN", _TOPIC,
                 "An Amazon SNS topic that gets a notice of the run; needs a way into AWS (2).", also="SNS_TOPIC"),
        Variable("NOTIFY_URL", Address(secret=True),
                 "An `https://` address that gets the notice as JSON, such as an incoming webhook of Slack's; it is "
                 "a secret.", secret=True),
        Variable("NOTIFY_URL_FROM", StoredSecret(), "Where to fetch that address at run time (1).", private=True),
        Variable("NOTIFY_ON", Choice(("failure", "change", "always")),
                 "When: on `failure`, on `change` (something was changed, or failure), or `always`.",
                 default="failure"),
        Variable("REPORT_DIR", Text(),
                 "A folder for the report as JSON, the page and the record of changes; what cannot be written is "
                 "only said.", also="REPORTS_DIR"),
        of_run=True,
    ),
    *_group(
        AWS, ANY,
        Variable("AWS_OIDC_ROLE_ARN", _ROLE,
                 "The role to assume with the step's OIDC token (`oidc: true`); wins over keys (2).", from_step=True,
                 also="AWS_ROLE OIDC_ROLE_ARN"),
        Variable("AWS_ACCESS_KEY_ID", Pattern(r"\w{16,128}", "an access key id"), "An access key (2).", private=True,
                 from_step=True),
        Variable("AWS_SECRET_ACCESS_KEY", Token(), "The access key's secret (2).", secret=True, from_step=True),
        Variable("AWS_SESSION_TOKEN", Token(), "The session token that belongs to temporary keys.", secret=True,
                 from_step=True),
        Variable("AWS_ROLE_ARN", _ROLE, "A role to assume by the access key."),
        Variable("AWS_ROLESANYWHERE_TRUST_ANCHOR_ARN",
                 Pattern(rf"{_ANYWHERE}:trust-anchor/[\w-]+", "the ARN of a trust anchor"),
                 "IAM Roles Anywhere: the trust anchor (2)."),
        Variable("AWS_ROLESANYWHERE_PROFILE_ARN", Pattern(rf"{_ANYWHERE}:profile/[\w-]+", "the ARN of a profile"),
                 "The profile (2)."),
        Variable("AWS_ROLESANYWHERE_ROLE_ARN", _ROLE, "The role (2)."),
        Variable("AWS_ROLESANYWHERE_CERTIFICATE", Certificates("AWS_ROLESANYWHERE_PRIVATE_KEY"),
                 "The certificate: PEM, or base64 of it (2).", private=True),
        Variable("AWS_ROLESANYWHERE_PRIVATE_KEY", PrivateKey("AWS_ROLESANYWHERE_CERTIFICATE"),
                 "The certificate's private key, likewise (2).", secret=True, from_step=True),
        Variable("AWS_ROLESANYWHERE_CHAIN", Certificates("AWS_ROLESANYWHERE_PRIVATE_KEY"),
                 "Certificates between it and the anchor, likewise, if any.", private=True),
        way="AWS",
    ),
    *_group(
        AWS, ANY,
        Variable("AWS_SESSION_POLICY", SessionPolicy(),
                 "Narrows the role's session: a policy as JSON, or `minimal`, which is the smallest one for this "
                 "very run.", private=True),
        Variable("AWS_SESSION_SECONDS", Number("seconds", 900, 43_200),
                 "How many seconds the role's session lasts at most.", default="3600"),
        Variable("AWS_DEFAULT_REGION", _REGION,
                 "The region, e.g. `eu-central-1`; needed for secrets in AWS, but for a `SECRET_ID` that is an ARN.",
                 from_step=True, also="AWS_REGION"),
        Variable("ALLOWED_AWS_ACCOUNT_IDS", Listing(_ACCOUNT),
                 "A list; any other account is refused before anything is touched."),
        Variable("AWS_ENDPOINT_URL", Address(), "Overrides the AWS endpoint; for the sandbox.", of_run=True),
    ),
    *_group(
        ROTATE, ROTATION,
        Variable("IAM_USER_NAME", _USER, "Whose access key is rotated.",
                 shown_default="the user whom the keys belong to", also="IAM_USER IAM_USERNAME"),
        Variable("SECRET_ID", _SECRET,
                 "The AWS Secrets Manager secret that holds the pair: name or ARN. Needed for more than one target.",
                 also="SECRET_NAME SECRET_ARN"),
        Variable("ROTATE_AFTER_DAYS", _DAYS, "The age in days at which a key is replaced.", default="90"),
        Variable("DEACTIVATE_AFTER_DAYS", _DAYS, "The age at which the replaced key is made inactive.",
                 shown_default="`ROTATE_AFTER_DAYS` and 10 more, or a quarter more where that is less"),
        Variable("DELETE_AFTER_DAYS", _DAYS, "The age at which the replaced key is deleted.",
                 shown_default="the same again"),
        Variable("ACCESS_KEY_ID_VARIABLE", VariableName(), "The name of the id's variable in Bitbucket.",
                 default="AWS_ACCESS_KEY_ID"),
        Variable("SECRET_ACCESS_KEY_VARIABLE", VariableName(),
                 "The name of the secret's variable in Bitbucket; always secured.", default="AWS_SECRET_ACCESS_KEY"),
        Variable("FORCE", Switch(),
                 "Rotate now, whatever the key's age. With `pull` and `replicate`: write everything, changed or not.",
                 jobs=ANY, default="false", of_run=True),
        Variable("REVOKE",
                 # In capitals but for four letters, so that no secret that is pasted here is shown.
                 Pattern(r"…?([A-Z0-9]{4,128}|[a-z0-9]{4})|(?i:true|false)",
                         "an access key's id, or its last letters, at least four"),
                 "A key has leaked: its id, or its last letters, at least four. A key in use is "
                 "replaced first; then it goes inactive in the same run, or is deleted where there is no room.",
                 jobs=ROTATION | {"fleet"}, of_run=True, also="REVOKED REVOKE_KEY"),
        Variable("CREDENTIALS_VARIABLE", VariableName(),
                 "The name of one more secured variable, which gets the pair as a credentials file in base64."),
        Variable("IF_STILL_USED", Choice(("postpone", "deactivate")),
                 "What to do with an old key that is still in use when its time is up: `postpone` or `deactivate`.",
                 default="postpone"),
    ),
    *_group(
        PULL, SELECTING,
        Variable("SOURCE", Choice(tuple(SOURCES)),
                 "Where the secrets come from: `vault`, which is OpenBao, too, or for `pull` also "
                 f"{' or '.join(f'`{name}`' for name in SOURCES if name != 'vault')}.",
                 default="vault", also="SOURCES"),
        Variable("SECRETS", Lines(),
                 "Which secrets: selectors, one a line or separated by `;`. Needed by both. For `secretsmanager`: a "
                 "name, an ARN, `ci/**` or `tag:<key>=<value>`; a name may have a stage or version behind a colon. "
                 "For `ssm`: a parameter's name or `/ci/**`.", private=True, also="SECRET"),
        Variable("SECURED", Switch(), "Write secured variables; `pull` only.", jobs=PULL_ONLY, default="true",
                 also="SECURE"),
        Variable("PRUNE", SwitchOrCount(),
                 "Delete what Keyturn has written and the source has no more: `true`, which refuses more than five "
                 "and a fifth of what a selector or a target has, or a number, which lets exactly that many go all the "
                 "same, fewer as `true` does, and more never.", default="false"),
        Variable("ON_MISSING", Choice(("fail", "keep")),
                 "What to do when a named secret or key is not there: `fail`, and nothing is updated, or `keep` its "
                 "variables and update the rest; with `PRUNE` they are deleted all the same.",
                 default="fail"),
        Variable("ENCODE", Choice(("base64",)),
                 "`base64` for values that a variable cannot hold as they are, such as several lines; `pull` only.",
                 jobs=PULL_ONLY),
        Variable("TRIM", Choice(("newline",)),
                 "`newline` leaves out one line break at the end of a value; `pull` only.", jobs=PULL_ONLY),
    ),
    *_group(
        ELSEWHERE, ANY,
        Variable("ADOPT", Listing(),
                 "`replicate`: `true` takes over secrets of the same name in Secrets Manager that Keyturn did not "
                 "write. `rotate`: what is given up: the ARN of a secret that a target remembers, the id of a key "
                 "that it holds, a place outside `TARGETS`.", jobs=REPLICATE_ONLY | ROTATION | {"fleet"}, of_run=True),
    ),
    *_group(
        REPLICATE, REPLICATE_ONLY,
        Variable("AWS_SECRET_PREFIX", Pattern(r"[\w/+=.@-]{1,400}", "the beginning of names, such as vault/"),
                 "What the replicas' names begin with, e.g. `vault/`."),
        Variable("KMS_KEY_ID", Pattern(r"[\w:/-]{1,2048}", "a key's id or ARN"),
                 "The KMS key that new replicas are encrypted with.", shown_default="the account's own",
                 also="KMS_KEY KMS_KEY_ARN"),
        Variable("RECOVERY_WINDOW_DAYS", Number("days", 7, 30),
                 "How many days a deleted replica can be restored, from 7 to 30.", default="30"),
    ),
    *_group(
        VAULT, ANY,
        Variable("VAULT_ADDR", Address(),
                 "The address; `http://` only on this machine. A `/v1` or `/ui` at its end is dropped. Needed for "
                 "`SOURCE` `vault`.", from_step=True, also="VAULT_URL VAULT_ADDRESS"),
        Variable("VAULT_NAMESPACE", Pattern(r"[\w./-]{1,200}", "a namespace"), "The namespace.", from_step=True),
        Variable("VAULT_CACERT", Certificates(usable=True),
                 "The certificates to trust instead of the usual ones: PEM, or base64 of it.", private=True,
                 from_step=True),
    ),
    *_group(
        VAULT, ANY,
        Variable("VAULT_AUTH_METHOD", Choice(METHODS),
                 "How to sign in: `jwt`, `approle`, `token`, `aws`, `userpass`, `kubernetes` or `ldap`.",
                 shown_default="`jwt` with the step's OIDC token, else by what is given"),
        Variable("VAULT_AUTH_PATH", Pattern(r"[\w./-]{1,200}", "a path"), "Where the method is mounted.",
                 shown_default="the method's name"),
        Variable("VAULT_ROLE", Pattern(r"[\w.-]{1,200}", "a role's name"),
                 "The role, for `jwt`, `aws` and `kubernetes`."),
        Variable("VAULT_ROLE_ID", Text(), "The role's id, for `approle`.", private=True),
        Variable("VAULT_SECRET_ID", Token(), "The secret id, for `approle`.", secret=True, from_step=True),
        Variable("VAULT_WRAPPED_SECRET_ID", Token(), "Or a wrapping token of the secret id.", secret=True,
                 from_step=True),
        Variable("VAULT_TOKEN", Token(), "The token, for `token`.", secret=True, from_step=True),
        Variable("VAULT_USERNAME", Text(), "The user, for `userpass` and `ldap`.", private=True),
        Variable("VAULT_PASSWORD", Text(), "The password, for `userpass` and `ldap`.", secret=True, from_step=True),
        way="Vault",
    ),
    *_group(
        FLEET, OF_FLEETS,
        Variable("FLEET", Text(),
                 "The fleet file, in the step's clone; given to `status`, `doctor` or `setup`, they look at the whole "
                 "fleet.", default="keyturn.yaml"),
        Variable("FLEET_LOCK", Text(), "The lock: which places the file's jobs may write, by uuid; reviewed like code.",
                 default="keyturn.lock"),
        Variable("JOBS", Listing(Pattern(r"[a-z0-9-]+(/[\w.*-]+)?", "the names of jobs of the fleet file")),
                 "Only these jobs; a list of `service-keys`, `service-keys/svc-a` or `service-keys/svc-*`.",
                 shown_default="all jobs"),
        Variable("SHARE", Pattern(r"parallel|[1-9]\d{0,3}/[1-9]\d{0,3}", "parallel, or a share such as 2/4"),
                 "This step's share of the jobs: `2/4`, or `parallel` for Bitbucket's own parallel steps.",
                 shown_default="all of it"),
        of_run=True,
    ),
    *_group(
        SETUP, WAY_THERE,
        Variable("SETUP_ACTIONS", Listing(Choice(DOING)),
                 "For which actions, a list of `rotate`, `pull` and `replicate`.",
                 shown_default="those that the other variables are for"),
        Variable("WRITE_PROBE", Switch(),
                 "`doctor`: try writing, too, in the first of `TARGETS`, with throw-away variables that are deleted "
                 "again. `DRY_RUN` shows the requests.", jobs=ANY, default="false"),
        of_run=True,
    ),
    *_group(
        ELSEWHERE, ANY,
        Variable("BITBUCKET_API_URL", Address(), "Overrides Bitbucket's API; for the sandbox.", jobs=TO_BITBUCKET,
                 default="https://api.bitbucket.org/2.0", of_run=True),
        Variable("STATE_VARIABLE", VariableName(own=True),
                 "The unsecured variable in which a target remembers what was pulled; never a value.", jobs=PULL_ONLY,
                 default="KEYTURN_STATE"),
    ),
)  # fmt: skip

BY_NAME = {variable.name: variable for variable in VARIABLES}

# The same name is a switch where secrets are replicated, and a list of what is given up where a key is rotated.
TAKE_OVER = BY_NAME["ADOPT"]._replace(rule=Switch())

# Ways to sign in: of several levels that give one, the nearest counts as a whole.
BITBUCKET_WAY, AWS_WAY, VAULT_WAY = (
    frozenset(each.name for each in VARIABLES if each.way == way) for way in ("Bitbucket", "AWS", "Vault")
)

# What belongs to a run and not to one of its jobs: a fleet file has none of it.
OF_THE_RUN = frozenset(each.name for each in VARIABLES if each.of_run)

# What Bitbucket hands to every pipe of a step, and what of it is secret.
STEP_TOKEN = "BITBUCKET_STEP_OIDC_TOKEN"  # noqa: S105 - a variable's name
STEP_SECRETS = (STEP_TOKEN, "PIPELINES_JWT_TOKEN", "BITBUCKET_APP_PASSWORD")
