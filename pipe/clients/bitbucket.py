"""Bitbucket Cloud's pipeline variables over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from contextvars import copy_context
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from pipe.clients.answer import Fields
from pipe.clients.bitbucket_api import Api, Routes
from pipe.clients.bitbucket_errors import Request
from pipe.clients.bitbucket_lists import Pages
from pipe.clients.bitbucket_places import Environment, Places, braced, likely_place
from pipe.clients.http import Answer
from pipe.errors import Busy, Conflict, KeyturnError, Missing, ServiceError
from pipe.values import Place, Repository, Target, Variable

log = logging.getLogger("keyturn.bitbucket")

# Lists lag behind writes: a variable that certainly exists must turn up within so many seconds.
LAG = 30.0


# What is known of places by their paths.
Seen = dict[str, dict[str, Variable] | KeyturnError]


class Bitbucket:
    """Environments and variables of the repositories and workspaces that an API's tokens can reach.

    `known` are the places of targets that need not be looked for, `seen` is what was looked at, or why it could not be,
    by the places' paths; what is written there is noted in it. Every method raises ServiceError.
    """

    def __init__(
        self, api: Api | Routes, known: Mapping[Target, Place] = MappingProxyType({}), seen: Seen | None = None
    ) -> None:
        self._api = api
        self._known = known
        self._seen = seen
        self._pages = Pages(api)
        self._places = Places(self._pages)

    @property
    def exhausted(self) -> bool:
        """Whether the rate limit is used up, or nearly: nothing should be begun now that can be left to the next run.

        No request is refused here for that, so that a run can still try to write down what it has done.
        """
        return self._api.exhausted

    def begin(self, place: Place) -> None:
        """Return when something new may be begun in a place; raises Stopped where that is not to be in this run."""
        self._api.begin(place.path)

    def writing(self, place: Place, writes: int) -> AbstractContextManager[None]:
        """Hold what so many writes in a place take, which belong together; raises Stopped as `begin` does."""
        return self._api.writing(place.path, writes)

    def repositories(self, workspace: str) -> tuple[Repository, ...]:
        """Return the repositories of a workspace that the token may see."""
        what = f"the repositories of {workspace}"
        listed = self._pages.all(f"/repositories/{quote(workspace, safe='{}')}", what, f"the workspace {workspace}")
        return tuple(_repository(workspace, raw) for raw in listed)

    def environments(self, repository: Repository) -> tuple[Environment, ...]:
        """Return a repository's deployment environments."""
        return self._places.environments(repository)

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes of the token as the answers so far have told them; none where they have not."""
        return self._api.granted

    def find(self, target: Target) -> Place:
        """Return the place that a target names; raises Missing, with the environments that there are."""
        return self._places.find(target)

    def look(self, target: Target) -> tuple[Place, dict[str, Variable]]:
        """Return the place that a target names, and its variables by key; raises as `find` and `variables` do.

        An environment's uuid tells where its variables are, so that they are asked for beside the list of environments.
        Raises Denied, too, where an answer has told that the token lacks a scope that the run needs.
        """
        found = self.peek(target)
        self._api.check()
        return found

    def peek(self, target: Target) -> tuple[Place, dict[str, Variable]]:
        """Return what `look` does, whatever scopes the token lacks."""
        known = self._known.get(target)
        if known is not None:
            return known, self._looked_at(known)
        likely = likely_place(target)
        if likely is None:
            place = self.find(target)
            return place, self.variables(place)
        with ThreadPoolExecutor(max_workers=1) as pool:
            listing = pool.submit(copy_context().run, self.variables, likely)
            place = self.find(target)
            if place.path == likely.path:
                return place, listing.result()
        # What looks like a uuid is another environment's name.
        return place, self.variables(place)

    def _looked_at(self, place: Place) -> dict[str, Variable]:
        """Return a place's variables as this run has seen and written them."""
        if self._seen is None:
            return self.variables(place)
        if place.path not in self._seen:
            self._seen[place.path] = self.variables(place)
        seen = self._seen[place.path]
        if isinstance(seen, KeyturnError):
            raise seen
        return dict(seen)

    def _note(self, place: Place, key: str, now: Variable | None) -> None:
        """Note what a write has left of a variable in a place that was seen."""
        seen = (self._seen or {}).get(place.path)
        if isinstance(seen, dict) and now is None:
            seen.pop(key, None)
        elif isinstance(seen, dict) and now is not None:
            seen[key] = now

    def forget(self, place: Place) -> None:
        """Forget what was seen of a place that may hold something else: after an unclear write or in a late list."""
        if self._seen is not None:
            self._seen.pop(place.path, None)

    def variables(self, place: Place) -> dict[str, Variable]:
        """Return a place's variables by key, as its list has them, which may be some seconds old."""
        listed = self._pages.all(place.path, f"the variables of {place.label}", place.label)
        return {variable.key: variable for variable in map(_variable, listed)}

    def is_gone(self, place: Place) -> bool:
        """Tell whether an environment is certainly gone: its repository lists its environments, and not that one."""
        return self._places.lacks(place)

    def write(self, place: Place, key: str, value: str, known: Variable | None, *, secured: bool) -> Variable:
        """Create or update one variable, never deleting it in between."""
        if known is not None:
            try:
                return self._update(place, key, value, known, secured=secured)
            except Missing:
                log.debug("%s: %s is gone since the list was read; it is created anew", place.label, key)
        return self._create(place, key, value, secured=secured)

    def create(self, place: Place, key: str, value: str, *, longest: float = LAG) -> Variable:
        """Create one unsecured variable; return it as it is where somebody else has created it before.

        Raises ServiceError where the list does not show that one within so many seconds.
        """
        return self._create(place, key, value, secured=False, or_update=False, longest=longest)

    def raw(self, method: str, place: Place, below: str = "", body: Mapping[str, Any] | None = None) -> Answer:
        """Make one request about a place's variables, once, and return the answer, whatever it says.

        `below` is a variable's uuid, a query, or a whole address that an answer has led to.
        """
        if below.startswith("{"):
            below = f"/{braced(below)}"
        path = below if below.startswith("http") else place.path + below
        return self._api.raw(Request(method, path, f"the variables of {place.label}", place.label, body))

    def delete(self, place: Place, known: Variable) -> None:
        """Delete one variable; one that has gone already, or with its environment, is as good."""
        what = f"{known.key} in {place.label}"
        try:
            self._api.ask(Request("DELETE", _path_of(place, known), what, what), lambda _: None)
        except Missing:
            log.debug("%s: %s was gone already", place.label, known.key)
        except KeyturnError:
            self.forget(place)
            raise
        self._note(place, known.key, None)

    def _create(
        self, place: Place, key: str, value: str, *, secured: bool, or_update: bool = True, longest: float = LAG
    ) -> Variable:
        """Create a variable; after an answer that leaves it open whether it was made, look before asking again.

        One that is there is updated, or returned as it is.
        """
        what = f"{key} in {place.label}"
        body = {"key": key, "value": value, "secured": secured}
        request = Request("POST", place.path, what, place.label, body)
        perhaps_made = False

        def attempt() -> Variable:
            nonlocal perhaps_made
            seen = self.variables(place).get(key) if perhaps_made else None
            try:
                if seen is None:
                    return self._api.ask_once(request, _written(body))
            except Conflict:
                seen = self._look_for(place, key, longest)
            except Busy as error:
                perhaps_made = perhaps_made or error.unclear
                raise
            return self._update(place, key, value, seen, secured=secured) if or_update else seen

        return self._settled(place, body, lambda: self._api.retry(attempt))

    def _update(self, place: Place, key: str, value: str, known: Variable, *, secured: bool) -> Variable:
        body = {"key": key, "value": value, "secured": secured}
        return self._settled(place, body, lambda: self._put(place, known, body))

    def _put(self, place: Place, known: Variable, body: Mapping[str, Any]) -> Variable:
        what = f"{known.key} in {place.label}"
        return self._api.ask(Request("PUT", _path_of(place, known), what, what, body), _written(body))

    def _settled(self, place: Place, body: Mapping[str, Any], write: Callable[[], Variable]) -> Variable:
        """Write, and where no good answer comes, look: what the list shows as it was sent has been written."""
        try:
            written = write()
        except KeyturnError as error:
            self.forget(place)
            if not isinstance(error, ServiceError) or not error.unclear or body["secured"]:
                raise
            try:
                seen = self.variables(place).get(body["key"])
            except KeyturnError:
                raise error from None
            if seen is None or (seen.value, seen.secured) != (body["value"], False):
                raise
            return seen
        self._note(place, body["key"], written)
        return written

    def _look_for(self, place: Place, key: str, longest: float) -> Variable:
        """Wait until a variable that the server says is there turns up in the list."""
        waited, pause = 0.0, 1.0
        while True:
            found = self.variables(place).get(key)
            if found is not None:
                return found
            if waited >= longest:
                break
            self._api.deadline.wait(pause)
            waited, pause = waited + pause, min(4.0, pause + 1.0)
        # Not Busy: the time to look has passed, and nothing is written anew for it.
        raise ServiceError(
            f"Bitbucket says that {key} exists in {place.label}, but its list does not show it.", "Run again later."
        )


