"""Where the result is written."""

from __future__ import annotations

from pipe.reading import Reader
from pipe.values import Target, TargetKind

NAME = "TARGETS"


def read_places(reader: Reader) -> tuple[Target, ...]:
    """Return where to write; by default the step's own deployment environment."""
    workspace, repository = reader.plain("BITBUCKET_WORKSPACE"), reader.plain("BITBUCKET_REPO_SLUG")
    listed = reader.listed(NAME)
    if not listed and not reader.complained(NAME):
        own = reader.plain("BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID") or reader.plain("BITBUCKET_DEPLOYMENT_ENVIRONMENT")
        if not own:
            reader.missing(
                NAME,
                "needed, since the step has no deployment environment of its own",
                "Give e.g. deployment:production, or `deployment: production` to the step.",
                stands="deployment:<environment>",
            )
            return ()
        listed = (("deployment", "", "", own),)
    targets = [_target(reader, item, workspace, repository) for item in listed]
    return tuple(dict.fromkeys(target for target in targets if target))


def _target(reader: Reader, item: tuple[str, str, str, str], workspace: str, repository: str) -> Target | None:
    kind, workspace, repository, environment = item[0], item[1] or workspace, item[2] or repository, item[3]
    if kind == "workspace":
        repository = ""
    if workspace and (repository or kind == "workspace"):
        return Target(TargetKind(kind), workspace, repository, environment)
    text = f"{kind}:{environment}" if environment else kind
    wanted = "workspace" if kind == "workspace" else "workspace/repository"
    reader.problem(
        NAME,
        f"“{text}” does not say which {wanted.rpartition('/')[2]}",
        f"Write {wanted}:{text}, or give BITBUCKET_WORKSPACE and BITBUCKET_REPO_SLUG.",
    )
    return None
