"""A started Bitbucket for tests, and a client of it that hides nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import quote

import requests

from sandbox.bitbucket import Bitbucket, Environment, Repository, Scope, Token
from sandbox.clock import Clock
from sandbox.server import Server


class Bench:
    """A started Bitbucket with one workspace, one repository, one environment, and a token for all of it."""

    def __init__(self, lag: float = 0.0) -> None:
        self.clock = Clock()
        self.bitbucket = Bitbucket(self.clock, lag=lag)
        self.workspace = self.bitbucket.add_workspace("acme")
        self.repository = self.bitbucket.add_repository("acme", "shop")
        self.production = self.bitbucket.add_environment("acme", "shop", "Production", "Production")
        self.token = self.bitbucket.issue_token("workspace", self.workspace)
        self.session = requests.Session()
        self._server = Server(self.bitbucket.wire)
        self.url = self._server.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()
        self._server.close()

    def ask(
        self, method: str, path: str, json: Any = None, *, token: Token | None = None, **more: Any
    ) -> requests.Response:
        headers = more.pop("headers", (token or self.token).headers)
        url = path if path.startswith("http") else f"{self.url}/2.0{path}"
        return self.session.request(method, url, json=json, headers=headers, timeout=10, **more)

    def create(self, scope: Scope, key: str, value: str = "v", *, secured: bool = False) -> str:
        answer = self.ask("POST", variables_of(scope), {"key": key, "value": value, "secured": secured})
        assert answer.status_code == 201, answer.text
        uuid: str = answer.json()["uuid"]
        return uuid

    def keys(self, scope: Scope) -> list[str]:
        answer = self.ask("GET", f"{variables_of(scope)}?pagelen=100").json()
        return [variable["key"] for variable in answer["values"]]


def path_of(scope: Scope) -> str:
    match scope:
        case Repository():
            return f"/repositories/{scope.full_name}"
        case Environment():
            return f"{path_of(scope.repository)}/environments/{quote(scope.uuid)}"
        case _:
            return f"/workspaces/{scope.slug}"


def variables_of(scope: Scope) -> str:
    match scope:
        case Repository():
            return f"{path_of(scope)}/pipelines_config/variables"
        case Environment():
            uuid = quote(scope.uuid)
            return f"{path_of(scope.repository)}/deployments_config/environments/{uuid}/variables"
        case _:
            return f"{path_of(scope)}/pipelines-config/variables"


def eventually(true: Callable[[], bool]) -> None:
    """Wait until something is so, and fail if it never is."""
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
