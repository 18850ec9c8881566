"""What is known of the step that runs: by the variables that Bitbucket hands to it, and by its OIDC token's claims."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from pipe.redact import Secret, show, visible
from pipe.values import stamp

# Bitbucket's uuids, as its variables and tokens have them.
UUID = re.compile(r"\{[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}")

_ISSUER = re.compile(r".*/workspaces/(?P<workspace>[^/]+)/pipelines-config/identity/oidc")


class PipelineStep(NamedTuple):
    """A step: where it runs, by slugs and {uuids}, each empty where it is not known.

    `api` is the root of Bitbucket's API. `claims` are what the step's token says, none where it has no token; what they
    say goes before what the variables say.
    """

    api: str
    workspace: str = ""
    repository: str = ""
    environment: str = ""
    workspace_uuid: str = ""
    repository_uuid: str = ""
    environment_uuid: str = ""
    claims: Mapping[str, str] = MappingProxyType({})

    @property
    def issuer(self) -> str:
        """The address of the workspace's OpenID provider; empty where the workspace is not known."""
        return f"{self.api}/workspaces/{self.workspace}/pipelines-config/identity/oidc" if self.workspace else ""

    @property
    def audience(self) -> str:
        """The audience of tokens for which the step names no other; empty where the workspace's uuid is not known."""
        return f"ari:cloud:bitbucket::workspace/{self.workspace_uuid.strip('{}')}" if self.workspace_uuid else ""

    @property
    def audiences(self) -> tuple[str, ...]:
        """The audiences of the step's own token; without one, the usual audience."""
        told = tuple(filter(None, self.claims.get("aud", "").split(", ")))
        return told or ((self.audience,) if self.audience else ())

    @property
    def subject(self) -> str:
        """What the subject of tokens of this repository, and of this environment if there is one, is like."""
        places = filter(None, (self.repository_uuid, self.environment_uuid))
        return ":".join([*places, "*"]) if self.repository_uuid else ""


def step_of(api: str, given: Mapping[str, str], claims: Mapping[str, str]) -> PipelineStep:
    """Return the step that Bitbucket's variables, and the claims of its token, if it has one, speak of."""
    told = _ISSUER.fullmatch(claims.get("iss", ""))
    workspace = given.get("BITBUCKET_WORKSPACE", "") or (told["workspace"] if told else "")
    return PipelineStep(
        api.rstrip("/"),
        workspace,
        given.get("BITBUCKET_REPO_SLUG", ""),
        given.get("BITBUCKET_DEPLOYMENT_ENVIRONMENT", ""),
        _uuid(claims.get("workspaceUuid"), given.get("BITBUCKET_WORKSPACE_UUID")),
        _uuid(claims.get("repositoryUuid"), given.get("BITBUCKET_REPO_UUID")),
        _uuid(claims.get("deploymentEnvironmentUuid"), given.get("BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID")),
        claims,
    )


def _uuid(*texts: str | None) -> str:
    """Return the first text that is a uuid, with braces; an empty string where none is."""
    braced = (f"{{{text.strip('{}')}}}" for text in texts if text)
    return next((text for text in braced if UUID.fullmatch(text)), "")


def claims_of(token: Secret) -> Mapping[str, str]:
    """Return a JWT's claims as text, `exp`, `iat` and `nbf` as times in UTC; none for what is no JWT.

    Nobody has verified them: they are told to people, and decide nothing.
    """
    parts = token.reveal().split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        if not isinstance(claims, dict):
            return {}
        told = {name: visible(_text(name, value)) for name, value in claims.items()}
    except (ValueError, RecursionError):
        return {}
    show(*told.values())
    return told


def _text(name: str, value: Any) -> str:
    if name in ("exp", "iat", "nbf") and isinstance(value, int | float):
        try:
            return stamp(datetime.fromtimestamp(value, UTC))
        except (ValueError, OverflowError, OSError):
            return str(value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)
