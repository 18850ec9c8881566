"""Tokens of web identities: whether a registered provider's key signed one, for whom, and until when."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt
import requests
from moto.core.responses import EmptyResult
from moto.iam.models import OpenIDConnectProvider
from moto.iam.responses import IamResponse

from sandbox.aws.dialect import Refused
from sandbox.aws.keys import iam
from sandbox.clock import Clock
from sandbox.server import LOOPBACK

_ALGORITHMS = ("RS256", "RS384", "RS512")
_REQUIRED = ("iss", "aud", "sub", "exp", "iat")
# As long as AWS waits for a provider.
_TIMEOUT = 5.0

_NO_JWT = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
# The two spaces are AWS's own.
_NO_KEY = (
    "Couldn't retrieve verification key from your identity provider,  "
    "please reference AssumeRoleWithWebIdentity documentation for requirements"
)
_NOT_REACHED = (
    "The request could not be fulfilled because the identity provider (IDP) that was asked to verify the incoming "
    "identity token could not be reached."
)


def _add_audience(self: IamResponse) -> EmptyResult:
    """Do what moto lacks: AddClientIDToOpenIDConnectProvider, to which an audience that is there is no error."""
    provider = self.backend.get_open_id_connect_provider(self._get_param("OpenIDConnectProviderArn"))
    audience = self._get_param("ClientID")
    if audience not in provider.client_id_list:
        provider.client_id_list.append(audience)
    return EmptyResult()


IamResponse.add_client_id_to_open_id_connect_provider = _add_audience  # type: ignore[attr-defined]


@dataclass(frozen=True)
class WebIdentity:
    """Who came with a token that is right: the provider's name is its URL without the scheme."""

    provider_arn: str
    provider: str
    audience: str
    subject: str


class Tokens:
    """Verifies tokens by the sandbox's clock, and keeps the keys that issuers have published."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._http = requests.Session()
        # Issuers are on this machine; a proxy has nothing to do with them.
        self._http.trust_env = False
        self._keys: dict[str, dict[str, Any]] = {}

    def reset(self) -> None:
        """Forget all keys."""
        self._keys.clear()

    def learn(self, issuer: str, keys: Mapping[str, Any]) -> None:
        """Know an issuer's keys, given as a JWKS, without fetching them."""
        self._keys[issuer] = _by_id(keys)

    def verify(self, token: str) -> WebIdentity:
        """Return whose token this is, or refuse it as STS does."""
        claims = _claims(token)
        issuer = claims["iss"]
        provider = _provider(issuer)
        audience = _audience(claims["aud"], provider)
        self._check_signature(token, issuer)
        self._check_times(claims)
        return WebIdentity(provider.arn, provider.url, audience, claims["sub"])

    def _check_signature(self, token: str, issuer: str) -> None:
        key_id = str(jwt.get_unverified_header(token).get("kid"))
        if key_id not in self._keys.get(issuer, {}):
            self._keys[issuer] = self._published(issuer)
        key = self._keys[issuer].get(key_id)
        if key is None:
            raise _invalid(_NO_KEY)
        try:
            jwt.decode(token, key, algorithms=list(_ALGORITHMS), options=_SIGNATURE_ALONE)
        except jwt.InvalidTokenError:
            raise _invalid("Token signature invalid") from None

    def _published(self, issuer: str) -> dict[str, Any]:
        """Return an issuer's keys by id, found by the issuer's URL alone."""
        discovery = self._fetch(f"{issuer}/.well-known/openid-configuration")
        if discovery.get("issuer") != issuer:
            raise _invalid(_NO_KEY)
        try:
            return _by_id(self._fetch(str(discovery.get("jwks_uri"))))
        except jwt.PyJWKSetError:
            raise _invalid(_NO_KEY) from None

    def _fetch(self, url: str) -> dict[str, Any]:
        if urlsplit(url).hostname != LOOPBACK:
            # The sandbox asks nobody beyond this machine.
            raise _invalid(_NO_KEY)
        try:
            answer = self._http.get(url, timeout=_TIMEOUT)
            if answer.status_code >= 500:
                raise Refused("IDPCommunicationError", _NOT_REACHED)
            document = answer.json() if answer.status_code == 200 else None
        except requests.RequestException:
            raise _invalid(_NO_KEY) from None
        if not isinstance(document, dict):
            raise _invalid(_NO_KEY)
        return document

    def _check_times(self, claims: dict[str, Any]) -> None:
        now = math.floor(self._clock.time())
        if now >= claims["exp"]:
            raise Refused(
                "ExpiredTokenException",
                f"Token expired: current date/time {now} must be before the expiration date/time {claims['exp']}",
            )
        if max(claims["iat"], claims.get("nbf", claims["iat"])) > now:
            raise _invalid("Token not yet valid")


_SIGNATURE_ALONE: Any = {"verify_signature": True} | {
    f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")
}


def _by_id(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a JWKS by their ids; raises PyJWKSetError."""
    return {key.key_id: key for key in jwt.PyJWKSet.from_dict(dict(keys)).keys if key.key_id}


def _claims(token: str) -> dict[str, Any]:
    """Return what a token says, once it has the shape that AWS asks for."""
    try:
        if jwt.get_unverified_header(token).get("alg") not in _ALGORITHMS:
            raise _invalid(_NO_JWT)
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        raise _invalid(_NO_JWT) from None
    for claim in _REQUIRED:
        if not claims.get(claim):
            raise _invalid(f"Missing a required claim: {claim}")
    return claims


def _provider(issuer: str) -> OpenIDConnectProvider:
    """Return the provider that was registered for an issuer, whose name must be the same to the last character.

    AWS wants https; the sandbox's issuers speak http, and neither ARNs nor the keys of conditions name a scheme.
    """
    name = issuer.partition("://")[2]
    for provider in list(iam().open_id_providers.values()):
        if provider.url == name:
            return provider
    raise _invalid(f"No OpenIDConnect provider found in your account for {issuer}")


def _audience(claimed: str | list[str], provider: OpenIDConnectProvider) -> str:
    """Return the audience that trust policies are asked about: the first that the provider knows."""
    for audience in [claimed] if isinstance(claimed, str) else claimed:
        if audience in provider.client_id_list:
            return audience
    raise _invalid("Incorrect token audience")


def _invalid(message: str) -> Refused:
    return Refused("InvalidIdentityToken", message)
