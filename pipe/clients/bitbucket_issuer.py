"""The documents of a workspace's OpenID provider, which everybody may read."""

from __future__ import annotations

from collections.abc import Mapping

from pipe.clients.answer import About, fields
from pipe.clients.bitbucket_errors import Request, error_of, refusal
from pipe.clients.http import Door
from pipe.errors import Missing
from pipe.retry import Deadline

ABOUT = About("Bitbucket", "the OpenID provider's documents", "BITBUCKET_WORKSPACE")


class Issuer:
    """A workspace's OpenID provider, asked without credentials."""

    def __init__(self, address: str, deadline: Deadline) -> None:
        self._address = address
        self._patience = deadline

    def documents(self) -> Mapping[str, str]:
        """Return what the provider says of itself; raises ServiceError."""
        door = Door(ABOUT.service, self._address, ABOUT.check, self._patience)
        return self._patience.retry(lambda: self._ask(door), attempts=3)

    def _ask(self, door: Door) -> Mapping[str, str]:
        url = f"{self._address}/.well-known/openid-configuration"
        answer = door.ask("GET", url, ABOUT.what)
        if answer.status == 404 and error_of(answer, ABOUT) is not None:
            raise Missing(
                f"Bitbucket has no OpenID provider at {self._address} (404).",
                "Check BITBUCKET_WORKSPACE; the provider answers once a step with `oidc: true` has run.",
            )
        if answer.status >= 300:
            raise refusal(answer, Request("GET", url, ABOUT.what, "The OpenID provider"), ABOUT, ABOUT.check)
        told = fields(answer, ABOUT).raw
        return {name: value for name, value in told.items() if isinstance(value, str)}
