"""AWS as one WSGI application: who signed, may they, and then moto or our own Secrets Manager and Parameter Store."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any, cast
from urllib.parse import urlencode

from moto.iam.models import User
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import create_backend_app

from sandbox.aws import sessions
from sandbox.aws.anywhere import Registry, RolesAnywhere
from sandbox.aws.dialect import ANYWHERE, Call, Refused, in_json, read, worded
from sandbox.aws.keys import Keys, iam
from sandbox.aws.moods import Stale
from sandbox.aws.policies import NotUnderstood, Principal
from sandbox.aws.rights import authorize, context_of
from sandbox.aws.secretsmanager import SecretsManager
from sandbox.aws.ssm import ParameterStore
from sandbox.aws.tokens import Tokens, WebIdentity
from sandbox.clock import Clock
from sandbox.moods import Moods
from sandbox.wire import Answer, Environ, StartResponse

_KEY_WRITES = frozenset({"CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"})
SERVICES = frozenset({"iam", "sts", "sns", "secretsmanager", "ssm"})


class Gate:
    """The application behind the wire; every refusal of a caller is made here, in each service's own words."""

    def __init__(self, clock: Clock, region: str, moods: Moods) -> None:
        self.stale = Stale(moods, clock)
        self.keys = Keys(clock)
        self.anywhere = RolesAnywhere(Registry(region), clock)
        self.secrets = SecretsManager(clock, moods, self.stale)
        self.parameters = ParameterStore(clock)
        self.tokens = Tokens(clock)
        # moto's models are plain dictionaries, which break when two requests change them at once.
        self.lock = threading.RLock()

    def reset(self) -> None:
        """Forget everything."""
        with self.lock:
            moto_api_backend.reset()
            self.keys.reset()
            self.secrets.reset()
            self.parameters.kept.clear()
            self.tokens.reset()
            self.stale.kept.clear()
            self.anywhere.registry.reset()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        call = _named_truly(read(environ, body))
        try:
            # Outside the lock: an issuer may take its time.
            identity = self._identity(call)
            with self.lock:
                if call.service == ANYWHERE:
                    return _answered(self.anywhere.handle(call), start_response)
                principal = self._admit(call, identity)
                if call.service == "iam":
                    return self._iam(call, start_response)
                if call.service in ("sts", "sns"):
                    return _moto(call, start_response)
            own = self.parameters if call.service == "ssm" else self.secrets
            answer = in_json(own.handle(call, principal, context_of(call, principal)))
        except Refused as refused:
            answer = worded(call.service, refused)
        except NotUnderstood as error:
            answer = worded(call.service, Refused("NotInSandbox", f"The sandbox does not understand {error}."))
        return _answered(answer, start_response)

    def admits(self, environ: Environ, body: bytes) -> bool:
        """Tell whether a signed request would be let in."""
        try:
            with self.lock:
                self.keys.admit(read(environ, body))
        except Refused:
            return False
        return True

    def _iam(self, call: Call, start_response: StartResponse) -> Iterable[bytes]:
        """Hand a request on to moto; a list of keys may be that from before the last write."""
        user = _user_of(call)
        if user is None:
            return _moto(call, start_response)
        if call.action in _KEY_WRITES:
            self.stale.wrote(user.name, user.access_keys)
        before = self.stale.seen(user.name) if call.action == "ListAccessKeys" else None
        now, user.access_keys = user.access_keys, user.access_keys if before is None else before
        try:
            return list(_moto(call, start_response))
        finally:
            user.access_keys = now

    def _identity(self, call: Call) -> WebIdentity | None:
        """Return who comes with a token instead of a signature."""
        if (call.service, call.action) != ("sts", sessions.FEDERATED):
            return None
        sessions.check_request(call)
        return self.tokens.verify(call.params.get("WebIdentityToken", ""))

    def _admit(self, call: Call, identity: WebIdentity | None) -> Principal:
        if call.service not in SERVICES or not call.action:
            raise Refused("InvalidAction", f"The sandbox has no {call.service}:{call.action}")
        if identity:
            sessions.check_step(call, identity)
            return Principal(arn="", policies=())
        if not call.access_key_id:
            raise Refused("MissingAuthenticationToken", "Missing Authentication Token", 403)
        principal = self.keys.admit(call)
        if (call.service, call.action) == ("sts", sessions.CHAINED):
            sessions.check_request(call)
            sessions.check_chained(call, principal, context_of(call, principal))
        else:
            authorize(call, principal, self.secrets)
        if call.action == "GetAccessKeyLastUsed":
            self.keys.show_last_use(call.params.get("AccessKeyId", ""))
        return principal


def _moto(call: Call, start_response: StartResponse) -> Iterable[bytes]:
    return cast(Iterable[bytes], _moto_app(call.service)(call.environ, start_response))


@cache
def _moto_app(service: str) -> Any:
    """Return moto's application of a service; its dispatcher for all of them reads its own folders at each request."""
    return create_backend_app(cast(Any, service))


def _answered(answer: Answer, start_response: StartResponse) -> Iterable[bytes]:
    start_response(answer.status, answer.headers)
    return [answer.body]


def _user_of(call: Call) -> User | None:
    """Return the user whom a request to IAM names, in whatever case."""
    name = str(call.params.get("UserName", "")).lower()
    return next((user for user in list(iam().users.values()) if user.name.lower() == name), None)


def _named_truly(call: Call) -> Call:
    """Return a request to IAM with its user's name as that user has it; its body is still the one that was signed."""
    user = _user_of(call) if call.service == "iam" else None
    if user is None or call.params["UserName"] == user.name:
        return call
    params = {**call.params, "UserName": user.name}
    body = urlencode(params).encode()
    environ = {**call.environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body)), "QUERY_STRING": ""}
    return replace(call, params=params, environ=environ)
