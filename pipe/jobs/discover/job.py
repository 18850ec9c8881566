"""The job discover: where it looks, and as whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipe.access.aws import AwsAccess, read_aws, wants_anywhere
from pipe.access.bitbucket import BitbucketAccess, read_bitbucket
from pipe.jobs.fleet.patterns import Misread, Pattern, read_pattern
from pipe.permissions import allowing, needed_to_discover
from pipe.retry import Deadline
from pipe.settings.face import items_of
from pipe.settings.reader import Reader
from pipe.settings.variables import BY_NAME
from pipe.values import Run

if TYPE_CHECKING:
    from pipe.jobs.discover.action import Discovery

_EXAMPLE = "Give e.g. acme/* or project:PLAT/*."


@dataclass(frozen=True)
class DiscoverJob:
    """What is looked through; `aws` is None where nobody is asked whose keys they are."""

    scope: tuple[Pattern, ...]
    access: BitbucketAccess
    aws: AwsAccess | None
    report_dir: str

    def start(self, run: Run, deadline: Deadline) -> Discovery:
        """Return what looks; nothing has been asked yet."""
        from pipe.jobs.discover.action import Discovery  # noqa: PLC0415 - refused settings load nothing that runs

        return Discovery(self, run, deadline)


def read_job(reader: Reader) -> DiscoverJob:
    """Return what is looked through."""
    scope = []
    for text in items_of(reader.environ, BY_NAME["TARGETS"]):
        try:
            scope.append(read_pattern(text, reader.plain("BITBUCKET_WORKSPACE")))
        except Misread as wrong:
            reader.problem("TARGETS", f"{wrong}, not “{text}”", _EXAMPLE)
    if not scope and not reader.complained("TARGETS"):
        reader.missing("TARGETS", "needed: which repositories to look through", _EXAMPLE)
    some = wants_anywhere(reader) or any(map(reader.is_given, ("AWS_OIDC_ROLE_ARN", "AWS_ACCESS_KEY_ID")))
    aws = read_aws(reader, lambda home: allowing(needed_to_discover(home))) if some else None
    return DiscoverJob(tuple(scope), read_bitbucket(reader), aws, reader.text("REPORT_DIR"))
