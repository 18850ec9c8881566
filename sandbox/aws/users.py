"""IAM's users, whose names it tells apart in no case of letters."""

from __future__ import annotations

import io
from dataclasses import replace
from urllib.parse import urlencode

from moto.iam.models import User

from sandbox.aws.dialect import Call
from sandbox.aws.keys import iam


def user_of(call: Call) -> User | None:
    """Return the user whom a request to IAM names, in whatever case."""
    name = str(call.params.get("UserName", "")).lower()
    return next((user for user in list(iam().users.values()) if user.name.lower() == name), None)


def named_truly(call: Call) -> Call:
    """Return a request to IAM with its user's name as that user has it; its body is still the one that was signed."""
    user = user_of(call) if call.service == "iam" else None
    if user is None or call.params["UserName"] == user.name:
        return call
    params = {**call.params, "UserName": user.name}
    body = urlencode(params).encode()
    environ = {**call.environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body)), "QUERY_STRING": ""}
    return replace(call, params=params, environ=environ)
