"""The page of a run: what is on it, in which order, and that it needs nothing but itself."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from pipe.overview import Overview
from pipe.page import LARGEST, page
from pipe.redact import learn
from pipe.report import Ended
from pipe.values import Build
from test.page.samples import AT, MANY, key, one, samples

BUILD = Build("status", "acme/shop", "17")


class Elements(HTMLParser):
    """All elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_a_thousand_repositories_fit_and_nothing_is_fetched() -> None:
    for name, text in samples(MANY).items():
        assert len(text.encode()) <= LARGEST, name
        elements = Elements(text).found
        assert not {"script", "img", "link", "iframe", "form", "object"} & {tag for tag, _ in elements}
        assert not any(attribute.startswith("on") for _, attributes in elements for attribute in attributes)
        linked = [value for _, each in elements for at, value in each.items() if at in ("href", "src")]
        assert linked == ["https://bitbucket.org/acme/shop/pipelines/results/17"]
        assert "url(" not in text
        assert "@import" not in text


def test_every_key_is_there_and_what_is_overdue_comes_first() -> None:
    text = samples(MANY)["keys"]
    rows = re.findall(r"<summary><span>(\S+) ", text)
    assert len(set(rows)) == MANY
    assert sorted(rows[:4]) == [f"ci-service-{number:04}" for number in (3, 253, 503, 753)]
    assert text.index("What needs a person") < text.index('id="keys"')


def test_the_mark_of_today_is_where_the_age_is() -> None:
    lives = (key("bot", "…AAAA", 0), key("bot", "…BBBB", 55), key("bot", "…CCCC", 110), key("bot", "…DDDD", 900))
    text = page(Ended(0, "well", seen=Overview(lives)), BUILD, AT)
    assert re.findall(r"left:(\d+)%", text) == ["100", "87", "43", "0"]


def test_no_line_ends_within_a_date_or_a_key_s_name() -> None:
    text = page(one(), BUILD, AT)
    assert "…\u2060NX2D deactivates on 2026-\u206012-\u206009" in text
    # A name stays one that can be copied.
    assert "svc-12-34 " in page(Ended(0, "well", seen=Overview((key("svc-12-34", "…AAAA", 3),))), BUILD, AT)


def numbers(ended: Ended) -> list[tuple[str, str]]:
    return re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", page(ended, BUILD, AT))


def test_four_numbers() -> None:
    assert numbers(one()) == [
        ("days: the oldest active key", "95"), ("overdue", "0"), ("changed by this run", "3"), ("targets", "2"),
    ]  # fmt: skip
    young = Overview((key("bot", "…AAAA", 1, "acme/shop Production"),))
    assert numbers(Ended(0, "well", seen=young))[::3] == [("day: the oldest active key", "1"), ("target", "1")]


def test_a_secret_hides_what_it_stands_in_and_nothing_else() -> None:
    learn("hunter2-the-secret")
    # A value that is a word of the page's own code must not hide the page.
    learn("summary")
    lives = (key("bot hunter2-the-secret", "…AAAA", 3), key("other", "…BBBB", 3))
    text = page(Ended(1, "it is hunter2-the-secret", seen=Overview(lives)), BUILD, AT)
    assert "hunter2" not in text
    assert text.count("(hidden: it holds a secret value)") == 2
    assert "other …\u2060BBBB" in text


def test_nothing_that_is_shown_is_taken_for_html() -> None:
    odd = "<b>&\"'"
    seen = Overview((key(odd, odd, 3, odd)._replace(state=odd, next=odd),), problems=(odd,), unseen=(odd,))
    text = page(Ended(1, odd, report={"failed": [], "problems": [odd]}, changes=(odd,), seen=seen), BUILD, AT)
    assert "<b>&" not in text
    assert text.count("&lt;b&gt;&amp;") == 9


@pytest.mark.parametrize("ended", [Ended(0, "done"), Ended(1, "failed", report={"failed": []}, seen=Overview())])
def test_a_run_that_has_seen_nothing_has_a_page_too(ended: Ended) -> None:
    assert "✔ done" in page(ended, BUILD, AT) or "✖ failed" in page(ended, BUILD, AT)
