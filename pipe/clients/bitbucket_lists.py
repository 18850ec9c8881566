"""Bitbucket's lists, read page by page until they are whole."""

from __future__ import annotations

import logging
from functools import partial
from math import ceil

from pipe.clients.answer import Fields
from pipe.clients.bitbucket_api import Api, Routes
from pipe.clients.bitbucket_errors import Request
from pipe.errors import Busy, KeyturnError, Missing, ServiceError
from pipe.retry import side_by_side

log = logging.getLogger("keyturn.bitbucket")

PAGE = 100
MOST_PAGES = 100

# A pause in seconds before a list that contradicts itself is read once more: it may have been changed meanwhile.
PAUSE = 1.0


class Pages:
    """Reads whole lists by an API.

    `next` of a page can be missing (BCLOUD-20796), lead to the same page again, or nowhere (BCLOUD-13806); `size` was
    right wherever it was seen.
    """

    def __init__(self, api: Api | Routes) -> None:
        self._api = api

    def all(self, path: str, what: str, subject: str) -> tuple[Fields, ...]:
        """Return a list's objects, once each; raises Busy where there are fewer than the list tells of."""
        for last in (False, True):
            reading = _Reading(self._api, path, what, subject)
            found, told = reading.whole()
            if len(found) >= told:
                return found
            if not last:
                self._api.deadline.wait(PAUSE)
        raise Busy(
            f"Bitbucket's list of {what} tells of {told} and shows {len(found)}.",
            "Run again later; if it stays so, Bitbucket has a problem, or a proxy keeps old answers.",
        )


class _Reading:
    """One reading of a list."""

    def __init__(self, api: Api | Routes, path: str, what: str, subject: str) -> None:
        self._api = api
        self._url = f"{api.url}{path}?pagelen={PAGE}&page="
        self._what = what
        self._subject = subject
        self._asked: set[str] = set()
        self._found: dict[str, Fields] = {}

    def whole(self) -> tuple[tuple[Fields, ...], int]:
        """Return what the list shows, and how many there are at least by what it tells."""
        page = self._page(self._url + "1")
        size, values = page.optional_number("size"), page.objects("values")
        if size is not None and size < len(values):
            # What a page shows contradicts it.
            size = None
        told = size or 0
        self._take(page)
        # Once the first page has told how many there are, the others are asked for side by side.
        last = min(max(1, ceil(told / len(values))), MOST_PAGES) if values else 1
        urls = [self._url + str(number) for number in range(2, last + 1)]
        for later in side_by_side(partial(self._page_if_there, url) for url in urls):
            if isinstance(later, KeyturnError):
                raise later
            if later is not None:
                page = later
                self._take(page)
                # One that was made meanwhile may be on a page that was read before it.
                told = max(told, page.optional_number("size") or 0)
        for number in range(last + 1, MOST_PAGES + 1):
            link = self._link(page)
            # Without `size` only a page on which there is nothing new is the end: pages may be shorter than asked for.
            unsure = size is None and bool(page.objects("values"))
            if not link and not unsure and len(self._found) >= told:
                break
            followed = self._followed(link) if link else None
            following = followed if followed and self._take(followed) else self._next_by_number(number)
            if following is None:
                if link and followed is None and size is None:
                    # It leads on, to nothing that is there.
                    told = len(self._found) + 1
                break
            page = following
            told = max(told, page.optional_number("size") or 0)
        else:
            told = max(told, len(self._found) + bool(self._link(page)))
        return tuple(self._found.values()), told

    def _page(self, url: str) -> Fields:
        self._asked.add(url)
        return self._api.ask(Request("GET", url, self._what, self._subject), lambda page: page)

    def _page_if_there(self, url: str) -> Fields | None:
        """Return a page; past the last one, some lists are not found."""
        try:
            return self._page(url)
        except Missing:
            return None

    def _followed(self, link: str) -> Fields | None:
        """Return the page that `next` leads to; None where it leads nowhere."""
        try:
            return self._page(link)
        except Busy:
            raise
        except ServiceError as error:
            log.debug("%s's next page is not there: %s", self._what, error)
            return None

    def _next_by_number(self, number: int) -> Fields | None:
        """Return a page where it has something new."""
        url = self._url + str(number)
        page = None if url in self._asked else self._page_if_there(url)
        return page if page is not None and self._take(page) else None

    def _link(self, page: Fields) -> str:
        """Return where `next` leads; empty where that has been asked for already, or is not below the API's root."""
        link = page.optional_text("next") or ""
        return link if link.startswith(f"{self._api.url}/") and link not in self._asked else ""

    def _take(self, page: Fields) -> int:
        """Note what a page shows; return how much of it is new."""
        before = len(self._found)
        for value in page.objects("values"):
            self._found.setdefault(value.text("uuid"), value)
        return len(self._found) - before
