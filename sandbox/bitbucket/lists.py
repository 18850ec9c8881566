"""Lists in pages, with each of the moods that Bitbucket was seen in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urlencode

from flask import request

from sandbox.bitbucket import errors

NextLinks = Literal["always", "never", "broken-loop"]

DEFAULT, MOST = 10, 100


@dataclass
class Moods:
    """What differs between the times and places in which Bitbucket was observed; may be changed at any time."""

    lag: float
    next_links: NextLinks
    scope_headers: bool = True


def page(items: Sequence[Mapping[str, Any]], links: NextLinks, *, core: bool = False) -> dict[str, Any]:
    """Return the page that the request asks for; past the end Pipelines' lists are empty and the core's are 404."""
    pagelen, number = min(_count("pagelen", DEFAULT), MOST), _count("page", 1)
    values = items[(number - 1) * pagelen : number * pagelen]
    if core and not values and number > 1:
        raise errors.core(404, "Invalid page")
    answer = {"page": number, "size": len(items), "pagelen": len(values), "values": values}
    if links == "always" and number * pagelen < len(items):
        answer["next"] = _link(number + 1)
    elif links == "broken-loop" and values:
        answer["next"] = _link(number)
    return answer


def _count(name: str, default: int) -> int:
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text)):
        raise errors.core(400, f"Invalid {name}")
    return int(text)


def _link(number: int) -> str:
    path = quote(request.path.removeprefix("/"))
    return f"{request.host_url}{path}?{urlencode({**request.args, 'page': number})}"
