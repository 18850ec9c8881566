"""What somebody wants to set up, as far as it is known; nothing in it is a secret."""

from __future__ import annotations

from dataclasses import dataclass

from pipe.selectors import Selector
from pipe.step import Step


@dataclass(frozen=True)
class Wishes:
    """For which actions what has to exist, and in which `format` that is said; a text is empty where it is not known.

    `source` is where a pull's secrets come from, `vault` or `secretsmanager`. `partition` and `account` are AWS's,
    `role` is the name of the role there. `auth_path` and `vault_role` are Vault's. `targets` are as somebody gave them,
    and `more` are further variables that the step needs to have, with what they hold.
    """

    actions: tuple[str, ...]
    format: str
    step: Step
    source: str
    selectors: tuple[Selector, ...] = ()
    secrets: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    partition: str = ""
    account: str = ""
    region: str = ""
    role: str = ""
    user: str = ""
    secret_id: str = ""
    prefix: str = ""
    prune: bool = False
    kms_key: str = ""
    topic: str = ""
    vault: str = ""
    namespace: str = ""
    auth_path: str = ""
    vault_role: str = ""

    @property
    def uses_aws(self) -> bool:
        """Whether any of the actions asks AWS."""
        return bool({"rotate", "replicate"} & set(self.actions)) or self.source == "secretsmanager" or bool(self.topic)

    @property
    def uses_vault(self) -> bool:
        """Whether any of the actions asks Vault."""
        return "replicate" in self.actions or ("pull" in self.actions and self.source == "vault")

    @property
    def uses_bitbucket(self) -> bool:
        """Whether any of the actions writes variables."""
        return bool({"rotate", "pull"} & set(self.actions))
