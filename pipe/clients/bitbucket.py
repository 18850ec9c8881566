"""Bitbucket Cloud's pipeline variables over HTTP."""

from __future__ import annotations

import base64
import logging
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from requests.adapters import HTTPAdapter

from pipe.clients.bitbucket_errors import problem_with, unreachable
from pipe.errors import Busy, Conflict, Invalid, KeyturnError, Missing
from pipe.patience import IN_FLIGHT, Patience
from pipe.redact import Secret
from pipe.values import Place, Target, TargetKind, Variable

log = logging.getLogger("keyturn.bitbucket")

PAGE = 100
MOST_PAGES = 100

# Lists lag behind writes by seconds; a variable that certainly exists must turn up within this many looks.
LOOKS = 9

Json = dict[str, Any]


def bearer(token: Secret) -> str:
    """Return the Authorization header for an access token."""
    return f"Bearer {token.reveal()}"


def basic(email: str, token: Secret) -> str:
    """Return the Authorization header for a user's API token, whose user name is the Atlassian account's email."""
    header = "Basic " + base64.b64encode(f"{email}:{token.reveal()}".encode()).decode()
    Secret(header)
    return header


class _Auth(requests.auth.AuthBase):
    """Puts the header on the request; as an auth object, so that no ~/.netrc is looked at."""

    def __init__(self, header: str) -> None:
        self._header = header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


