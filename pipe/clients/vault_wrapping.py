"""Secret ids that come wrapped: looked at before they are unwrapped, so that an exchanged one is noticed."""

from __future__ import annotations

import re
from collections.abc import Callable

from pipe.clients.vault_api import Answer, Question, plain
from pipe.clients.vault_errors import Refusal
from pipe.clients.vault_logins import AppRole, WrappedAppRole, mount_of
from pipe.errors import BadCredentials, KeyturnError
from pipe.redact import Secret


def unwrapped(login: WrappedAppRole, ask: Callable[[Question, Secret], Answer]) -> AppRole:
    """Return the log-in with the secret id out of its wrap; raises BadCredentials, an alarm, for a wrap not as made.

    `ask` makes a request with a client token.
    """
    token = login.wrapping_token
    lookup = plain("POST", "sys/wrapping/lookup", body={"token": token.reveal()})
    made_by = ask(Question(lookup, explain=_spent), token).data.optional_text("creation_path") or ""
    role = re.escape(login.role) if login.role else "[^/]+"
    if not re.fullmatch(f"{re.escape(mount_of(login))}/role/{role}/secret-id", made_by):
        raise BadCredentials(
            f"ALARM: VAULT_WRAPPED_SECRET_ID wraps what {made_by or 'nobody'} made, and no secret id of "
            f"{mount_of(login)}/role/{login.role or '…'}/secret-id. It was not unwrapped.",
            "Somebody may have exchanged it; check VAULT_AUTH_PATH and VAULT_ROLE, and who hands the wrap on.",
        )
    given = ask(Question(lambda vault: vault.sys.unwrap(), repeatable=False, explain=_spent), token)
    return AppRole(login.role_id, Secret(given.data.text("secret_id")), login.auth_path)


def _spent(refusal: Refusal) -> KeyturnError | None:
    if refusal.foreign or refusal.status not in (400, 403):
        return None
    return BadCredentials(
        f"ALARM: VAULT_WRAPPED_SECRET_ID is spent or expired ({refusal.status}): {refusal.said}",
        "If no earlier run of yours used it, somebody else has unwrapped the secret id: destroy it, and find out who. "
        "Each run needs a new wrap.",
    )
