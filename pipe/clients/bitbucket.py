"""Bitbucket Cloud's pipeline variables over HTTP."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from pipe.clients.bitbucket_api import Api, Json
from pipe.clients.bitbucket_auth import Authorization
from pipe.errors import Busy, Conflict, Invalid, Missing
from pipe.patience import Patience
from pipe.values import Place, Target, TargetKind, Variable

log = logging.getLogger("keyturn.bitbucket")

# Lists lag behind writes by seconds; a variable that certainly exists must turn up within this many looks.
LOOKS = 9


class Bitbucket:
    """Environments and variables of the repositories and workspaces that a token can reach.

    `url` is the API's root, `advice` names the variables that hold the credentials, `writes` tells whether they are to
    write variables. Every method raises ServiceError.
    """

    def __init__(
        self, url: str, authorization: Authorization, advice: str, patience: Patience, *, writes: bool = True
    ) -> None:
        self._api = Api(url, authorization, advice, patience, writes=writes)
        self._patience = patience
        self._environments: dict[str, list[Json]] = {}
        self._finding: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    @property
    def exhausted(self) -> bool:
        """Whether the rate limit is used up, or nearly: nothing should be begun now that can be left to the next run.

        No request is refused here for that, so that a run can still try to write down what it has done.
        """
        return self._api.exhausted

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes of the token as the answers so far have told them; none where they have not."""
        return self._api.granted

    def find(self, target: Target) -> Place:
        """Return the place that a target names; raises Missing, with the environments that there are."""
        if target.kind is TargetKind.WORKSPACE:
            path = f"/workspaces/{quote(target.workspace, safe='{}')}/pipelines-config/variables"
            return Place(f"workspace {target.workspace}", path)
        if target.kind is TargetKind.REPOSITORY:
            path = f"{_repository_of(target)}/pipelines_config/variables"
            return Place(f"repository {target.full_repository}", path)
        return _environment_of(target, *self._environment(target))

    def look(self, target: Target) -> tuple[Place, dict[str, Variable]]:
        """Return the place that a target names, and its variables by key; raises as `find` and `variables` do.

        An environment's uuid tells where its variables are, so that they are asked for beside the list of environments.
        Raises Denied, too, where an answer has told that the token lacks a scope that the run needs.
        """
        found = self._looked(target)
        self._api.check()
        return found

    def _looked(self, target: Target) -> tuple[Place, dict[str, Variable]]:
        if not _is_uuid(target.environment):
            place = self.find(target)
            return place, self.variables(place)
        likely = _environment_of(target, target.environment.lower(), target.environment)
        with ThreadPoolExecutor(max_workers=1) as pool:
            listing = pool.submit(self.variables, likely)
            place = self.find(target)
            if place.path == likely.path:
                return place, listing.result()
        # What looks like a uuid is another environment's name.
        return place, self.variables(place)

    def variables(self, place: Place) -> dict[str, Variable]:
        """Return a place's variables by key, as its list has them, which may be some seconds old."""
        return {variable.key: variable for variable in map(_variable, self._api.pages(place.path, place.label))}

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
            self._api.ask("PUT", path, what, {"key": known.key})
        except Invalid:
            self._api.ask("PUT", path, what, whole)

    def create(self, place: Place, key: str, value: str) -> Variable:
        """Create one unsecured variable; raises Conflict where somebody else has created it before."""
        made = self._create(place, key, value, secured=False, or_update=False)
        if made.value != value:
            raise Conflict(f"{key} in {place.label} was created by somebody else.")
        return made

    def delete(self, place: Place, known: Variable) -> None:
        """Delete one variable; one that has gone already, or with its environment, is as good."""
        path, what = f"{place.path}/{_braced(known.uuid)}", f"{known.key} in {place.label}"
        try:
            self._api.ask("DELETE", path, what)
        except Missing:
            log.debug("%s: %s was gone already", place.label, known.key)

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
                    return _variable(self._api.ask_once("POST", place.path, f"{key} in {place.label}", body))
            except Conflict:
                seen = self._look_for(place, key)
            except Busy as error:
                perhaps_made = perhaps_made or error.unclear
                raise
            return self._update(place, key, value, seen, secured=secured) if or_update else seen

        return self._api.insist(attempt)

    def _update(self, place: Place, key: str, value: str, known: Variable, *, secured: bool) -> Variable:
        path = f"{place.path}/{_braced(known.uuid)}"
        body = {"key": key, "value": value, "secured": secured}
        return _variable(self._api.ask("PUT", path, f"{key} in {place.label}", body))

    def _look_for(self, place: Place, key: str) -> Variable:
        """Wait until a variable that the server says is there turns up in the list."""
        for look in range(LOOKS):
            found = self.variables(place).get(key)
            if found is not None:
                return found
            self._patience.wait(min(4.0, 1.0 + look))
        raise Busy(f"Bitbucket says that {key} exists in {place.label}, but its list does not show it.")

    def _environment(self, target: Target) -> tuple[str, str]:
        repository = _repository_of(target)
        with self._lock:
            finding = self._finding.setdefault(repository, threading.Lock())
        with finding:
            if repository not in self._environments:
                self._environments[repository] = self._api.pages(
                    f"{repository}/environments", f"the environments of {target.full_repository}"
                )
        environments = self._environments[repository]
        wanted = target.environment
        # Over the whole list by what is most certain first: two environments may share a slug, or one may be called as
        # another one's slug.
        for matches in (_is_uuid_of, _is_name_of, _is_slug_of, _is_nearly_name_of):
            found = [environment for environment in environments if matches(environment, wanted)]
            if len(found) > 1:
                names = " and ".join(f"“{each.get('name')}” ({each.get('uuid')})" for each in found)
                raise Invalid(
                    f"“{wanted}” fits several deployment environments of {target.full_repository}: {names}.",
                    "Name one of them in TARGETS, by its {uuid}.",
                )
            if found:
                return found[0]["uuid"], found[0].get("name") or wanted
        there = ", ".join(environment.get("name", "?") for environment in environments) or "none"
        raise Missing(
            f"{target.full_repository} has no deployment environment “{wanted}”; it has: {there}.", "Check TARGETS."
        )


def _variable(raw: Json) -> Variable:
    secured = bool(raw.get("secured"))
    value = raw.get("value")
    return Variable(raw["uuid"], raw["key"], None if secured else value, secured)


def _repository_of(target: Target) -> str:
    return f"/repositories/{quote(target.workspace, safe='{}')}/{quote(target.repository, safe='{}')}"


def _environment_of(target: Target, uuid: str, name: str) -> Place:
    path = f"{_repository_of(target)}/deployments_config/environments/{_braced(uuid)}/variables"
    return Place(f"{target.full_repository} {name}", path)


def _is_uuid_of(environment: Json, wanted: str) -> bool:
    return bool(environment.get("uuid", "").lower() == wanted.lower())


def _is_name_of(environment: Json, wanted: str) -> bool:
    return bool(environment.get("name") == wanted)


def _is_slug_of(environment: Json, wanted: str) -> bool:
    return bool(environment.get("slug") == wanted)


def _is_nearly_name_of(environment: Json, wanted: str) -> bool:
    return wanted.lower() in (environment.get("name", "").lower(), environment.get("slug", "").lower())


def _is_uuid(environment: str) -> bool:
    return environment.startswith("{") and environment.endswith("}")


def _braced(uuid: str) -> str:
    return quote("{" + uuid.strip("{}") + "}", safe="")
