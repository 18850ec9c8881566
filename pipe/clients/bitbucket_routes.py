"""Bitbucket's API for places of several credentials: each is asked for with its own, and none but these is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from pipe.clients.answer import Fields
from pipe.clients.bitbucket_api import Api
from pipe.clients.bitbucket_errors import Request
from pipe.clients.http import Answer
from pipe.errors import Denied
from pipe.retry import Deadline

T = TypeVar("T")


class Routes:
    """One job's way to Bitbucket: `apis` by the paths of its places, which alone it may write, and `other`."""

    def __init__(self, apis: Mapping[str, Api], other: Api, deadline: Deadline) -> None:
        self._apis = apis
        self._other = other
        self._patience = deadline
        self._all: Collection[Api] = {id(each): each for each in (*apis.values(), other)}.values()

    @property
    def url(self) -> str:
        """The API's root."""
        return self._other.url

    @property
    def exhausted(self) -> bool:
        """Whether any credential's limit is used up."""
        return any(each.exhausted for each in self._all)

    @property
    def granted(self) -> frozenset[str]:
        """The scopes that all tokens have, as far as they are told."""
        told = [each.granted for each in self._all if each.granted]
        return frozenset.intersection(*told) if told else frozenset()

    def begin(self, path: str) -> None:
        """See Api."""
        self._of(path).begin(path)

    def check(self) -> None:
        """See Api."""
        for each in self._all:
            each.check()

    def retry(self, request: Callable[[], T]) -> T:
        """See Api; which limit is reached is noted where it is."""
        return self._patience.retry(request)

    def ask(self, request: Request, read: Callable[[Fields], T]) -> T:
        """See Api; raises Denied for a write to any place but the job's."""
        return self._checked(request).ask(request, read)

    def ask_once(self, request: Request, read: Callable[[Fields], T]) -> T:
        """See Api; raises Denied for a write to any place but the job's."""
        return self._checked(request).ask_once(request, read)

    def raw(self, request: Request) -> Answer:
        """See Api; raises Denied for a write to any place but the job's."""
        return self._checked(request).raw(request)

    def _checked(self, request: Request) -> Api:
        if request.writes and not any(_is_below(request.path, path) for path in self._apis):
            raise Denied(
                f"{request.what} was not written: the fleet's lock does not name that place.", "Check FLEET_LOCK."
            )
        return self._of(request.path)

    def _of(self, path: str) -> Api:
        relative = path.removeprefix(self.url).partition("?")[0]
        return next((api for place, api in self._apis.items() if _is_below(relative, place)), self._other)


def _is_below(path: str, place: str) -> bool:
    return path == place or path.startswith(f"{place}/")
