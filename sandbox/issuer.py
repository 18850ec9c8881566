"""Bitbucket's OpenID issuer of one workspace: its two documents, and the tokens that steps are given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask

from sandbox.bitbucket import Environment, Repository, Workspace
from sandbox.bitbucket.gate import route

LIFETIME = timedelta(hours=1)
_ALGORITHM = "RS256"

# A signing key with its id.
_Key = tuple[str, rsa.RSAPrivateKey]


class Issuer:
    """The issuer of a workspace; `host` is the URL that Bitbucket's API is served at, without a path."""

    def __init__(self, workspace: Workspace, host: str = "https://api.bitbucket.org") -> None:
        self.workspace = workspace
        self.host = host
        self._path = f"/2.0/workspaces/{workspace.slug}/pipelines-config/identity/oidc"
        self._rotated: _Key | None = None

    @property
    def url(self) -> str:
        """The issuer's name, below which its documents are."""
        return self.host + self._path

    @property
    def audience(self) -> str:
        """The audience of a token for which the step names no other."""
        return f"ari:cloud:bitbucket::workspace/{self.workspace.uuid.strip('{}')}"

    def serve(self, app: Flask) -> None:
        """Answer for discovery and keys, without credentials."""
        route(app, "GET", f"{self._path}/.well-known/openid-configuration", self._discovery)
        route(app, "GET", f"{self._path}/keys.json", self.keys)

    def token(
        self,
        repository: Repository,
        environment: Environment | None = None,
        *,
        audience: str | Sequence[str] = "",
        now: datetime | None = None,
        **changes: Any,
    ) -> str:
        """Return a fresh step's token; an environment makes it a deployment step.

        It holds for an hour from `now`, by default the machine's. `changes` are claims as they shall be instead, None
        for one that shall not be there.
        """
        issued = int((now or datetime.now(UTC)).timestamp())
        step = _braced()
        places = [repository.uuid, *([environment.uuid] if environment else []), step]
        deployment = {"deploymentEnvironmentUuid": environment.uuid} if environment else {}
        claims = {
            "iss": self.url,
            "aud": audience or self.audience,
            "sub": ":".join(places),
            "repositoryUuid": repository.uuid,
            "workspaceUuid": self.workspace.uuid,
            "pipelineUuid": _braced(),
            "stepUuid": step,
            "accountUuid": _braced(),
            "branchName": "main",
            **deployment,
            "iat": issued,
            "exp": issued + int(LIFETIME.total_seconds()),
        }
        given = {name: value for name, value in (claims | changes).items() if value is not None}
        key_id, key = self._signing
        return jwt.encode(given, key, algorithm=_ALGORITHM, headers={"kid": key_id})

    def rotate(self) -> None:
        """Sign by another key from now on, and publish that one alone."""
        self._rotated = _made()

    def reset(self) -> None:
        """Sign by the first key again."""
        self._rotated = None

    def keys(self) -> dict[str, Any]:
        """Return the keys that it publishes, as a JWKS."""
        key_id, key = self._signing
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
        return {"keys": [{**public, "kid": key_id, "use": "sig", "alg": _ALGORITHM}]}

    @property
    def _signing(self) -> _Key:
        return self._rotated or _shared()

    def _discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys.json",
            "subject_types_supported": ["public"],
            "response_types_supported": ["id_token"],
            "id_token_signing_alg_values_supported": [_ALGORITHM],
        }


def _made() -> _Key:
    return str(uuid4()), rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def _shared() -> _Key:
    """Return the process's signing key with its id; making one takes a tenth of a second and more."""
    return _made()


def _braced() -> str:
    return f"{{{uuid4()}}}"
