"""Steps of a repository that sign in to an AWS which nothing but their issuer is beside."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response

from sandbox.aws import Aws
from sandbox.aws.trust import trusting_steps
from sandbox.bitbucket import Project, Repository, Workspace
from sandbox.clock import Clock
from sandbox.issuer import Issuer
from sandbox.server import Server

REPOSITORY = Repository(Project(Workspace("acme"), "SHOP"), "shop")


class Steps:
    """A served issuer that an AWS knows as a provider, and the tokens of its steps by its clock.

    `fetched` counts the requests to the issuer; `answers` is the status that it answers all of them with.
    """

    def __init__(self, aws: Aws, clock: Clock) -> None:
        self._clock = clock
        self.issuer = Issuer(REPOSITORY.workspace)
        app = Flask(__name__)
        self.issuer.serve(app)
        self.fetched = 0
        self.answers = 200
        app.before_request(self._count)
        self._server = Server(app)
        self.issuer.host = self._server.url
        self.provider = aws.add_provider(self.issuer.url, [self.issuer.audience])
        self.trust = trusting_steps(self.provider, self.issuer.audience, f"{REPOSITORY.uuid}:*")

    def close(self) -> None:
        """Let the issuer answer nobody any more."""
        self._server.close()

    def _count(self) -> Response | None:
        self.fetched += 1
        return None if self.answers == 200 else Response(status=self.answers)

    def token(self, **changes: Any) -> str:
        """Return a fresh step's token, as `Issuer.token` does."""
        return self.issuer.token(REPOSITORY, **{"now": self._clock.now()} | changes)
