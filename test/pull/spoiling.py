"""Faults that a pull's tests need: of one variable, of one target, and answers of their own words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sandbox.bitbucket import Scope
from sandbox.wire import Answer, Environ, Fault
from test.pull.case import Case

HOUR = 3600
JSON = ("Content-Type", "application/json")


def many(count: int, mark: str = "first") -> dict[str, str]:
    """Return so many keys of one secret; `mark` is what their values have in common."""
    return {f"key-{number:03}": f"{mark}-value-{number:03}" for number in range(count)}


def writing(case: Case, scope: Scope, name: str) -> str:
    """Return the operation that updates one variable."""
    return f"PUT *{case.world.bitbucket.variables(scope)[name].uuid}"


def answering(
    operation: str, status: str, body: Mapping[str, Any], *headers: tuple[str, str], nth: int = 1, times: int = 1
) -> Fault:
    """Return a fault that answers like this."""

    def answer(_: Environ) -> Answer:
        return Answer(status, [JSON, *headers], json.dumps(body).encode())

    return Fault(operation, "call-answer", nth=nth, times=times, answer=answer)


def limited(operation: str, *, nth: int = 1, times: int = 1, seconds: int = HOUR) -> Fault:
    """Return a fault by which Bitbucket asks to be left alone for so many seconds."""
    body = {"type": "error", "error": {"message": "Rate limit for this resource has been exceeded"}}
    return answering(operation, "429 Too Many Requests", body, ("Retry-After", str(seconds)), nth=nth, times=times)


def lacking(take: Callable[[dict[str, Any]], None]) -> Callable[[Answer], Answer]:
    """Return what takes something out of an answer in JSON."""

    def change(answer: Answer) -> Answer:
        body = json.loads(answer.body)
        take(body)
        headers = [each for each in answer.headers if each[0].lower() != "content-length"]
        return replace(answer, headers=headers, body=json.dumps(body).encode())

    return change


def out_of_the_scan(body: dict[str, Any]) -> None:
    """Take one of the company's secrets out of the list that Vault makes of all."""
    body["data"]["keys"].remove("session")
    del body["data"]["key_info"]["session"]
