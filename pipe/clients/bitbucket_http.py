"""What all requests to Bitbucket have alike."""

from __future__ import annotations

import requests


class Header(requests.auth.AuthBase):
    """Puts the header on the request; as an auth object, so that no ~/.netrc is looked at."""

    def __init__(self, header: str) -> None:
        self._header = header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return the request with the header."""
        request.headers["Authorization"] = self._header
        return request