class Bitbucket:
    """Environments and variables of the repositories and workspaces that a token can reach.

    `url` is the API's root, `advice` names the variables that hold the credentials. Every method raises ServiceError.
    """

    def __init__(self, url: str, authorization: str, advice: str, patience: Patience) -> None:
        self._url = url.rstrip("/")
        self._advice = advice
        self._patience = patience
        self._session = requests.Session()
        self._session.auth = _Auth(authorization)
        self._session.headers["Accept"] = "application/json"
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=IN_FLIGHT, max_retries=0))
        self._environments: dict[str, list[Json]] = {}
        self._finding: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def find(self, target: Target) -> Place:
        """Return the place that a target names; raises Missing, with the environments that there are."""
        workspace = quote(target.workspace, safe="{}")
        if target.kind is TargetKind.WORKSPACE:
            return Place(f"workspace {target.workspace}", f"/workspaces/{workspace}/pipelines-config/variables")
        repository = f"/repositories/{workspace}/{quote(target.repository, safe='{}')}"
        if target.kind is TargetKind.REPOSITORY:
            return Place(f"repository {target.full_repository}", f"{repository}/pipelines_config/variables")
        uuid, name = self._environment(target, repository)
        return Place(
            f"{target.full_repository} {name}",
            f"{repository}/deployments_config/environments/{_braced(uuid)}/variables",
        )

    def variables(self, place: Place) -> dict[str, Variable]:
        """Return a place's variables by key, as its list has them, which may be some seconds old."""
        return {variable.key: variable for variable in map(_variable, self._pages(place.path, place.label))}

    def write(self, place: Place, key: str, value: str, known: Variable | None, *, secured: bool) -> Variable:
        """Create or update one variable, never deleting it in between."""
        if known is not None:
            try:
                return self._update(place, key, value, known, secured=secured)
            except Missing:
                log.debug("%s: %s is gone since the list was read; it is created anew", place.label, key)
        return self._create(place, key, value, secured=secured)

    def touch(self, place: Place, known: Variable) -> None:
        """Prove that a variable may be written, leaving it as it is.

        Its name alone is sent: fields that are left out stay as they are, so that a value which another run has written
        meanwhile is not set back. Where Bitbucket does not take that, the value that was seen is sent, too.
        """
        path, what = f"{place.path}/{_braced(known.uuid)}", f"{known.key} in {place.label}"
        whole = {"key": known.key, "value": known.value, "secured": known.secured}
        try:
            self._patience.insist(lambda: self._request("PUT", path, what, {"key": known.key}))
        except Invalid:
            self._patience.insist(lambda: self._request("PUT", path, what, whole))

    def create(self, place: Place, key: str, value: str) -> Variable:
        """Create one unsecured variable; raises Conflict where somebody else has created it before."""
        made = self._create(place, key, value, secured=False, or_update=False)
        if made.value != value:
            raise Conflict(f"{key} in {place.label} was created by somebody else.")
        return made

    def _create(self, place: Place, key: str, value: str, *, secured: bool, or_update: bool = True) -> Variable:
        """Create a variable; after an answer that leaves it open whether it was made, look before asking again.

        One that is there is updated, or returned as it is.
        """
        body = {"key": key, "value": value, "secured": secured}
        perhaps_made = False

        def attempt() -> Variable:
            nonlocal perhaps_made
            seen = self.variables(place).get(key) if perhaps_made else None
            try:
                if seen is None:
                    return _variable(self._request("POST", place.path, f"{key} in {place.label}", body))
            except Conflict:
                seen = self._look_for(place, key)
            except Busy as error:
                perhaps_made = perhaps_made or error.unclear
                raise
            return self._update(place, key, value, seen, secured=secured) if or_update else seen

        return self._patience.insist(attempt)

    def _update(self, place: Place, key: str, value: str, known: Variable, *, secured: bool) -> Variable:
        path = f"{place.path}/{_braced(known.uuid)}"
        body = {"key": key, "value": value, "secured": secured}
        return _variable(self._patience.insist(lambda: self._request("PUT", path, f"{key} in {place.label}", body)))

    def _look_for(self, place: Place, key: str) -> Variable:
        """Wait until a variable that the server says is there turns up in the list."""
        for look in range(LOOKS):
            found = self.variables(place).get(key)
            if found is not None:
                return found
            self._patience.wait(min(4.0, 1.0 + look))
        raise Busy(f"Bitbucket says that {key} exists in {place.label}, but its list does not show it.")

    def _environment(self, target: Target, repository: str) -> tuple[str, str]:
        with self._lock:
            finding = self._finding.setdefault(repository, threading.Lock())
        with finding:
            if repository not in self._environments:
                self._environments[repository] = list(
                    self._pages(f"{repository}/environments", f"the environments of {target.full_repository}")
                )
        environments = self._environments[repository]
        wanted = target.environment
        for exact in (True, False):
            for environment in environments:
                names = [environment.get("uuid", ""), environment.get("slug", ""), environment.get("name", "")]
                if wanted in names or (not exact and wanted.lower() in map(str.lower, names)):
                    return environment["uuid"], environment.get("name") or wanted
        there = ", ".join(environment.get("name", "?") for environment in environments) or "none"
        raise Missing(
            f"{target.full_repository} has no deployment environment “{wanted}”; it has: {there}.", "Check TARGETS."
        )

    def _pages(self, path: str, what: str) -> Iterator[Json]:
        """Yield a collection's objects, once each, however `next` behaves (BCLOUD-20796: it can be missing)."""
        url = f"{self._url}{path}?pagelen={PAGE}&page=1"
        asked: set[str] = set()
        seen: set[str] = set()
        for page in range(1, MOST_PAGES + 1):
            asked.add(url)
            try:
                body = self._patience.insist(partial(self._request, "GET", url, what))
            except Missing:
                if page > 1:
                    return
                raise
            values = body.get("values") or []
            for value in values:
                if value["uuid"] not in seen:
                    seen.add(value["uuid"])
                    yield value
            following = body.get("next")
            if not values:
                return
            if isinstance(following, str) and following not in asked and self._same_origin(following):
                url = following
            elif len(seen) < body.get("size", 0):
                url = f"{self._url}{path}?pagelen={PAGE}&page={page + 1}"
            else:
                return
            if url in asked:
                return

    def _same_origin(self, url: str) -> bool:
        ours, theirs = urlsplit(self._url), urlsplit(url)
        return (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)

    def _request(self, method: str, path: str, what: str, body: Json | None = None) -> Json:
        """Make one request, once; `what` is what it is about, for errors."""
        url = path if path.startswith(self._url) else self._url + path
        started = time.monotonic()
        try:
            response = self._session.request(
                method, url, json=body, timeout=self._patience.timeouts, allow_redirects=False
            )  # fmt: skip
        except requests.RequestException as error:
            raise unreachable(what, error) from None
        log.debug(
            "%s %s: %s in %.0f ms", method, urlsplit(url).path, response.status_code,
            1000 * (time.monotonic() - started),
        )  # fmt: skip
        problem = problem_with(response, what, self._advice)
        if problem is not None:
            raise problem
        if response.status_code == 204:
            return {}
        try:
            answer = response.json()
        except requests.JSONDecodeError:
            raise Busy(f"Bitbucket's answer about {what} is no JSON.", unclear=True) from None
        if not isinstance(answer, dict):
            raise KeyturnError(f"Bitbucket's answer about {what} is not as documented.", "Check BITBUCKET_API_URL.")
        return answer


def _variable(raw: Json) -> Variable:
    secured = bool(raw.get("secured"))
    value = raw.get("value")
    return Variable(raw["uuid"], raw["key"], None if secured else value, secured)


def _braced(uuid: str) -> str:
    return quote("{" + uuid.strip("{}") + "}", safe="")
