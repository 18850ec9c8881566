"""The sandbox's AWS: IAM, STS and SNS by moto, Secrets Manager and Parameter Store by ourselves, behind one wire."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox.aws.anywhere import Registry
from sandbox.aws.dialect import AwsDialect
from sandbox.aws.gate import Gate
from sandbox.aws.keys import ACCOUNT, LOOK, wind
from sandbox.aws.seed import Pair, Seed
from sandbox.clock import Clock
from sandbox.moods import Moods
from sandbox.server import Server
from sandbox.wire import Environ, Wire

_FORM = "application/x-www-form-urlencoded"


class Aws(Seed):
    """A pretend AWS account; moto keeps it in module state, so there is one in a process at a time."""

    account = ACCOUNT

    def __init__(self, clock: Clock, region: str = "eu-central-1", moods: Moods | None = None) -> None:
        wind(clock)
        self.moods = moods or Moods()
        self._gate = Gate(clock, region, self.moods)
        super().__init__(self._gate, clock, region)
        self.wire = Wire("aws", self._gate, AwsDialect(), clock)
        self.moods.connect(self.wire)
        self._server: Server | None = None
        self.reset()

    @property
    def refusals(self) -> int:
        """How many calls a new key is refused before it is known once, refused once more, and then known."""
        return self._gate.keys.refusals

    @refusals.setter
    def refusals(self, count: int) -> None:
        self._gate.keys.refusals = count

    @property
    def last_used_lag(self) -> float:
        """Seconds until GetAccessKeyLastUsed shows a use."""
        return self._gate.keys.last_used_lag

    @last_used_lag.setter
    def last_used_lag(self, seconds: float) -> None:
        self._gate.keys.last_used_lag = seconds

    def start(self, port: int = 0) -> str:
        """Serve on loopback and return the endpoint's URL."""
        if self._server is None:
            self._server = Server(self.wire, port)
        return self._server.url

    def stop(self) -> None:
        """Stop serving; what there is stays."""
        if self._server is not None:
            self._server.close()
            self._server = None

    @property
    def anywhere(self) -> Registry:
        """What is set up of IAM Roles Anywhere."""
        return self._gate.anywhere.registry

    @property
    def locks(self) -> list[AbstractContextManager[Any]]:
        """What guards the state."""
        return [self._gate.lock, self._gate.secrets.lock, self._gate.parameters.lock]

    @property
    def collections(self) -> list[Any]:
        """The collections that all state but moto's is kept in."""
        kept = [self._gate.secrets.kept, self._gate.stale.kept, self._gate.parameters.kept]
        return [*self._gate.keys.collections, *kept, *self.anywhere.collections]

    def reset(self) -> None:
        """Empty the account, mend the wire, forget its journal, and set the knobs to their defaults."""
        # There is one moto a process; it lives by the clock of the world that was seeded last.
        wind(self._clock)
        self._gate.reset()
        self.wire.mend()
        self.wire.forget()
        super().reset()

    def signs(self, pair: Pair) -> bool:
        """Tell whether a signed request with this pair would succeed now; it leaves no trace, and no fault hits it."""
        host, body = "sts.amazonaws.com", "Action=GetCallerIdentity&Version=2011-06-15"
        request = AWSRequest("POST", f"https://{host}/", {"Content-Type": _FORM}, body)
        SigV4Auth(Credentials(pair.access_key_id, pair.secret_access_key), "sts", self.region).add_auth(request)
        environ: Environ = {
            "REQUEST_METHOD": "POST", "PATH_INFO": "/", "RAW_URI": "/", "CONTENT_TYPE": _FORM, "HTTP_HOST": host,
            "HTTP_AUTHORIZATION": request.headers["Authorization"], "HTTP_X_AMZ_DATE": request.headers["X-Amz-Date"],
            LOOK: True,
        }  # fmt: skip
        return self._gate.admits(environ, body.encode())
