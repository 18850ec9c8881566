"""The ways to log in to Vault, and what a refused log-in means."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from pipe.clients.answer import known_words
from pipe.clients.vault_api import Answer, Call, Question, plain
from pipe.clients.vault_errors import Explain, Refusal
from pipe.errors import BadCredentials, KeyturnError, Missing
from pipe.pipeline_step import claims_of
from pipe.redact import Secret, one_line

# Bitbucket's claims and what Vault compares them with; the longest, which tells least, comes last.
_BINDINGS = {
    "The mount's bound_issuer or oidc_discovery_url": ("iss",),
    "The role's bound_audiences": ("aud",),
    "The role's bound_claims": ("repositoryUuid", "deploymentEnvironmentUuid", "branchName", "workspaceUuid", "sub"),
}
# What is told of a refusal: Vault's own words for a cause, in which nothing of the credentials can be.
_KNOWN = (
    r"(?i)permission denied|namespace not found|namespace|no handler for route|unsupported (?:path|operation)|"
    r"(?:invalid|missing|bad) (?:role|secret|token|jwt|audience|issuer|username|password|credentials|client token)"
    r"(?:[ _](?:id|name|or password|or secret id|or role name|\([a-z]{3}\) claim))?|"
    r"role (?:\"[\w.-]{1,60}\" )?could not be found|entry for role (?:\"[\w.-]{1,60}\" )?not found|"
    r"error validating (?:token|claims|X-Vault-AWS-IAM-Server-ID header)|"
    r"claim \"/?[A-Za-z_/]{1,40}\" (?:is missing|does not match(?: any associated bound claim values)?)|"
    r"(?:token|secret id) (?:is|has) expired|expired|(?:token )?not yet valid|error verifying (?:token )?signature|"
    r"failed to (?:verify|bind as user|find user|validate)|ldap operation failed|user is locked|source address|"
    r"IAM Principal(?= )|does not belong to the role|error making upstream request|"
    r"received error code [0-9]{3}(?: from STS)?|service account (?:name |namespace )?not authorized|"
    r"wrapping token is not valid or does not exist"
)
_CHECK_USER = "Check VAULT_USERNAME and VAULT_PASSWORD."
_UNKNOWN_ROLE = r"role .*(could not be found|not found)|(invalid|missing) role\b(?! or)"


class Login(NamedTuple):
    """One way to sign in: Vault's name for it, where it is mounted below auth/, its request, and what to check.

    `advice` is for a refusal, or the claims of `jwt` are told. One that is not `repeatable` may not be asked again
    where it may have been carried out.
    """

    method: str
    mount: str
    call: Call
    advice: str = ""
    repeatable: bool = True
    jwt: Secret | None = None


class WrappedAppRole(NamedTuple):
    """A role's id and a wrapping token around a secret id; `role` is the role's name where it is known."""

    role_id: str
    wrapping_token: Secret
    role: str = ""
    mount: str = "approle"


class Token(NamedTuple):
    """A token that somebody else has made, and that is theirs to revoke."""

    token: Secret


def by_jwt(role: str, token: Secret, mount: str = "jwt") -> Login:
    """Return the log-in by a step's OIDC token."""
    return Login("jwt", mount, lambda vault: vault.auth.jwt.jwt_login(
        role, token.reveal(), use_token=False, path=mount
    ), jwt=token)  # fmt: skip


def by_app_role(role_id: str, secret_id: Secret, mount: str = "approle") -> Login:
    """Return the log-in by a role's id and a secret id, which may be good for one log-in only."""
    return Login("approle", mount, lambda vault: vault.auth.approle.login(
        role_id, secret_id.reveal(), use_token=False, mount_point=mount
    ), "Check VAULT_ROLE_ID and VAULT_SECRET_ID: a secret id can be used up or expired.", repeatable=False)  # fmt: skip


def by_userpass(username: str, password: Secret, mount: str = "userpass") -> Login:
    """Return the log-in of a user of Vault's own."""
    # Of the two methods whose paths end with a name, hvac quotes only the other one's.
    return Login("userpass", mount, lambda vault: vault.auth.userpass.login(
        quote(username), password.reveal(), use_token=False, mount_point=quote(mount)
    ), _CHECK_USER)  # fmt: skip


def by_ldap(username: str, password: Secret, mount: str = "ldap") -> Login:
    """Return the log-in of a user of a directory."""
    return Login("ldap", mount, lambda vault: vault.auth.ldap.login(
        username, password.reveal(), use_token=False, mount_point=mount
    ), _CHECK_USER)  # fmt: skip


