"""What is made from lists: pipe.yml's variables, the pages' tables, policies and commands, and the sandbox's moods.

The pages are the README and those in docs/. `python -m test.readme` writes them.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from pipe import __version__, permissions
from pipe.jobs.setup import commands
from pipe.permissions import Home, Statement, document
from pipe.pipeline_step import PipelineStep
from pipe.reserved_names import OBEYED
from pipe.selectors import Selector
from pipe.settings.rules import Variable
from pipe.settings.variables import BY_NAME, VARIABLES
from sandbox.moods import ALWAYS, MOODS
from test import fleet_schema
from test.doctor import says
from test.messages import listed
from test.support import ROOT

README = ROOT / "README.md"
METADATA = ROOT / "pipe.yml"
DOCS = ROOT / "docs"
TROUBLESHOOTING = DOCS / "troubleshooting.md"
PAGES = (README, *sorted(DOCS.glob("*.md")))

# The variables that most pipelines need; the README shows these alone.
MOST_USED = (
    "ACTION", "TARGETS", "DRY_RUN", "BITBUCKET_ACCESS_TOKEN", "AWS_OIDC_ROLE_ARN", "AWS_DEFAULT_REGION",
    "IAM_USER_NAME", "SECRET_ID", "REVOKE", "SECRETS", "VAULT_ADDR", "VAULT_ROLE",
)  # fmt: skip

# The rotation of the README: its image and its variables, in the order in which `setup` prints them.
ROTATION: tuple[str, dict[str, commands.Variables]] = (
    f"docker://your-account/keyturn:{__version__}",
    {
        "rotate": {
            "TARGETS": ("deployment:staging", "deployment:production"),
            "BITBUCKET_ACCESS_TOKEN": "$BITBUCKET_ACCESS_TOKEN",
            "AWS_OIDC_ROLE_ARN": "arn:aws:iam::123456789012:role/keyturn",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "IAM_USER_NAME": "deploy-bot",
            "SECRET_ID": "ci/deploy-bot",
        }
    },
)

_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)

# A comment that says what the block below it is made as.
_MADE = re.compile(
    r"^<!-- made: (?P<name>[\w-]+) -->\n\n```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)

# A comment before a table that is made, and one behind it.
_TABLE = re.compile(
    r"(?P<begin>^<!-- (?P<name>[\w ]+): made by `make docs` -->\n).*?(?P<end>^<!-- end of (?P=name) -->$)",
    re.MULTILINE | re.DOTALL,
)

# A bar between cells; one within a cell has a backslash.
_BAR = re.compile(r"(?<!\\)\|")


class Block(NamedTuple):
    """A fenced example: the page that it is on, and the line where it begins."""

    language: str
    text: str
    page: Path
    line: int

    @property
    def place(self) -> str:
        """Where it is, in words."""
        return f"{self.page.name}, line {self.line}"


def tables() -> dict[str, str]:
    """Return the tables that are made, by name, between blank lines, without which some renderers see no table."""
    head = ["| Variable | Usage |", "| --- | --- |"]
    every = list(head)
    for group, variables in groupby(VARIABLES, lambda variable: variable.group):
        every.append(f"| **{group}** | |")
        every += [_row(variable) for variable in variables]
    # The notes stand below the whole table alone.
    most = head + [re.sub(r" \(\d\)(?=\.? )", "", _row(BY_NAME[name])) for name in MOST_USED]
    obeyed = textwrap.wrap(", ".join(f"`{name}`" for name in sorted(OBEYED)), 120)
    lines = {
        "variables": every,
        "most used": most,
        "moods": moods(),
        "write probe": list(says.rows()),
        "obeyed names": obeyed,
    }
    return {name: "\n" + "\n".join(rows) + "\n\n" for name, rows in lines.items()}


def moods() -> list[str]:
    """Return the lines of the table of the sandbox's moods, and of what is so in every one."""
    rows = ["| Mood | Service | What it means |", "| --- | --- | --- |"]
    rows += [f"| `{mood.form}` | {mood.service} | {mood.meaning} |" for mood in MOODS]
    always = [f"- {service}: {rule}" for service, rule in ALWAYS]
    return [*rows, "", "Always so, in every mood:", "", *always]


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


def made() -> dict[str, str]:
    """Return the policies and commands that are printed, by name, for the account and the names of the examples."""
    home = Home("aws", "123456789012", "eu-central-1")
    user, secret = "deploy-bot", "ci/deploy-bot"
    folder = [Selector("ci", "*", recursive=True)]
    in_vault = [Selector("secret/ci", "*", recursive=True)]
    workspace, repository, environment = (f"{{00000000-0000-0000-0000-00000000000{number}}}" for number in (1, 2, 3))
    step = PipelineStep("https://api.bitbucket.org/2.0", "acme", workspace_uuid=workspace, repository_uuid=repository)
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
        "pipeline": commands.pipeline("", *ROTATION),
    }


def filled(pages: dict[Path, str]) -> dict[Path, str]:
    """Return the pages with everything that is made as it should be; raises ValueError unless each has one place."""
    texts, rows = made(), tables()
    places = sorted(
        found["name"] for page in pages.values() for form in (_MADE, _TABLE) for found in form.finditer(page)
    )
    if places != sorted([*texts, *rows]):
        raise ValueError(f"the pages have no place, or several, for some of what is made: {places}")

    def fill(found: re.Match[str]) -> str:
        return f"<!-- made: {found['name']} -->\n\n```{found['language']}\n{texts[found['name']]}```"

    def lay(found: re.Match[str]) -> str:
        return found["begin"] + rows[found["name"]] + found["end"]

    return {page: _TABLE.sub(lay, _MADE.sub(fill, text)) for page, text in pages.items()}


def read() -> dict[Path, str]:
    """Return the text of each page."""
    return {page: page.read_text(encoding="utf-8") for page in PAGES}


def _policy(statements: list[Statement]) -> str:
    return json.dumps(document(statements), indent=2) + "\n"


def blocks(language: str, *pages: Path) -> Iterator[Block]:
    """Yield the examples in a language, of these pages or of all, without their indentation."""
    for page in pages or PAGES:
        text = page.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(text):
            indent, name, inside = match.groups()
            if name == language:
                line = text.count("\n", 0, match.start()) + 1
                yield Block(name, re.sub(rf"^{indent}", "", inside, flags=re.MULTILINE), page, line)


def rows(page: str, name: str) -> list[list[str]]:
    """Return the cells of the table on a page of docs/ that a comment with this name is before, without the head."""
    after = (DOCS / page).read_text(encoding="utf-8").partition(f"<!-- {name}: ")[2]
    if not after:
        raise ValueError(f"{page} has no table of {name}")
    lines = after.partition("\n\n")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in _BAR.split(line.strip())[1:-1]] for line in lines]


def _row(variable: Variable) -> str:
    name = f"`{variable.name}`" + (" (*)" if variable.required else "")
    default = variable.shown_default or (f"`{variable.default}`" if variable.default else "")
    return f"| {name} | {variable.meaning}" + (f" Default: {default}." if default else "") + " |"


if __name__ == "__main__":
    fleet_schema.SCHEMA.write_text(fleet_schema.text(), encoding="utf-8")
    for path, text in filled(read()).items():
        path.write_text(text, encoding="utf-8")
    TROUBLESHOOTING.write_text(listed(TROUBLESHOOTING.read_text(encoding="utf-8")), encoding="utf-8")
    METADATA.write_text(metadata(METADATA.read_text(encoding="utf-8")), encoding="utf-8")