def _repository(workspace: str, raw: Fields) -> Repository:
    project, owner = raw.object("project"), raw.object("workspace")
    return Repository(
        workspace.lower(), raw.name("slug").lower(), raw.text("uuid").lower(), project.text("key").upper(),
        owner.text("uuid").lower(),
    )  # fmt: skip


def _variable(raw: Fields) -> Variable:
    """Return a variable; Bitbucket never shows the value of a secured one."""
    value, secured = raw.optional_text("value"), raw.optional_flag("secured")
    if secured is None:
        secured = value is None
    return Variable(raw.text("uuid"), raw.name("key"), None if secured else value, secured)


def _written(body: Mapping[str, Any]) -> Callable[[Fields], Variable]:
    """Return what reads a variable out of the answer to its write, which has to tell what was sent.

    One that stays secured although it was to be so no more is returned as it is.
    """

    def read(raw: Fields) -> Variable:
        variable = _variable(raw)
        if variable.key != body["key"]:
            raise raw.wrong("key", "another one's")
        if body.get("secured") and not variable.secured:
            raise raw.wrong("secured", "false, and it was to be true")
        if body.get("secured") is False and not variable.secured and variable.value != body["value"]:
            raise raw.wrong("value", "another one than was sent")
        return variable

    return read


def _path_of(place: Place, known: Variable) -> str:
    return f"{place.path}/{braced(known.uuid)}"
