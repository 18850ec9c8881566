"""The documents of a workspace's OpenID provider, which everybody may read."""

from __future__ import annotations

from collections.abc import Mapping

import requests

from pipe.clients.bitbucket_errors import unreachable
from pipe.errors import Missing, ServiceError
from pipe.patience import Patience

WHAT = "the OpenID provider's documents"


class Issuer:
    """A workspace's OpenID provider, asked without credentials."""

    def __init__(self, address: str, patience: Patience) -> None:
        self._address = address
        self._patience = patience

    def documents(self) -> Mapping[str, str]:
        """Return what the provider says of itself; raises ServiceError."""
        return self._patience.insist(self._ask, attempts=3)

    def _ask(self) -> Mapping[str, str]:
        url = f"{self._address}/.well-known/openid-configuration"
        session = requests.Session()
        session.auth = _nobody
        try:
            response = session.get(url, timeout=self._patience.timeouts, allow_redirects=False)
            told = response.json() if response.ok else None
        except requests.JSONDecodeError:
            told = None
        except requests.RequestException as error:
            raise unreachable(WHAT, error) from None
        if response.status_code == 404:
            raise Missing(
                f"Bitbucket has no OpenID provider at {self._address} (404).",
                "Check BITBUCKET_WORKSPACE; the provider answers once a step with `oidc: true` has run.",
            )
        if not isinstance(told, dict):
            raise ServiceError(f"Bitbucket's answer about {WHAT} is not as expected ({response.status_code}).")
        return {name: value for name, value in told.items() if isinstance(value, str)}


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave the request without credentials, those of ~/.netrc too."""
    return request
