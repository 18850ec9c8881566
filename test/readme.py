"""What is made from lists: pipe.yml's variables, the README's table, policies and commands, and the sandbox's moods.

`python -m test.readme` writes them.
"""

from __future__ import annotations

import json
import re
from itertools import groupby
from typing import NamedTuple

from pipe import permissions
from pipe.jobs.setup import commands
from pipe.permissions import Home, Statement, document
from pipe.selectors import Selector
from pipe.settings.variable import Variable
from pipe.settings.variables import VARIABLES
from pipe.step import Step
from test.sandbox import page
from test.support import ROOT

README = ROOT / "README.md"
METADATA = ROOT / "pipe.yml"
BEGIN, END = "<!-- variables: made by `make docs` -->\n", "<!-- end of variables -->"

_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)

# A comment that says what the block below it is made as.
_MADE = re.compile(
    r"^<!-- made: (?P<name>[\w-]+) -->\n\n```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)

# A bar between cells; one within a cell has a backslash.
_BAR = re.compile(r"(?<!\\)\|")


class Block(NamedTuple):
    """A fenced example; the line is where it begins."""

    language: str
    text: str
    line: int


def table() -> str:
    """Return the table of all variables, between blank lines, without which some renderers see no table."""
    rows = ["| Variable | Usage |", "| --- | --- |"]
    for group, variables in groupby(VARIABLES, lambda variable: variable.group):
        rows.append(f"| **{group}** | |")
        rows += [_row(variable) for variable in variables]
    return "\n" + "\n".join(rows) + "\n\n"


def metadata(text: str) -> str:
    """Return pipe.yml with its variables as they should be; a default is the step's own variable of the name.

    What has a default in the table gets none here: an empty value takes that one.
    """
    lines = []
    for variable in VARIABLES:
        lines.append(f"  - name: {variable.name}\n")
        if variable.from_step:
            lines.append(f"    default: '${variable.name}'\n")
    made, count = re.subn(r"(?<=^variables:\n)(?:^[ -].*\n)*", lambda _: "".join(lines), text, flags=re.MULTILINE)
    if count != 1:
        raise ValueError("pipe.yml has no variables, or several lists of them")
    return made


def parts(readme: str) -> tuple[str, str, str]:
    """Return what is before the table, the table, and what is after it."""
    before, begin, rest = readme.partition(BEGIN)
    inside, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the README has lost the markers of its table")
    return before + begin, inside, end + after


def made() -> dict[str, str]:
    """Return the policies and commands that are printed, by name, for the account and the names of the examples."""
    home = Home("aws", "123456789012", "eu-central-1")
    user, secret = "deploy-bot", "ci/deploy-bot"
    folder = [Selector("ci", "*", recursive=True)]
    in_vault = [Selector("secret/ci", "*", recursive=True)]
    workspace, repository, environment = (f"{{00000000-0000-0000-0000-00000000000{number}}}" for number in (1, 2, 3))
    step = Step("https://api.bitbucket.org/2.0", "acme", workspace_uuid=workspace, repository_uuid=repository)
    trust = permissions.trusts_step(home, step.issuer, step.audience, f"{repository}:{environment}:*")
    anchor = f"arn:aws:rolesanywhere:{home.region}:{home.account}:trust-anchor/00000000-0000-0000-0000-000000000004"
    (notice,) = permissions.notice(f"arn:aws:sns:{home.region}:{home.account}:keyturn")
    return {
        "rotate": _policy(permissions.rotate(home, user, secret)),
        "status": _policy(permissions.status(home, user, secret)),
        "pull": _policy(permissions.pull(home, folder)),
        "replicate": _policy(permissions.replicate(home, "vault/", prune=True)),
        "notice": json.dumps(notice) + "\n",
        "key": json.dumps(*permissions.kms(home), indent=2) + "\n",
        "trust": json.dumps(trust, indent=2) + "\n",
        "certificate": json.dumps(permissions.trusts_certificate(anchor, "runner-1"), indent=2) + "\n",
        "vault-policy": commands.policy("keyturn", in_vault),
        "vault-sign-in": commands.sign_in(step, "jwt", "keyturn"),
    }


def filled(readme: str) -> str:
    """Return the README with everything that is made as it should be; raises ValueError where a place is missing."""
    before, _, after = parts(readme)
    readme, texts = before + table() + after, made()
    places = {found["name"] for found in _MADE.finditer(readme)}
    if places != texts.keys():
        raise ValueError(f"the README has no place for, or too many: {', '.join(sorted(places ^ texts.keys()))}")

    def fill(found: re.Match[str]) -> str:
        return f"<!-- made: {found['name']} -->\n\n```{found['language']}\n{texts[found['name']]}```"

    return _MADE.sub(fill, readme)


def _policy(statements: list[Statement]) -> str:
    return json.dumps(document(statements), indent=2) + "\n"


def blocks(readme: str, language: str) -> list[Block]:
    """Return the examples in a language, without their indentation."""
    found = []
    for match in _BLOCK.finditer(readme):
        indent, name, text = match.groups()
        if name == language:
            line = readme.count("\n", 0, match.start()) + 1
            found.append(Block(name, re.sub(rf"^{indent}", "", text, flags=re.MULTILINE), line))
    return found


def rows(readme: str, name: str) -> list[list[str]]:
    """Return the cells of the table that a comment with this name stands before, without the head."""
    after = readme.partition(f"<!-- {name}: ")[2]
    if not after:
        raise ValueError(f"the README has no table of {name}")
    lines = after.partition("\n\n")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in _BAR.split(line.strip())[1:-1]] for line in lines]


def _row(variable: Variable) -> str:
    name = f"`{variable.name}`" + (" (*)" if variable.required else "")
    default = variable.shown_default or (f"`{variable.default}`" if variable.default else "")
    return f"| {name} | {variable.meaning}" + (f" Default: {default}." if default else "") + " |"


if __name__ == "__main__":
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
    page.PAGE.write_text(page.filled(page.PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    METADATA.write_text(metadata(METADATA.read_text(encoding="utf-8")), encoding="utf-8")