def by_kubernetes(role: str, token: Secret, mount: str = "kubernetes") -> Login:
    """Return the log-in by a service account's token."""
    return Login("kubernetes", mount, lambda vault: vault.auth.kubernetes.login(
        role, token.reveal(), use_token=False, mount_point=mount
    ), "Check the role's bound_service_account_names and bound_service_account_namespaces (VAULT_ROLE).")  # fmt: skip


def by_aws(role: str, proof: Callable[[], Mapping[str, str]], mount: str = "aws") -> Login:
    """Return the log-in of whoever signs `proof`: a call that returns four `iam_…` fields, signed anew each time."""

    def call(vault: Any) -> object:
        # hvac signs such a proof itself, but for one STS alone and not by a session's credentials.
        return plain("POST", f"auth/{mount}/login", body={"role": role, **proof()})(vault)

    return Login(
        "aws", mount, call, "Check the role's bound_iam_principal_arn (VAULT_ROLE), and the credentials of AWS."
    )


def _beside(token: Secret) -> str:
    """Return a token's claims beside what the role has to bind; never the token."""
    claims = {name: one_line(value, 120) for name, value in claims_of(token).items()}
    if not claims:
        return "The step's token is no JWT; check that the step has `oidc: true`."
    lines = [f"The step's token has exp {claims.get('exp', 'none')}."]
    for setting, names in _BINDINGS.items():
        has = ", ".join(f"{name} {claims[name]}" for name in names if name in claims)
        lines.append(f"{setting} must fit {has or f'a token without {names[0]}'}.")
    return " ".join(lines)


def refused(login: Login) -> Explain:
    """Return what a refused log-in means: Vault's reason, and which variable or setting to look at."""

    def explain(refusal: Refusal) -> KeyturnError | None:
        if refusal.foreign:
            return None
        advice = _beside(login.jwt) if login.jwt else login.advice
        status, said = refusal.status, known_words(_KNOWN, refusal.said) or "no known reason"
        what = f"Vault refuses the log-in by {login.method} at auth/{login.mount} ({status}): {said}."
        if "namespace" in said:
            return Missing(what, "Check VAULT_NAMESPACE.")
        if status in (404, 405):
            return Missing(what, f"Check VAULT_AUTH_PATH: is {login.method} mounted there?")
        if status == 403 and "permission denied" in said:
            # A mount that is not there is denied in the very same words.
            return BadCredentials(what, f"Check VAULT_AUTH_PATH: is {login.method} mounted there? {advice}")
        if status == 400 and re.search(_UNKNOWN_ROLE, refusal.said):
            return BadCredentials(what, "Check VAULT_ROLE: there is no such role at that mount.")
        return BadCredentials(what, advice) if status in (400, 401, 403) else None

    return explain


def unwrapped(login: WrappedAppRole, ask: Callable[[Question, Secret], Answer]) -> Login:
    """Return the log-in with the secret id out of its wrap; raises BadCredentials, an alarm, for a wrap not as made.

    `ask` makes a request with a client token.
    """
    token = login.wrapping_token
    lookup = plain("POST", "sys/wrapping/lookup", body={"token": token.reveal()})
    mount = f"auth/{login.mount}"
    made_by = ask(Question(lookup, explain=_spent), token).data.optional_text("creation_path") or ""
    role = re.escape(login.role) if login.role else "[^/]+"
    if not re.fullmatch(f"{re.escape(mount)}/role/{role}/secret-id", made_by):
        raise BadCredentials(
            f"ALARM: VAULT_WRAPPED_SECRET_ID wraps what {made_by or 'nobody'} made, and no secret id of "
            f"{mount}/role/{login.role or '…'}/secret-id. It was not unwrapped.",
            "Somebody may have exchanged it; check VAULT_AUTH_PATH and VAULT_ROLE, and who hands the wrap on.",
        )
    given = ask(Question(lambda vault: vault.sys.unwrap(), repeatable=False, explain=_spent), token)
    return by_app_role(login.role_id, Secret(given.data.text("secret_id")), login.mount)


def _spent(refusal: Refusal) -> KeyturnError | None:
    if refusal.foreign or refusal.status not in (400, 403):
        return None
    return BadCredentials(
        f"ALARM: VAULT_WRAPPED_SECRET_ID is spent or expired ({refusal.status}).",
        "If no earlier run of yours used it, somebody else has unwrapped the secret id: destroy it, and find out who. "
        "Each run needs a new wrap.",
    )
