"""The README and docs/: every link and anchor leads somewhere, every shell block is one, and the README is short."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from test.messages import listed
from test.readme import PAGES, README, TROUBLESHOOTING, Block, blocks
from test.support import ROOT

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCED = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

# The headings that Atlassian's readers look for.
ATLASSIAN = ("YAML Definition", "Variables", "Details", "Prerequisites", "Examples", "Support")


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Return what a link to a part of the page may name, as renderers make it of the headings."""
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in HEADING.findall(prose(page))}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(CODE.sub("", prose(page))):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_heading_stands_twice(page: Path) -> None:
    titles = HEADING.findall(prose(page))
    assert len(titles) == len(set(titles))


def test_every_page_is_linked_from_the_readme_or_a_page_that_is() -> None:
    reached, waiting = {README}, [README]
    while waiting:
        page = waiting.pop()
        for link in LINK.findall(prose(page)):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target in PAGES and target not in reached:
                reached.add(target)
                waiting.append(target)
    assert set(PAGES) == reached


@pytest.mark.parametrize("block", list(blocks("sh")), ids=lambda block: block.place)
def test_every_shell_block_is_one(block: Block) -> None:
    checked = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_every_json_block_is_json() -> None:
    for block in blocks("json"):
        json.loads(block.text)


def test_the_readme_is_short_and_has_the_headings_that_readers_of_pipes_know() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 250
    assert [title for title in HEADING.findall(prose(README)) if title in ATLASSIAN] == list(ATLASSIAN)


def test_the_first_commands_of_the_readme_are_those_that_try_it() -> None:
    first = next(blocks("sh", README)).text
    assert re.findall(r"^make (\w+)", first, re.MULTILINE) == ["demo", "test"]


def test_every_message_that_a_run_can_end_with_has_a_heading_in_troubleshooting() -> None:
    text = TROUBLESHOOTING.read_text(encoding="utf-8")
    assert listed(text) == text, "run `make docs`"
    for part in text.split("\n### ")[1:]:
        assert "\n- `" in part, f"no message is left of {part.splitlines()[0]}"
        assert part.partition("<!-- end of messages -->")[2].strip(), f"{part.splitlines()[0]} says not what to do"
