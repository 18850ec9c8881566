"""Bitbucket's Code Insights, asked through the step's own proxy, which knows the step: there is no credential here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from pipe.clients.http import Door
from pipe.errors import Busy, ServiceError
from pipe.retry import Deadline

# The proxy speaks plain http alone, and only for this address; where it is in a pipe, and in the step itself.
ROOT = "http://api.bitbucket.org/2.0"
PROXIES = ("http://host.docker.internal:29418", "http://localhost:29418")

# Annotations in one request.
AT_ONCE = 100

_CHECK = "the step's proxy at port 29418; outside of Pipelines there is none"


class CodeInsights:
    """The reports on one commit; `api` is another Bitbucket than the real one, if any is given."""

    def __init__(self, repository: str, commit: str, api: str, deadline: Deadline) -> None:
        # One on this machine, which is the sandbox, is its own proxy.
        at = urlsplit(api)
        proxies = [f"http://{at.netloc}"] if at.scheme == "http" and at.netloc else PROXIES
        self._path = f"{ROOT}/repositories/{repository}/commit/{quote(commit, safe='')}/reports"
        self._deadline = deadline
        self._doors = [Door("Code Insights", ROOT, _CHECK, deadline, proxy=proxy) for proxy in proxies]

    def write(self, name: str, report: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]]) -> None:
        """Write a report in the place of the one of that name, whose annotations go with it; raises KeyturnError."""
        path = f"{self._path}/{name}"
        self._find_proxy(path)
        self._ask("PUT", path, report)
        for start in range(0, len(annotations), AT_ONCE):
            self._ask("POST", f"{path}/annotations", annotations[start : start + AT_ONCE])

    def _find_proxy(self, path: str) -> None:
        """Delete the report of an earlier run by the first proxy that answers, and go on with that one."""
        while True:
            try:
                self._ask("DELETE", path, missing=True)
            except Busy as error:
                if error.unclear or len(self._doors) == 1:
                    raise
                del self._doors[0]
            else:
                return

    def _ask(self, method: str, url: str, body: Any = None, *, missing: bool = False) -> None:
        sent = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if sent is not None else {}
        answer = self._doors[0].ask(method, url, "the report", headers=headers, body=sent)
        if answer.status >= 300 and not (missing and answer.status == 404):
            raise ServiceError(f"Code Insights refuses the report ({answer.status}).", f"Check {_CHECK}.")
