"""What `rotate` and `status` need to know."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta

from pipe import policies
from pipe.errors import Refused
from pipe.reading import Reader
from pipe.settings.arns import arn_parts
from pipe.settings.aws import AwsAccess, Keys, read_aws
from pipe.settings.bitbucket import Targets, read_targets
from pipe.values import Identity, Rotation

_SECRET_ARN = ("arn", "partition", "secretsmanager", "region", "account", "secret", "name")


@dataclass(frozen=True)
class RotateJob:
    """A rotation, where it is published, and how AWS is asked."""

    targets: Targets
    aws: AwsAccess
    rotation: Rotation

    def rotation_of(self, caller: Identity) -> Rotation:
        """Return the rotation with its user filled in: by default the one whom the keys belong to.

        Raises Refused where there is none, or where the secret is another account's.
        """
        problems = []
        if not self.rotation.user and not caller.user:
            problems.append("IAM_USER_NAME: needed, since these credentials are no IAM user's own.")
        owner = arn_parts(self.rotation.secret_id)[4:5]
        if owner and owner != [caller.account]:
            problems.append(f"SECRET_ID: is in account {owner[0]}, and these credentials belong to {caller.account}.")
        if problems:
            raise Refused(problems)
        return replace(self.rotation, user=self.rotation.user or caller.user)


def read_rotate_job(reader: Reader, *, only_look: bool) -> RotateJob:
    """Return what is rotated, or with `only_look` looked at."""
    rotation = _rotation(reader)
    allowed = policies.status if only_look else policies.rotate
    aws = read_aws(reader, lambda home: allowed(home, rotation.user, rotation.secret_id))
    job = RotateJob(read_targets(reader), aws, rotation)
    if len(job.targets.places) > 1 and not rotation.secret_id and not reader.complained("SECRET_ID"):
        reader.problem(
            "SECRET_ID: needed for more than one target; a secret that is only in secured variables can never be read "
            "again."
        )
    _check_arn(reader, rotation.secret_id, aws.region)
    way = aws.way
    if isinstance(way, Keys) and way.token and not way.role_arn and not rotation.user:
        reader.problem("IAM_USER_NAME: needed with temporary credentials; they do not say whose key is to be rotated.")
    if aws.role_arn and not rotation.user:
        reader.problem("IAM_USER_NAME: needed with a role; a role has no access keys of its own.")
    return job


def _check_arn(reader: Reader, secret_id: str, region: str) -> None:
    """Note where a secret's ARN cannot be found in the run's region; a name has nothing to check."""
    parts = arn_parts(secret_id)
    if not parts:
        return
    if len(parts) != len(_SECRET_ARN) or not re.fullmatch(r".+-[A-Za-z0-9]{6}", parts[-1]):
        reader.problem("SECRET_ID: an ARN ends with “-” and six characters that AWS has chosen; or give the name.")
    elif parts[3] != region:
        reader.problem(f"SECRET_ID: is in {parts[3]}, and AWS_DEFAULT_REGION is {region}; a run has one region.")


def _rotation(reader: Reader) -> Rotation:
    days = [reader.days(name) for name in ("ROTATE_AFTER_DAYS", "DEACTIVATE_AFTER_DAYS", "DELETE_AFTER_DAYS")]
    given = [number for number in days if number is not None]
    if len(given) == len(days) and not given[0] < given[1] < given[2]:
        reader.problem(
            "ROTATE_AFTER_DAYS, DEACTIVATE_AFTER_DAYS, DELETE_AFTER_DAYS: each must be more than the one before."
        )
    rotate, deactivate, delete = (timedelta(days=number or 0) for number in days)
    names = {
        name: reader.variable_name(name)
        for name in ("ACCESS_KEY_ID_VARIABLE", "SECRET_ACCESS_KEY_VARIABLE", "CREDENTIALS_VARIABLE", "STATE_VARIABLE")
    }
    reader.distinct(names)
    return Rotation(
        user=reader.matching("IAM_USER_NAME", r"[\w+=,.@-]{1,64}", "the name of an IAM user"),
        secret_id=reader.matching("SECRET_ID", r"[\w/+=.@:-]{1,2048}", "a secret's name or ARN"),
        rotate_after=rotate,
        deactivate_after=deactivate,
        delete_after=delete,
        id_variable=names["ACCESS_KEY_ID_VARIABLE"],
        secret_variable=names["SECRET_ACCESS_KEY_VARIABLE"],
        credentials_variable=names["CREDENTIALS_VARIABLE"],
        state_variable=names["STATE_VARIABLE"],
        force=reader.switch("FORCE"),
        revoke=reader.matching(
            "REVOKE", r"[A-Z0-9]{4,128}|(?i:true|false)", "an access key's id, or its last letters, at least four"
        ).upper(),
        deactivate_if_used=reader.choice("IF_STILL_USED", ("postpone", "deactivate")) == "deactivate",
    )
