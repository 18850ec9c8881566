"""Access tokens for an OAuth consumer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests

from pipe.clients.bitbucket_auth import Authorization, Grant, basic_header
from pipe.clients.bitbucket_errors import pause, unreachable
from pipe.clients.bitbucket_http import Header
from pipe.errors import BadCredentials, Busy, ServiceError
from pipe.patience import Patience
from pipe.redact import Secret, one_line

WHAT = "an OAuth access token"

# So many seconds before its end a token is replaced; of a short life, a tenth.
EARLY = 60.0


def consumer(
    url: str, client_id: str, secret: Secret | Callable[[], Secret], advice: str, patience: Patience
) -> Authorization:
    """Return the authorization by the access tokens that an OAuth consumer gets; `url` is the API's root."""
    asked: list[Secret] = [secret] if isinstance(secret, Secret) else []

    def ask() -> Grant:
        if not asked and callable(secret):
            asked.append(secret())
        header = basic_header(client_id, asked[0])
        try:
            return patience.insist(lambda: _ask_once(token_url(url), header, advice, patience))
        except Busy as error:
            # It has been asked patiently; who needs the token shall not begin anew.
            raise ServiceError(error.what, error.check) from None

    return Authorization(ask)


def token_url(url: str) -> str:
    """Return where tokens are made; Bitbucket's own endpoint is not at the API's host, any other's is."""
    parts = urlsplit(url)
    host = "bitbucket.org" if parts.hostname == "api.bitbucket.org" else parts.netloc
    return f"{parts.scheme}://{host}/site/oauth2/access_token"


def _ask_once(url: str, header: str, advice: str, patience: Patience) -> Grant:
    began = time.monotonic()
    try:
        response = requests.post(
            url, data={"grant_type": "client_credentials"}, auth=Header(header), headers={"Accept": "application/json"},
            timeout=patience.timeouts, allow_redirects=False,
        )  # fmt: skip
    except requests.RequestException as error:
        raise unreachable(WHAT, error) from None
    body = _json(response)
    match response.status_code:
        case 200:
            return _grant(body, began)
        case 429:
            raise Busy(
                f"Bitbucket's rate limit is reached (429) for {WHAT}.", "Run again later.",
                after=pause(response), throttled=True,
            )  # fmt: skip
        case status if status >= 500:
            raise Busy(f"Bitbucket answered {status} for {WHAT}.", after=pause(response))
        case 400 | 401 | 403 as status:
            raise BadCredentials(
                f"Bitbucket refuses the OAuth consumer ({status}): {_said(body, response)}",
                f"Check {advice}: is there such a consumer, and is it private, with a callback URL?",
            )
        case status:
            raise ServiceError(f"Bitbucket answered {status} for {WHAT}.", "Check BITBUCKET_API_URL.")


def _grant(body: dict[str, Any], began: float) -> Grant:
    token, seconds = body.get("access_token"), body.get("expires_in")
    if not isinstance(token, str) or not token:
        raise ServiceError(f"Bitbucket's answer about {WHAT} is not as documented.", "Check BITBUCKET_API_URL.")
    secret = Secret(token)
    lasts = float(seconds) if isinstance(seconds, int | float) and seconds > 0 else 3600.0
    told = body.get("scope") or body.get("scopes")
    scopes = frozenset(told.split()) if isinstance(told, str) else frozenset()
    return Grant(f"Bearer {token}", secret, began + lasts - min(EARLY, lasts / 10), scopes)


def _json(response: requests.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except requests.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _said(body: dict[str, Any], response: requests.Response) -> str:
    said = [str(body[name]) for name in ("error", "error_description") if body.get(name)]
    return ": ".join(said) or one_line(response.text, 200) or "no reason given"
