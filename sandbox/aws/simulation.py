"""What IAM's policy simulator answers, which moto does not have: for one or several actions and resources."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from uuid import uuid4
from xml.sax.saxutils import escape

from sandbox.aws.dialect import NAMESPACES, Call, Refused
from sandbox.aws.keys import principal_of
from sandbox.aws.policies import Principal
from sandbox.wire import Answer

ACTION = "SimulatePrincipalPolicy"

_SOURCE = re.compile(r"arn:aws:iam::\d{12}:(?P<kind>user|role)/(?:.*/)?(?P<name>[^/]+)")


def simulated(call: Call) -> Answer:
    """Return what a user's or role's own policies allow; session policies are none of the simulator's business."""
    source = _SOURCE.fullmatch(call.params.get("PolicySourceArn", ""))
    if not source:
        raise Refused("InvalidInput", "Invalid Entity Arn: it must be a user, a group or a role.")
    principal = principal_of(source["kind"], source["name"])
    if principal is None:
        raise Refused("NoSuchEntity", f"The {source['kind']} with name {source['name']} cannot be found.", 404)
    actions = list(_members(call, "ActionNames"))
    if not actions:
        raise Refused("ValidationError", "ActionNames must have at least one member.")
    pairs = product(actions, list(_members(call, "ResourceArns")) or ["*"])
    results = "".join(_result(principal, action, resource) for action, resource in pairs)
    text = (
        f'<{ACTION}Response xmlns="{NAMESPACES["iam"]}"><{ACTION}Result><IsTruncated>false</IsTruncated>'
        f"<EvaluationResults>{results}</EvaluationResults></{ACTION}Result>"
        f"<ResponseMetadata><RequestId>{uuid4()}</RequestId></ResponseMetadata></{ACTION}Response>"
    )
    body = text.encode()
    return Answer("200 OK", [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))], body)


def _result(principal: Principal, action: str, resource: str) -> str:
    # The simulator knows of no request, so that what conditions ask for is not there.
    if principal.is_denied(action, resource, {}):
        decision = "explicitDeny"
    else:
        decision = "allowed" if principal.may(action, resource, {}) else "implicitDeny"
    return (
        f"<member><EvalActionName>{escape(action)}</EvalActionName>"
        f"<EvalResourceName>{escape(resource)}</EvalResourceName><EvalDecision>{decision}</EvalDecision></member>"
    )


def _members(call: Call, name: str) -> Iterator[str]:
    number = 1
    while f"{name}.member.{number}" in call.params:
        yield str(call.params[f"{name}.member.{number}"])
        number += 1
