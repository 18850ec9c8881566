"""AWS as one WSGI application: who signed, may they, and then moto or our own Secrets Manager."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable
from typing import cast

from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from sandbox.aws import sessions
from sandbox.aws.dialect import Call, Refused, in_json, read, worded
from sandbox.aws.keys import Keys
from sandbox.aws.policies import Principal
from sandbox.aws.rights import authorize
from sandbox.aws.secretsmanager import SecretsManager
from sandbox.clock import Clock
from sandbox.wire import Environ, StartResponse

SERVICES = frozenset({"iam", "sts", "sns", "secretsmanager"})
UNSIGNED = "AssumeRoleWithWebIdentity"


class Gate:
    """The application behind the wire; every refusal of a caller is made here, in each service's own words."""

    def __init__(self, clock: Clock) -> None:
        self.keys = Keys(clock)
        self.secrets = SecretsManager(clock)
        # moto's models are plain dictionaries, which break when two requests change them at once.
        self.lock = threading.RLock()
        self._moto = DomainDispatcherApplication(create_backend_app)

    def reset(self) -> None:
        """Forget everything."""
        with self.lock:
            moto_api_backend.reset()
            self.keys.reset()
            self.secrets.reset()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        call = read(environ, body)
        try:
            with self.lock:
                principal = self._admit(call)
                if call.service != "secretsmanager":
                    return cast(Iterable[bytes], self._moto(environ, start_response))
            answer = in_json(self.secrets.handle(call, principal))
        except Refused as refused:
            answer = worded(call.service, refused)
        start_response(answer.status, answer.headers)
        return [answer.body]

    def _admit(self, call: Call) -> Principal:
        if call.service not in SERVICES or not call.action:
            raise Refused("InvalidAction", f"The sandbox has no {call.service}:{call.action}")
        if call.action == UNSIGNED and not call.access_key_id:
            principal = Principal(arn="", policies=())
        elif not call.access_key_id:
            raise Refused("MissingAuthenticationToken", "Missing Authentication Token", 403)
        else:
            principal = self.keys.admit(call)
            authorize(call, principal, self.secrets)
        if call.service == "sts":
            sessions.check(call)
        if call.action == "GetAccessKeyLastUsed":
            self.keys.show_last_use(call.params.get("AccessKeyId", ""))
        return principal
