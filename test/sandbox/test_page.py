"""The sandbox's page, as a browser gets it."""

from __future__ import annotations

import html
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import quote

import pytest
import requests

from sandbox.control import Control
from sandbox.page import Look, page
from sandbox.snapshot import changes, snapshot
from sandbox.vault import Vault
from sandbox.world import USER, Company, World
from test.support import run_bare


class Browser:
    """What a browser sends and shows."""

    def __init__(self) -> None:
        self.world = World(lag=0).start(front=Control)
        self.company = self.world.seed()
        self.url = f"{self.world.bitbucket_url}/_sandbox/"
        self.session = requests.Session()
        self.session.headers["Accept"] = "text/html,application/xhtml+xml"

    def look(self, query: str = "") -> str:
        return html.unescape(self.session.get(self.url + query, timeout=10).text)

    def send(self, action: str, **form: str) -> requests.Response:
        return self.session.post(self.url + action, data=form, timeout=10, allow_redirects=False)


@pytest.fixture
def browser() -> Iterator[Browser]:
    browser = Browser()
    try:
        yield browser
    finally:
        browser.session.close()
        browser.world.stop()


class Outline(HTMLParser):
    """The headings, ids, references and controls of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.ids: list[str] = []
        self.needed: list[str] = []
        self.fields: list[dict[str, str | None]] = []
        self.outside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in {"h1", "h2", "h3"}:
            self.headings.append(tag)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        self.needed += [str(given[name]) for name in ("for", "aria-labelledby") if given.get(name)]
        if tag == "input":
            self.fields.append(given)
        links = [str(given[name]) for name in ("src", "href", "action") if given.get(name)]
        self.outside += [tag] * (tag in {"script", "iframe", "object"}) + [link for link in links if "//" in link]


def secrets_of(company: Company, world: World) -> list[str]:
    values = [value for each in company.secrets.values() for value in each.values()]
    return [*values, company.token.secret, *(key.secret for user in world.aws.users() for key in world.aws.keys(user))]


def test_no_secret_is_in_the_page_but_the_one_that_was_unfolded(browser: Browser) -> None:
    world, company = browser.world, browser.company
    world.aws.put_secret("ci/by-hand", "a-body-to-hide", "0" * 32)
    assert not [secret for secret in [*secrets_of(company, world), "a-body-to-hide"] if secret in browser.look()]
    for name, secret in (
        (f"IAM user {USER}: key {company.old_key.access_key_id}", company.old_key.secret_access_key),
        ("Secrets Manager: ci/by-hand, version " + "0" * 32, "a-body-to-hide"),
    ):
        shown = browser.look(f"?show={quote(name)}")
        assert [each for each in [*secrets_of(company, world), "a-body-to-hide"] if each in shown] == [secret]
    unfolded = browser.look(f"?show={quote('acme/shop Staging: AWS_SECRET_ACCESS_KEY')}")
    assert company.old_key.secret_access_key in unfolded


def test_forms_steer_the_world_and_come_back_to_the_page(browser: Browser) -> None:
    before = browser.world.clock.now()
    assert ">95 days<" in browser.look()
    moved = browser.send("clock", days="90")
    assert (moved.status_code, moved.headers["Location"]) == (303, "/_sandbox/#clock")
    assert (browser.world.clock.now() - before).days == 90
    assert ">185 days<" in browser.look()
    assert 'aria-checked="false" aria-labelledby="mood-1"' in browser.look()
    browser.send("moods", mood="put=replace")
    assert list(browser.world.moods) == ["lag=0", "put=replace"]
    assert 'aria-checked="true" aria-labelledby="mood-1"' in browser.look()
    assert 'value="put=default"' in browser.look()
    refused = browser.send("moods", mood="put=merge")
    assert (refused.status_code, refused.headers["Content-Type"]) == (400, "text/html; charset=utf-8")
    assert '<p class="problem" role="alert">there is no mood put=merge' in refused.text
    browser.send("reset")
    assert browser.company.old_key.access_key_id not in browser.look()


def test_it_tells_who_signs_and_what_has_changed_since_it_was_different(browser: Browser) -> None:
    world, old = browser.world, browser.company.old_key
    assert "Nothing yet. Run the pipe, then refresh." in browser.look()
    staging = browser.company.environments["Staging"]
    new = world.aws.add_key(USER, 0)
    world.hand_over(staging, new)
    world.bitbucket.remove_variable(browser.company.environments["Production"], "LOG_LEVEL")
    world.bitbucket.set_variable(
        browser.company.environments["Production"], "AWS_SECRET_ACCESS_KEY", "another", secured=True
    )
    for _ in range(2):
        shown = browser.look()
        for name, words in (
            (f"IAM user {USER}: key {new.access_key_id}", "new: Active"),
            ("acme/shop Staging: AWS_ACCESS_KEY_ID", f"{old.access_key_id} → {new.access_key_id}"),
            ("acme/shop Staging: AWS_SECRET_ACCESS_KEY", "another value"),
            ("acme/shop Production: LOG_LEVEL", "gone; it was: info"),
        ):
            assert f"<code>{name}</code>: <mark>{words}</mark>" in shown
        assert 'acme/shop Staging: <span class="good">✔ signs' in shown
        assert 'acme/shop Production: <span class="bad">✖ does not sign' in shown


def test_what_there_was_before_the_first_run_is_known_without_a_look(browser: Browser) -> None:
    environments = f"{browser.world.bitbucket_url}/2.0/repositories/acme/shop/environments"
    browser.session.get(environments, timeout=10)
    browser.world.aws.add_user("another")
    assert "<code>IAM user another</code>: <mark>new: no access key</mark>" in browser.look()


def test_what_runs_leave_is_said_in_words(vaulted: World) -> None:
    company = vaulted.seed()
    before = snapshot(vaulted)
    rotation = {**vaulted.variables(company), "SECRET_ID": "", "TARGETS": "deployment:staging"}
    for variables in (rotation, vaulted.pull_variables(company), vaulted.replicate_variables(company)):
        assert run_bare(variables).returncode == 0
    after = snapshot(vaulted)
    found = dict(changes(before, after))
    state = found["acme/shop Staging: KEYTURN_STATE"]
    assert found["acme/shop Staging: KEYTURN_AWS_ACCESS_KEY_ID"] == f"new: {USER}'s key"
    assert "pulled by “secret/ci/** *”: 18 variables of 12 secrets" in state
    assert len([name for name in found if name.startswith("Secrets Manager: vault/ci/")]) == 12
    text = html.unescape(page(vaulted, Look(vaulted.clock.now(), after)))
    assert not [secret for secret in secrets_of(company, vaulted) if secret in text]
    assert all(path in text for path in company.secrets)


def test_a_mount_that_somebody_has_made_is_shown_and_a_sealed_vault_is_told(vaulted: World) -> None:
    vaulted.seed()
    assert vaulted.vault is not None
    vaulted.vault.ask("POST", "sys/mounts/team", {"type": "kv", "options": {"version": "1"}})
    vaulted.vault.ask("POST", "team/doors/front", {"pin": "12345"})
    [row] = [row for row in snapshot(vaulted)[-1].rows if row.name == "OpenBao: team/doors/front"]
    assert (row.cells, row.secret) == (("team/doors/front", "no versions", "pin"), '{"pin": "12345"}')
    seeded, vaulted.vault = vaulted.vault, Vault()
    vaulted.vault.start()
    try:
        vaulted.vault.ask("PUT", "sys/seal")
        assert "Vault is sealed" in page(vaulted, Look(vaulted.clock.now(), snapshot(vaulted)))
    finally:
        vaulted.vault.stop()
        vaulted.vault = seeded


def test_the_page_is_whole_and_loads_nothing_from_elsewhere(vaulted: World) -> None:
    vaulted.seed()
    outline = Outline(page(vaulted, Look(vaulted.clock.now(), snapshot(vaulted))))
    assert outline.headings[0] == "h1"
    assert set(outline.headings[1:]) == {"h2"}
    assert len(outline.ids) == len(set(outline.ids))
    assert set(outline.needed) <= set(outline.ids)
    assert outline.fields
    assert all(field.get("id") in outline.needed for field in outline.fields)
    assert outline.outside == []
