"""What is known of a token: scopes that are missing or too many, and its end."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import jwt
import pytest

from pipe.clients.bitbucket_auth import Grant, Knowledge
from pipe.clients.http import Answer
from pipe.errors import Denied
from pipe.redact import Secret

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
CLASSIC, GRANULAR = "pipeline, pipeline:variable", "read:pipeline:bitbucket, admin:pipeline:bitbucket"


def grant(token: str = "a-token-of-a-test", *scopes: str, passing: bool = False) -> Grant:
    return Grant(f"Bearer {token}", Secret(token), passing, frozenset(scopes))


def answer(**headers: str) -> Answer:
    return Answer(200, {name.replace("_", "-"): value for name, value in headers.items()}, b"{}")


def known(scopes: str | None, *, writes: bool = True, given: Grant | None = None, now: datetime = NOW) -> Knowledge:
    """Return what is known after one answer."""
    knowledge = Knowledge("THE_VARIABLE", writes=writes)
    told = {} if scopes is None else {"x_oauth_scopes": scopes}
    knowledge.note(given or grant(), answer(date=format_datetime(now, usegmt=True), **told))
    return knowledge


def ending(end: datetime) -> Grant:
    return grant(jwt.encode({"exp": int(end.timestamp())}, "k" * 32, algorithm="HS256"))


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


@pytest.mark.parametrize(
    "scopes", [CLASSIC, GRANULAR, "pipeline:variable", "pipeline:variable,repository", "pipeline:variable repository"]
)
def test_a_token_that_may_write_variables_is_enough_and_no_more(said: pytest.LogCaptureFixture, scopes: str) -> None:
    known(scopes).check()
    assert said.messages == []


@pytest.mark.parametrize(
    ("scopes", "needed", "has"),
    [
        ("pipeline", "pipeline, pipeline:variable", "pipeline"),
        ("repository, pipeline:write", "pipeline, pipeline:variable", "pipeline:write, repository"),
        ("read:pipeline:bitbucket", "read:pipeline:bitbucket, admin:pipeline:bitbucket", "read:pipeline:bitbucket"),
    ],
)
def test_a_token_that_may_not_is_denied_with_what_it_needs_and_has(scopes: str, needed: str, has: str) -> None:
    with pytest.raises(Denied) as raised:
        known(scopes).check()
    assert raised.value.what == (
        f"The token in THE_VARIABLE may not write variables: it needs the scopes {needed}, and it has {has}."
    )
    known(scopes, writes=False).check()


@pytest.mark.parametrize("scopes", [None, "", " , ", "<b>"])
def test_what_is_not_told_is_not_held_against_the_token(scopes: str | None) -> None:
    known(scopes).check()


def test_what_came_with_the_token_counts_where_answers_do_not_tell() -> None:
    known(None, given=grant("another-token", "pipeline", "pipeline:variable", passing=True)).check()
    with pytest.raises(Denied):
        known(None, given=grant("another-token", "pipeline", passing=True)).check()
    known(CLASSIC, given=grant("another-token", "pipeline", passing=True)).check()


@pytest.mark.parametrize(
    ("scopes", "needed", "more"),
    [
        (f"{CLASSIC}, repository:admin, account, account:write, webhook, pipeline:write, pullrequest",
         "pipeline and pipeline:variable", "account:write, pipeline:write, repository:admin, webhook"),
        (f"{GRANULAR}, read:user:bitbucket, write:repository:bitbucket, delete:repository:bitbucket",
         "read:pipeline:bitbucket and admin:pipeline:bitbucket",
         "delete:repository:bitbucket, write:repository:bitbucket"),
    ],
)  # fmt: skip
def test_a_token_that_may_do_more_is_mentioned_once(
    said: pytest.LogCaptureFixture, scopes: str, needed: str, more: str
) -> None:
    knowledge = known(scopes)
    knowledge.note(grant(), answer(x_oauth_scopes=scopes))
    assert said.messages == [
        f"The token in THE_VARIABLE may do more than Keyturn needs, which is {needed}: it also has {more}."
    ]


@pytest.mark.parametrize(("days", "warned"), [(-1, True), (0, True), (13, True), (15, False), (300, False)])
def test_a_token_that_says_that_it_ends_soon_is_warned_of_once(
    said: pytest.LogCaptureFixture, days: int, warned: bool
) -> None:
    end = NOW + timedelta(days=days)
    knowledge = known(CLASSIC, given=ending(end))
    knowledge.note(ending(end), answer(date=format_datetime(NOW, usegmt=True)))
    assert said.messages == ([f"The token in THE_VARIABLE ends on {end:%Y-%m-%d %H:%M} UTC."] if warned else [])


@pytest.mark.parametrize("token", ["a.b", "a.b.c", "a.e30.c", "a.W10.c", "a.eyJleHAiOiJzb29uIn0.c"])
def test_a_token_that_says_nothing_of_its_end_is_not_warned_of(said: pytest.LogCaptureFixture, token: str) -> None:
    known(CLASSIC, given=grant(token))
    assert said.messages == []


def test_the_end_of_a_token_that_was_made_for_this_run_is_no_news(said: pytest.LogCaptureFixture) -> None:
    short = ending(NOW + timedelta(hours=1))
    known(CLASSIC, given=grant(short.token.reveal(), passing=True))
    assert said.messages == []
