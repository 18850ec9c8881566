"""Where a run shows itself beside its commit."""

from __future__ import annotations

from urllib.parse import urlsplit

from pipe.clients.insights import PROXIES, CodeInsights
from pipe.retry import Deadline
from pipe.values import Build


def code_insights(build: Build, commit: str, api: str, deadline: Deadline) -> CodeInsights:
    """Return the reports on the step's commit; `api` is another Bitbucket than the real one, if any is given."""
    # One on this machine, which is the sandbox, is its own proxy.
    at = urlsplit(api)
    proxies = [f"http://{at.netloc}"] if at.scheme == "http" and at.netloc else PROXIES
    return CodeInsights(build.repository, commit, deadline, proxies)
