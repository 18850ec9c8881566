"""Bitbucket Cloud's API as far as a writer of pipeline variables needs it, with its known moods."""

from __future__ import annotations

from sandbox.bitbucket.auth import Kind, Token
from sandbox.bitbucket.service import Bitbucket
from sandbox.bitbucket.state import Environment, Pipeline, Project, Repository, Scope, Variable, Workspace

__all__ = [
    "Bitbucket",
    "Environment",
    "Kind",
    "Pipeline",
    "Project",
    "Repository",
    "Scope",
    "Token",
    "Variable",
    "Workspace",
]
