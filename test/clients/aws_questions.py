"""Each request that Keyturn makes of AWS, by its operation's name, as a question that its clients ask."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from pipe.access.notify import publish
from pipe.clients.aws import Aws, Endpoint, Terms
from pipe.clients.aws_roles import by_assumed_role, by_web_identity
from pipe.clients.iam import AccessKeys
from pipe.clients.secret_versions import SecretVersions
from pipe.clients.secretsmanager import Bodies, SecretsManager
from pipe.errors import KeyturnError
from pipe.redact import Secret
from pipe.retry import Deadline
from pipe.values import KeyPair
from sandbox.aws.keys import iam
from sandbox.world import REGION, USER, Company, World

NAME = "ci/db"

# Those that are never made a second time, and how often the others are, at the most.
ONCE = "iam.CreateAccessKey"
ATTEMPTS = 6
FEWER = {"sns.Publish": 3}

OPERATIONS = (
    "sts.GetCallerIdentity", "sts.AssumeRole", "sts.AssumeRoleWithWebIdentity",
    "iam.ListAccessKeys", ONCE, "iam.UpdateAccessKey", "iam.DeleteAccessKey", "iam.GetAccessKeyLastUsed",
    "secretsmanager.DescribeSecret", "secretsmanager.ListSecrets", "secretsmanager.ListSecretVersionIds",
    "secretsmanager.GetSecretValue", "secretsmanager.BatchGetSecretValue", "secretsmanager.CreateSecret",
    "secretsmanager.PutSecretValue", "secretsmanager.UpdateSecretVersionStage", "secretsmanager.TagResource",
    "secretsmanager.DeleteSecret", "secretsmanager.RestoreSecret", "sns.Publish",
)  # fmt: skip


class Questions:
    """Asks each of them of a company's AWS, or of another address, so that it can be asked again and again."""

    def __init__(self, world: World, company: Company, url: str = "", budget: float = 60.0) -> None:
        self._world = world
        self._company = company
        self._endpoint = Endpoint(REGION, url or world.aws_url)
        self._deadline = Deadline(budget, pace=0.001)
        self._role = world.aws.add_role(f"role-{uuid4()}")
        self._topic = world.aws.add_topic("notices")
        self._version = world.aws.put_secret(NAME, '{"user": "shop"}')
        world.aws.put_secret("ci/another", "another")
        self.aws = self._signed()
        secrets, versions = SecretsManager(self.aws), SecretVersions(self.aws, NAME)
        keys = AccessKeys(self.aws, USER)
        self._by_name: dict[str, Callable[[], object]] = {
            "sts.GetCallerIdentity": lambda: self._signed().identity(),
            "sts.AssumeRole": lambda: by_assumed_role(self.aws, self._role, Terms("a-test")),
            "sts.AssumeRoleWithWebIdentity": self._by_token,
            "iam.ListAccessKeys": keys.list,
            ONCE: keys.create,
            "iam.UpdateAccessKey": lambda: keys.deactivate(company.old_key.access_key_id),
            "iam.DeleteAccessKey": lambda: keys.delete("AKIAXXXXXXXXXXXXXXXX"),
            "iam.GetAccessKeyLastUsed": lambda: keys.last_use(company.old_key.access_key_id),
            "secretsmanager.DescribeSecret": versions.describe,
            "secretsmanager.ListSecrets": lambda: secrets.listed([]),
            "secretsmanager.ListSecretVersionIds": versions.all_versions,
            "secretsmanager.GetSecretValue": lambda: secrets.read(NAME),
            "secretsmanager.BatchGetSecretValue": lambda: _all_of(secrets.read_many([NAME, "ci/another"])),
            "secretsmanager.CreateSecret": lambda: secrets.create(f"ci/{uuid4()}", Secret("a body"), str(uuid4()), {}),
            "secretsmanager.PutSecretValue": lambda: versions.put(str(uuid4()), f"{uuid4()}", "AWSPENDING"),
            "secretsmanager.UpdateSecretVersionStage": lambda: versions.move(
                "a-label", to=self._version, away_from=None
            ),
            "secretsmanager.TagResource": lambda: secrets.tag(NAME, {"a": "1"}),
            "secretsmanager.DeleteSecret": lambda: secrets.delete("ci/another", 7),
            "secretsmanager.RestoreSecret": lambda: secrets.restore(NAME),
            "sns.Publish": lambda: publish(self.aws, self._topic, "a subject", "a body"),
        }

    def be_impatient(self) -> None:
        """Ask nothing a second time from now on."""
        self._deadline.stop()

    def ask(self, operation: str) -> object:
        """Ask one; what it needs is there."""
        if operation == ONCE:
            for key in self._world.aws.keys(USER)[1:]:
                iam().delete_access_key(key.id, USER)
        return self._by_name[operation]()

    def _signed(self) -> Aws:
        pair = KeyPair(self._company.admin.access_key_id, Secret(self._company.admin.secret_access_key))
        return Aws.with_keys(pair, None, self._endpoint, self._deadline)

    def _by_token(self) -> object:
        token = Secret(self._company.oidc_token)
        return by_web_identity(self._company.role_arn, token, Terms("a-test"), self._endpoint, self._deadline)


def _all_of(read: Bodies) -> Bodies:
    """Return what was read; raises the first error that came instead."""
    for each in read.values():
        if isinstance(each, KeyturnError):
            raise each
    return read
