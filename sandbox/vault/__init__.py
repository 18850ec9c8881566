"""A real OpenBao, seeded as a company's Vault is, with a wire in front of it."""

from __future__ import annotations

from sandbox.vault.access import ROLE, SCAN, USUAL
from sandbox.vault.api import Refused
from sandbox.vault.server import VaultError
from sandbox.vault.service import Vault

__all__ = ["ROLE", "SCAN", "USUAL", "Refused", "Vault", "VaultError"]
