"""How Bitbucket is asked."""

from __future__ import annotations

from dataclasses import dataclass

from pipe.reading import Reader
from pipe.redact import Secret
from pipe.values import Target


@dataclass(frozen=True)
class BitbucketAccess:
    """How Bitbucket is asked: an access token, or an email with an API token."""

    url: str
    token: Secret
    email: str = ""

    @property
    def variables(self) -> str:
        """The variables that hold the credentials, for advice."""
        return "ATLASSIAN_ACCOUNT_EMAIL and ATLASSIAN_API_TOKEN" if self.email else "BITBUCKET_ACCESS_TOKEN"


@dataclass(frozen=True)
class Targets:
    """Where the result is written, and how Bitbucket is asked."""

    places: tuple[Target, ...]
    access: BitbucketAccess


def read_targets(reader: Reader) -> Targets:
    """Return the targets."""
    return Targets(reader.targets(), read_bitbucket(reader))


def read_bitbucket(reader: Reader) -> BitbucketAccess:
    """Return how Bitbucket is asked."""
    url = reader.url("BITBUCKET_API_URL") or ""
    token, email, api_token = (
        reader.text(name) for name in ("BITBUCKET_ACCESS_TOKEN", "ATLASSIAN_ACCOUNT_EMAIL", "ATLASSIAN_API_TOKEN")
    )
    if reader.plain("BITBUCKET_APP_PASSWORD"):
        reader.problem(
            "BITBUCKET_APP_PASSWORD: app passwords are gone since July 2026; use BITBUCKET_ACCESS_TOKEN, or "
            "ATLASSIAN_ACCOUNT_EMAIL with ATLASSIAN_API_TOKEN."
        )
    elif token and (email or api_token):
        reader.problem(
            "BITBUCKET_ACCESS_TOKEN: give either it, or ATLASSIAN_ACCOUNT_EMAIL with ATLASSIAN_API_TOKEN, not both."
        )
    elif bool(email) != bool(api_token):
        missing, given = ("ATLASSIAN_API_TOKEN", "ATLASSIAN_ACCOUNT_EMAIL")[:: 1 if email else -1]
        reader.problem(f"{missing}: needed together with {given}.")
    elif not token and not api_token:
        reader.problem(
            "BITBUCKET_ACCESS_TOKEN: a token is needed to write variables; give it, or ATLASSIAN_ACCOUNT_EMAIL with "
            "ATLASSIAN_API_TOKEN."
        )
    return BitbucketAccess(url, Secret(token or api_token), "" if token else email)
