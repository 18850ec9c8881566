"""How views are put at their paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask


def route(app: Flask, method: str, path: str, view: Callable[..., Any], *, slash: bool = True) -> None:
    """Serve a method of a path by a view, with a slash at the end too unless told otherwise."""
    app.add_url_rule(path, f"{method} {path}", view, methods=[method], strict_slashes=not slash)
