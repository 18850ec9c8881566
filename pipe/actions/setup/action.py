"""Prints what has to exist, filled in, as one text that can be pasted or saved as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from textwrap import wrap

from pipe import scopes
from pipe.actions.setup.pipeline import pipeline
from pipe.actions.setup.what import Gaps, selectors_of, set_up
from pipe.templates import cli, cloudformation, rules, terraform
from pipe.templates.setup import Setup
from pipe.view import View, listed
from pipe.wishes import Wishes

# The version of the report's shape; it changes when a field changes its meaning or goes.
SCHEMA = "keyturn/setup/1"

# Words in a comment are wrapped to this many characters.
WIDTH = 96

_USE = {
    "cli": "Commands for a POSIX shell: aws for AWS, bao for OpenBao; HashiCorp's vault takes the same.",
    "cloudformation": "Save it as keyturn.yaml, then: aws cloudformation deploy --template-file keyturn.yaml "
    "--stack-name keyturn --capabilities CAPABILITY_NAMED_IAM",
    "terraform": "Save it as keyturn.tf, then: terraform init && terraform apply",
}


class SetUp:
    """One set-up as a text; `image` is the pipe as a pipeline names it."""

    def __init__(self, wishes: Wishes, image: str) -> None:
        self._wishes = wishes
        self._image = image

    def look(self) -> View:
        """Return the text: what has to exist, the pipeline as a comment, and what has to be filled in."""
        wishes, gaps = self._wishes, Gaps()
        setup = set_up(wishes, gaps)
        made = _made(wishes, setup)
        step = pipeline(wishes, _role_arn(setup, gaps), self._image, gaps)
        told = list(gaps.told())
        parts = [
            _comments(line for text in _before(wishes, setup) for line in wrap(text, WIDTH, subsequent_indent="  ")),
            made,
            *([_comments(_scanning(wishes, setup))] if setup.vault else []),
            _comments(["bitbucket-pipelines.yml:", "", *step.splitlines()]),
            *([_comments(_missing(told))] if told else []),
        ]
        report = {
            "schema": SCHEMA,
            "actions": list(wishes.actions),
            "format": wishes.format,
            "text": made,
            "pipeline": step,
            "to_fill_in": [{"placeholder": name, "where": where} for name, where in told],
        }
        return View(0, _sentence(wishes, len(told)), ("\n\n".join(part.strip("\n") for part in parts), ""), (), report)


def _made(wishes: Wishes, setup: Setup) -> str:
    """Return what makes it all, in the format that is wanted; a template cannot make what is in Vault."""
    if wishes.format == "terraform":
        return terraform.render(replace(setup, scopes=()))
    if wishes.format == "cli" or not setup.role:
        return cli.render(replace(setup, scopes=()))
    template = cloudformation.render(setup)
    if setup.vault is None:
        return template
    commands = cli.render(replace(setup, role="", scopes=()))
    return f"{template}\n{_comments(['And in Vault, by commands:', '', *commands.splitlines()])}\n"


def _before(wishes: Wishes, setup: Setup) -> Iterator[str]:
    form = wishes.format if setup.role or wishes.format == "terraform" else "cli"
    yield f"What has to exist for Keyturn to {listed(wishes.actions)}."
    yield _USE[form]
    if form != wishes.format:
        yield f"Nothing has to exist in AWS, so that there is nothing for {wishes.format}."
    if setup.role:
        yield f"In AWS: the provider of Bitbucket's tokens, and the role {setup.role}, which trusts {_whom(setup)}."
        yield "An account has one provider for a workspace: leave it out if there is one already."
    if setup.vault:
        yield f"In Vault: the way in by tokens, the role {setup.vault.role} for {_whom(setup)}, and its policy."
    if setup.scopes:
        yield f"In Bitbucket: an access token with the scopes {' and '.join(setup.scopes)}, kept as a secured variable."
        yield f"A user's API token has {' and '.join((scopes.READ[1], scopes.WRITE[1]))} instead."


def _whom(setup: Setup) -> str:
    if setup.environment:
        return "the steps that deploy to one environment of one repository"
    return "all steps of one repository"


def _scanning(wishes: Wishes, setup: Setup) -> Iterator[str]:
    """Yield the cheaper policy that one of the two servers knows."""
    yield "OpenBao tells the versions of a whole folder at once. There, this policy makes runs cheaper:"
    yield ""
    if setup.vault:
        yield from cli.policy(setup.vault, rules.scanning(selectors_of(wishes, Gaps()))).splitlines()


def _missing(told: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield "To be filled in:"
    width = max(len(name) for name, _ in told)
    yield from (f"  {name:<{width}}  {where}" for name, where in told)


def _role_arn(setup: Setup, gaps: Gaps) -> str:
    if not setup.role:
        return ""
    known = "${" not in setup.home.account
    account = setup.home.account if known else gaps.fill("", "account")
    return f"arn:{setup.home.partition if known else 'aws'}:iam::{account}:role/{setup.role}"


def _comments(lines: Iterable[str]) -> str:
    return "\n".join(f"# {line}".rstrip() for line in lines)


def _sentence(wishes: Wishes, gaps: int) -> str:
    left = f"fill in what is in angle brackets ({gaps}, see above), run it" if gaps else "run it"
    return f"setup for {listed(wishes.actions)}: {left}, then try it with ACTION: doctor"
