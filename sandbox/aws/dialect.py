"""How AWS names its operations and words its errors, in the query protocol and in JSON."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4
from xml.sax.saxutils import escape

from sandbox.wire import Answer, Environ

JSON = "application/x-amz-json-1.1"
ANYWHERE = "rolesanywhere"

_CREDENTIAL = re.compile(r"Credential=([^/]+)/[^/]+/([^/]+)/([^/]+)/aws4_request")
_STATUS = {
    400: "400 Bad Request", 403: "403 Forbidden", 404: "404 Not Found", 429: "429 Too Many Requests",
    500: "500 Internal Server Error", 502: "502 Bad Gateway", 503: "503 Service Unavailable",
}  # fmt: skip
NAMESPACES = {
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
    "sns": "https://sns.amazonaws.com/doc/2010-03-31/",
}
# One refusal has other names in the services that speak JSON, and a few in single services.
_IN_JSON = {
    "AccessDenied": "AccessDeniedException",
    "ExpiredToken": "ExpiredTokenException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "Throttling": "ThrottlingException",
    "InternalFailure": "InternalServiceError",
    "InvalidAction": "UnknownOperationException",
}
_IN_SERVICE = {
    ("iam", "InternalFailure"): "ServiceFailure",
    ("sns", "AccessDenied"): "AuthorizationError",
    ("sns", "InternalFailure"): "InternalError",
}


class Refused(Exception):
    """A service's refusal; `code` is the query protocol's name or the service's own."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True)
class Call:
    """One request to AWS, read but not yet believed."""

    service: str
    region: str
    action: str
    access_key_id: str
    params: dict[str, Any] = field(repr=False)
    body: bytes = field(repr=False)
    environ: Environ = field(repr=False)

    @property
    def source_ip(self) -> str:
        """The address that the request came from."""
        return str(self.environ["REMOTE_ADDR"])


def read(environ: Environ, body: bytes) -> Call:
    """Read a request: its service from the signature's scope, its action from the target or the form."""
    scope = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    key, region, service = scope.groups() if scope else ("", "us-east-1", "")
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    params: dict[str, Any]
    if service == ANYWHERE or environ.get("PATH_INFO") == "/sessions":
        # The body is JSON, too; what it holds is for the service to say.
        service, params = ANYWHERE, dict(parse_qsl(environ.get("QUERY_STRING", "")))
        action = "CreateSession" if environ.get("PATH_INFO") == "/sessions" else ""
    elif target:
        prefix, _, action = target.partition(".")
        service = service or prefix
        params = _json(body)
    else:
        params = dict(parse_qsl(environ.get("QUERY_STRING", "") + "&" + body.decode("utf-8", "replace")))
        action = params.get("Action", "")
        # AssumeRoleWithWebIdentity is the one call here that nobody signs.
        service = service or "sts"
    return Call(service, region, action, key, params, body, environ)


def _json(body: bytes) -> dict[str, Any]:
    try:
        params = json.loads(body or b"{}")
    except ValueError:
        params = {}
    return params if isinstance(params, dict) else {}


def in_json_words(code: str) -> str:
    """Return a refusal's code as the services that speak JSON have it."""
    return _IN_JSON.get(code, code)


def worded(service: str, refused: Refused) -> Answer:
    """Return a refusal in the service's own shape."""
    code = _IN_SERVICE.get((service, refused.code), refused.code)
    request_id = str(uuid4())
    if service in NAMESPACES:
        fault = "Receiver" if refused.status >= 500 else "Sender"
        text = (
            f'<ErrorResponse xmlns="{NAMESPACES[service]}"><Error><Type>{fault}</Type><Code>{escape(code)}</Code>'
            f"<Message>{escape(str(refused))}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        return _answer(refused.status, "text/xml", text, request_id)
    if service == ANYWHERE:
        answer = _answer(refused.status, "application/json", json.dumps({"message": str(refused)}), request_id)
        return Answer(answer.status, [*answer.headers, ("x-amzn-ErrorType", in_json_words(code))], answer.body)
    # These services answer every mistake of the client with 400.
    status = refused.status if refused.status >= 500 else 400
    text = json.dumps({"__type": in_json_words(code), "message": str(refused)})
    return _answer(status, JSON, text, request_id)


def in_json(result: dict[str, Any]) -> Answer:
    """Return a successful answer in JSON."""
    text = json.dumps(result)
    return Answer("200 OK", _headers(JSON, text, str(uuid4())), text.encode())


def _answer(status: int, content_type: str, text: str, request_id: str) -> Answer:
    return Answer(_STATUS[status], _headers(content_type, text, request_id), text.encode())


def _headers(content_type: str, text: str, request_id: str) -> list[tuple[str, str]]:
    return [
        ("Content-Type", content_type),
        ("Content-Length", str(len(text.encode()))),
        ("x-amzn-RequestId", request_id),
    ]


class AwsDialect:
    """The wire's dialect: `iam.CreateAccessKey`, and faults as AWS itself words them."""

    def operation(self, environ: Environ, body: bytes) -> str:
        """Name the request by service and action."""
        call = read(environ, body)
        return f"{call.service}.{call.action or environ['REQUEST_METHOD']}"

    def error(self, kind: str, environ: Environ) -> Answer:
        """Return the service's own answer for a kind of fault."""
        service = read(environ, b"").service
        match kind.partition("-")[0]:
            case "429":
                answer = worded(service, Refused("Throttling", "Rate exceeded", 429 if service == ANYWHERE else 400))
                hint = [("Retry-After", "1")] if kind == "429-hint" else []
                return Answer(answer.status, [*answer.headers, *hint], answer.body)
            case "401" | "403":
                return worded(service, Refused("AccessDenied", "User is not authorized to perform this.", 403))
            case "503":
                return worded(service, Refused("ServiceUnavailable", "The service is unavailable.", 503))
            case "502":
                # A gateway in front of the service knows nothing of its protocol.
                return _answer(502, "text/html", "<html><body>502 Bad Gateway</body></html>", "")
            case _:
                return worded(service, Refused("InternalFailure", "An internal error occurred.", 500))
