"""What a run makes of the scopes and the end of its token: found out before anything is made, and said once."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from sandbox.bitbucket import Kind, Repository, Token, Workspace
from sandbox.world import Company, World
from test.readme import DOCS
from test.support import Pipe, Result, outside

LEAST = ("pipeline", "pipeline:variable")


def with_scopes(world: World, company: Company, *scopes: str) -> Token:
    return world.bitbucket.issue_token("repository", company.repository, scopes=scopes)


def lines(result: Result, text: str) -> list[str]:
    return [line for line in result.output.splitlines() if text in line]


def test_what_is_missing_is_said_with_all_other_problems(world: World, company: Company, pipe: Pipe) -> None:
    before = outside(world, company)
    token = with_scopes(world, company, "repository", "pipeline")
    result = pipe(BITBUCKET_ACCESS_TOKEN=token.secret, TARGETS="deployment:staging, deployment:nowhere, repository")
    assert result.code == 1
    assert result.problems == [
        "The token in BITBUCKET_ACCESS_TOKEN may not write variables: it needs the scopes pipeline, pipeline:variable, "
        "and it has pipeline, repository. Make a token with these scopes.",
        "acme/shop has no deployment environment “nowhere”; it has: Test, Staging, Production. Check TARGETS.",
    ]
    assert result.writes == []
    assert outside(world, company) == before


def test_a_dry_run_says_it_too(world: World, company: Company, pipe: Pipe) -> None:
    result = pipe(BITBUCKET_ACCESS_TOKEN=with_scopes(world, company, "pipeline").secret, DRY_RUN="true")
    assert (result.code, len(result.problems)) == (1, 1)


def test_where_answers_tell_no_scopes_the_first_write_does_before_anything_is_made(
    world: World, company: Company, pipe: Pipe
) -> None:
    world.moods.turn("scopes=untold")
    before = outside(world, company)
    result = pipe(BITBUCKET_ACCESS_TOKEN=with_scopes(world, company, "pipeline").secret)
    assert result.code == 1
    assert "needs the scopes: pipeline:variable; it has: pipeline." in result.output
    assert result.asked("iam.CreateAccessKey") == []
    assert outside(world, company) == before


def test_no_request_is_made_for_it(world: World, company: Company, pipe: Pipe) -> None:
    assert pipe().code == 0
    told = pipe().asked()
    world.moods.turn("scopes=untold")
    assert sorted(pipe().asked()) == sorted(told)


def test_a_token_that_may_do_more_is_mentioned_once(world: World, company: Company, pipe: Pipe) -> None:
    more = with_scopes(world, company, *LEAST, "repository:admin", "pipeline:write", "repository")
    result = pipe(BITBUCKET_ACCESS_TOKEN=more.secret)
    assert result.code == 0
    assert lines(result, "more than Keyturn needs") == [
        "INFO: The token in BITBUCKET_ACCESS_TOKEN may do more than Keyturn needs, which is pipeline and "
        "pipeline:variable: it also has pipeline:write, repository:admin."
    ]
    assert lines(pipe(), "more than Keyturn needs") == []


@pytest.mark.parametrize(("days", "warned"), [(3, 1), (30, 0)])
def test_a_token_that_says_when_it_ends_is_warned_of(
    world: World, company: Company, pipe: Pipe, days: int, warned: int
) -> None:
    end = world.clock.now() + timedelta(days=days)
    token = world.bitbucket.issue_token("app-user", company.repository, scopes=LEAST, expires=end)
    result = pipe(BITBUCKET_ACCESS_TOKEN=token.secret)
    assert result.code == 0
    said = lines(result, "The token in BITBUCKET_ACCESS_TOKEN ends on")
    assert said == [f"WARNING: The token in BITBUCKET_ACCESS_TOKEN ends on {end:%Y-%m-%d %H:%M} UTC."] * warned


def test_the_end_of_a_consumers_tokens_is_no_news(world: World, company: Company, pipe: Pipe) -> None:
    consumer = world.bitbucket.issue_token("oauth", company.repository.workspace, scopes=LEAST)
    result = pipe(
        BITBUCKET_ACCESS_TOKEN=None, BITBUCKET_OAUTH_CLIENT_ID=consumer.user,
        BITBUCKET_OAUTH_CLIENT_SECRET=consumer.secret,
    )  # fmt: skip
    assert result.code == 0
    assert "WARNING" not in result.output


@pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
@pytest.mark.parametrize("kind", ["repository", "api-token", "oauth"])
@pytest.mark.sample(3)
def test_the_scopes_of_the_docs_are_enough_and_no_more(
    world: World, company: Company, pipe: Pipe, kind: Kind, told: bool
) -> None:
    world.moods.turn("scopes=default" if told else "scopes=untold")
    variables, scopes = dict(zip(("repository", "api-token", "oauth"), rows_of_scopes(), strict=True))[kind]
    reach: Repository | Workspace = company.repository if kind == "repository" else company.repository.workspace

    def run_with(*granted: str) -> Result:
        token = world.bitbucket.issue_token(kind, reach, scopes=granted)
        values = [token.secret] if kind == "repository" else [token.user, token.secret]
        return pipe(**{"BITBUCKET_ACCESS_TOKEN": None, **dict(zip(variables, values, strict=True))})

    for scope in scopes:
        less = run_with(*(each for each in scopes if each != scope))
        assert less.code == 1, less.output
        assert scope in less.output
        assert less.asked("iam.CreateAccessKey") == []
    enough = run_with(*scopes)
    assert enough.code == 0, enough.output
    assert lines(enough, "more than Keyturn needs") == []


def rows_of_scopes() -> list[tuple[list[str], list[str]]]:
    """Return the credentials of docs/bitbucket.md, each by its variables and its scopes."""
    text = (DOCS / "bitbucket.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| (`[A-Z_]+`.*): .* \| (`.*pipeline.*`) \|$", text, re.MULTILINE)
    return [(re.findall(r"`(\w+)`", names), re.findall(r"`([\w:]+)`", scopes)) for names, scopes in found]
