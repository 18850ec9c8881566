"""What the survey of Vault asks of its clients."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from pipe.secrets import Content, Mount, Tree, Version


class Kv(Protocol):
    """Vault's secrets; paths are below the mount, as the CLI has them. Every method raises ServiceError."""

    def mount(self, path: str) -> Mount:
        """Return the mount that a path is on; raises Missing where there is none, or Denied instead."""

    def tree(self, mount: Mount, folder: str, *, recursive: bool) -> Tree:
        """Return a folder's secrets with their versions, of a recursive one all below it, without reading any.

        A folder that is not there is empty. Raises Denied or Unsupported where the policy or the server lack this.
        """

    def names(self, mount: Mount, folder: str) -> tuple[str, ...]:
        """Return the names in a folder, those of folders with a slash at the end; none for one that is not there."""

    def version(self, mount: Mount, path: str) -> Version:
        """Return a secret's current version, without reading it; raises Missing."""

    def read(self, mount: Mount, path: str, number: int | None = None) -> Content:
        """Return what is in a secret, in its current version or a given one; raises Missing."""


class Session(Protocol):
    """The sign-in at Vault. Every method raises ServiceError."""

    @property
    def origin(self) -> str:
        """The server's address and the namespace."""

    def sign_in(self) -> None:
        """Sign in."""

    def now(self) -> datetime:
        """Return the server's present time."""

    def sign_out(self, *, leased: bool) -> None:
        """Give back the token; with `leased`, leave it to expire, since leases that are in use end with it."""
