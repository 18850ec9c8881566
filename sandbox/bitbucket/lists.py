"""Lists in pages, with each of the moods that Bitbucket was seen in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from flask import request

from sandbox.bitbucket import errors
from sandbox.moods import Moods

DEFAULT, MOST = 10, 100
# The parameter of links that lead nowhere.
_LOST = "lost"


def page(items: Sequence[Mapping[str, Any]], moods: Moods, *, core: bool = False) -> dict[str, Any]:
    """Return the page that the request asks for; past the end Pipelines' lists are empty and the core's are 404."""
    if _LOST in request.args:
        raise errors.unauthorized() if request.args[_LOST] == "401" else errors.core(404, "Resource not found")
    pagelen, number = min(_count("pagelen", DEFAULT), MOST), _count("page", 1)
    values = items[(number - 1) * pagelen : number * pagelen]
    if core and not values and number > 1:
        raise errors.core(404, "Invalid page")
    answer = {"page": number, "size": len(items), "pagelen": len(values), "values": values}
    if moods.value("size") == "absent":
        del answer["size"]
    more = number * pagelen < len(items)
    match moods.value("next"):
        case "loop" if values:
            answer["next"] = _link(number)
        case "broken" | "broken-401" as broken if more:
            answer["next"] = f"{_link(number + 1)}&{_LOST}={broken[-3:]}"
        case "" if more:
            answer["next"] = _link(number + 1)
    return answer


def _count(name: str, default: int) -> int:
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text)):
        raise errors.core(400, f"Invalid {name}")
    return int(text)


def _link(number: int) -> str:
    path = quote(request.path.removeprefix("/"))
    return f"{request.host_url}{path}?{urlencode({**request.args, 'page': number})}"
