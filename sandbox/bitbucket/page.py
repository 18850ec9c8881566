"""The page that shows the variables as Bitbucket's settings would show them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flask import render_template_string

from sandbox.bitbucket.state import Scope, Store, Variable

_TEMPLATE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Panel:
    """One list of variables with its heading."""

    title: str
    kind: str
    variables: list[Variable]


@dataclass(frozen=True)
class Section:
    """The panels of one workspace or repository."""

    title: str
    panels: list[Panel]


def settings(store: Store) -> str:
    """Return the page."""
    return render_template_string(_TEMPLATE, sections=list(_sections(store)))


def _sections(store: Store) -> Iterator[Section]:
    for workspace in store.workspaces.values():
        yield Section(workspace.slug, [_panel(store, workspace, "Workspace variables")])
        for repository in store.repositories_of(workspace):
            deployments = [
                _panel(store, environment, environment.name, environment.kind)
                for environment in store.environments_of(repository)
            ]
            own = _panel(store, repository, "Repository variables")
            yield Section(repository.full_name, [*deployments, own])


def _panel(store: Store, scope: Scope, title: str, kind: str = "") -> Panel:
    return Panel(title, kind, sorted(store.shelf(scope).all(), key=lambda variable: variable.key))
