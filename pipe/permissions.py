"""The one list of permissions: what AWS has to allow each action, the trust of roles, and Bitbucket's scopes.

A permission is added here and nowhere else; jobs and sources name the function that tells theirs.

The docs, `ACTION: setup`, `ACTION: doctor` and `AWS_SESSION_POLICY: minimal` read it; tests hold `infra/` against it.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from pipe.selectors import Selector

Statement = dict[str, Any]
Policy = dict[str, Any]

# What Secrets Manager puts behind a secret's name in its ARN: a hyphen and six characters.
SUFFIX = "-??????"
# Nobody and nothing is called so.
NOBODY = "keyturn-doctor-nobody"

# Characters without blanks that IAM takes: of all policies that are written into a role, and of one that stands apart.
INLINE, MANAGED = 10_240, 6_144
# Policies that stand apart, for one role; AWS raises that to 25 where it is asked to.
ATTACHED = 10

# No name is known yet.
NOTHING: Mapping[str, str] = {}

# The scopes that a token of Bitbucket needs: as access tokens and OAuth consumers have them, and as API tokens do.
READ_SCOPES, WRITE_SCOPES = ("pipeline", "read:pipeline:bitbucket"), ("pipeline:variable", "admin:pipeline:bitbucket")

# Of the classic scopes, those with a colon write, and so do these.
_ALSO_WRITE = frozenset({"webhook", "wiki"})


class Home(NamedTuple):
    """Where an account's things are: the partition (`aws`), the account's id and the region."""

    partition: str
    account: str
    region: str

    @classmethod
    def of(cls, arn: str, region: str) -> "Home":
        """Return the home that an ARN of IAM tells, in a region."""
        _, partition, _, _, account, _ = arn.split(":", 5)
        return cls(partition, account, region)

    def iam(self, resource: str) -> str:
        """Return the ARN of something in IAM."""
        return f"arn:{self.partition}:iam::{self.account}:{resource}"

    def secret(self, name: str) -> list[str]:
        """Return the ARN patterns of the secrets that a name, an ARN or a pattern of names is for."""
        if name.startswith("arn:"):
            # Whether an ARN is whole cannot be told from a name that ends like one.
            return [*([name] if re.search(r"-[A-Za-z0-9]{6}$", name) else []), name + SUFFIX]
        pattern = name if name.endswith("*") else name + SUFFIX
        return [f"{self.root('secretsmanager')}:secret:{pattern}"]

    def root(self, service: str) -> str:
        """Return what the ARNs of all things of a regional service begin with."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}"


class Permission(NamedTuple):
    """One action of AWS that has to be allowed, on which ARN patterns, and on which condition, if any.

    `probe` is the name that a harmless read can be tried on, `*` for a list; it is empty where only a write would tell,
    or no name is known yet. `without` says what still works without the permission; it is empty where the job fails.
    """

    action: str
    resources: tuple[str, ...] = ("*",)
    condition: Mapping[str, Mapping[str, str | list[str]]] | None = None
    probe: str = ""
    without: str = ""

    @property
    def reads(self) -> bool:
        """Whether the action changes nothing."""
        return self.action.partition(":")[2].startswith(("BatchGet", "Describe", "Get", "List"))


Permissions = tuple[Permission, ...]


def document(statements: Iterable[Statement]) -> Policy:
    """Return a policy that holds these statements, or one that allows nothing of note where there are none."""
    return {"Version": "2012-10-17", "Statement": [*statements] or allowing([Permission("sts:GetCallerIdentity")])}


def compact(policy: Policy) -> str:
    """Return a policy as text without blanks, as STS counts it."""
    return json.dumps(policy, separators=(",", ":"))


def needed_to_rotate(home: Home, user: str, secret: str, found: Mapping[str, str] = NOTHING) -> Permissions:
    """Return what a rotation needs; `secret` is SECRET_ID, empty where there is none.

    `found` has the id of an access key of the user by the user's name, where one is known.
    """
    # A name is its account's only one of its kind, whatever path is before it.
    users = (home.iam(f"user/{user}"), home.iam(f"user/*/{user}"))
    keys = (
        *_on(users, user, "iam", "ListAccessKeys", "CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"),
        Permission(
            "iam:GetAccessKeyLastUsed", users, probe=found.get(user, ""),
            without="keys are made and published, but no old one is switched off, since nobody can tell whether it is "
            "still used",
        ),
    )  # fmt: skip
    if not secret:
        return keys
    reads = ("DescribeSecret", "ListSecretVersionIds", "GetSecretValue")
    writes = ("PutSecretValue", "UpdateSecretVersionStage")
    return (*keys, *_on(tuple(home.secret(secret)), secret, "secretsmanager", "CreateSecret", *reads, *writes))


def _on(resources: tuple[str, ...], name: str, service: str, *actions: str) -> Permissions:
    """Return the permissions for a service's actions on the same resources; those that read can be tried on a name."""
    needed = (Permission(f"{service}:{each}", resources) for each in actions)
    return tuple(each._replace(probe=name if each.reads else "") for each in needed)


def needed_to_discover(home: Home) -> Permissions:
    """Return what it takes to tell whose access keys are found, of whichever user."""
    users = (home.iam("user/*"),)
    return (Permission("iam:GetAccessKeyLastUsed", users), Permission("iam:ListAccessKeys", users))


def needed_to_pull(home: Home, selectors: Iterable[Selector], found: Mapping[str, str] = NOTHING) -> Permissions:
    """Return what a pull from Secrets Manager needs; its selectors are Secrets Manager's.

    `found` has the name of a secret by the path of the selector that finds it, where one is known.
    """
    patterns: dict[str, None] = {}
    tags: dict[str, str] = {}
    named = ""
    for each in selectors:
        name = found.get(each.path, "")
        if each.tagged:
            tags.setdefault(each.path, name)
        else:
            patterns |= dict.fromkeys(home.secret(f"{each.path}/*" if each.recursive else each.path))
            named = named or name
    needed = [
        Permission("secretsmanager:ListSecrets", probe="*"),
        Permission(
            "secretsmanager:BatchGetSecretValue", probe=NOBODY, without="secrets are read one by one, by more requests"
        ),
    ]
    if patterns:
        needed += _reads(tuple(patterns), named)
    for tag, name in tags.items():
        key, _, value = tag.partition("=")
        needed += _reads(tuple(home.secret("*")), name, {"StringEquals": {f"secretsmanager:ResourceTag/{key}": value}})
    return tuple(needed)


def _reads(arns: tuple[str, ...], name: str, condition: Mapping[str, Mapping[str, str]] | None = None) -> Permissions:
    return (
        Permission("secretsmanager:GetSecretValue", arns, condition, probe=name),
        Permission(
            "secretsmanager:DescribeSecret", arns, condition, probe=name,
            without="all is pulled, but a secret that was deleted a moment ago, and is still listed, fails the run",
        ),
    )  # fmt: skip


def needed_to_fetch(home: Home, name: str) -> Permissions:
    """Return what reading one secret of Secrets Manager needs, by its name or ARN."""
    return (Permission("secretsmanager:GetSecretValue", tuple(home.secret(name))),)


def needed_to_pull_parameters(
    home: Home, selectors: Iterable[Selector], found: Mapping[str, str] = NOTHING
) -> Permissions:
    """Return what a pull from Parameter Store needs; AWS knows the list only for all parameters, and shows no value.

    `found` is as for `needed_to_pull`.
    """
    wanted = list(selectors)
    arns = dict.fromkeys(_parameter(home, each) for each in wanted)
    name = next((found[each.path] for each in wanted if found.get(each.path)), "")
    return (Permission("ssm:DescribeParameters", probe="*"), Permission("ssm:GetParameters", tuple(arns), probe=name))


def needed_to_fetch_parameter(home: Home, selector: Selector) -> Permissions:
    """Return what reading one parameter needs."""
    return (Permission("ssm:GetParameters", (_parameter(home, selector),)),)


def _parameter(home: Home, selector: Selector) -> str:
    below = "/*" if selector.recursive else ""
    return f"{home.root('ssm')}:parameter/{selector.path.removeprefix('/')}{below}"


def needed_to_replicate(home: Home, prefix: str, *, prune: bool) -> Permissions:
    """Return what a replication needs, which reads nothing; `prune` is whether it may delete replicas."""
    writes = ("PutSecretValue", "UpdateSecretVersionStage", "TagResource", "RestoreSecret")
    deletes = ("DeleteSecret",) if prune else ()
    actions = ("CreateSecret", "DescribeSecret", *writes, *deletes)
    arns = tuple(home.secret(prefix + "*"))
    return (
        Permission("secretsmanager:ListSecrets", probe="*"),
        *_on(arns, prefix + NOBODY, "secretsmanager", *actions),
    )


def rotate(home: Home, user: str, secret: str) -> list[Statement]:
    """Return what allows a rotation; `secret` is SECRET_ID, empty where there is none."""
    return allowing(needed_to_rotate(home, user, secret))


def status(home: Home, user: str, secret: str) -> list[Statement]:
    """Return what allows looking at a rotation: to read, and nothing else."""
    return allowing(each for each in needed_to_rotate(home, user, secret) if each.reads)


def pull(home: Home, selectors: Iterable[Selector]) -> list[Statement]:
    """Return what allows a pull from Secrets Manager; its selectors are Secrets Manager's."""
    return allowing(needed_to_pull(home, selectors))


def replicate(home: Home, prefix: str, *, prune: bool) -> list[Statement]:
    """Return what allows a replication; `prune` is whether it may delete replicas."""
    return allowing(needed_to_replicate(home, prefix, prune=prune))


def notice(topic: str) -> list[Statement]:
    """Return what allows a notice; `topic` is SNS_TOPIC_ARN."""
    return allowing([Permission("sns:Publish", (topic,))])


def kms(home: Home, key: str = "*", services: Sequence[str] = ("secretsmanager",)) -> list[Statement]:
    """Return what secrets under a key of one's own in KMS need besides, by these services alone; `key` is its ARN."""
    via = {"StringLike": {"kms:ViaService": _one_or_all([f"{each}.{home.region}.amazonaws.com*" for each in services])}}
    return allowing(Permission(action, (key,), via) for action in ("kms:Decrypt", "kms:GenerateDataKey"))


def keepers(statements: Iterable[Statement]) -> list[str]:
    """Return the services among those that statements allow which keep secrets under keys of KMS."""
    actions = [each["Action"] for each in statements]
    services = {one.partition(":")[0] for each in actions for one in ([each] if isinstance(each, str) else each)}
    return sorted(services - {"iam", "sns", "sts"})


def allowing(permissions: Iterable[Permission]) -> list[Statement]:
    """Return the statements that allow this, one for neighbours on the same resources."""
    return [
        {
            "Effect": "Allow",
            "Action": _one_or_all([each.action for each in alike]),
            "Resource": _one_or_all(resources),
            **({"Condition": condition} if condition else {}),
        }
        for (resources, condition), alike in groupby(permissions, lambda each: (each.resources, each.condition))
    ]


def joined(statements: Iterable[Statement]) -> list[Statement]:
    """Return statements of which those that allow the same on several resources are one."""
    found: dict[str, Statement] = {}
    for each in statements:
        same = found.setdefault(json.dumps([each["Action"], each.get("Condition")]), dict(each))
        both = [*_listed(same["Resource"]), *_listed(each["Resource"])]
        same["Resource"] = _one_or_all(list(dict.fromkeys(both)))
    return list(found.values())


def split(statements: Iterable[Statement], size: int = MANAGED) -> list[list[Statement]]:
    """Return statements in as few groups as come of it in their order, each of which fits into one policy."""
    groups: list[list[Statement]] = [[]]
    for each in statements:
        for resource in _listed(each["Resource"]):
            group = groups[-1]
            more = joined([*group, each | {"Resource": resource}])
            if group and len(compact(document(more))) > size:
                more = [each | {"Resource": resource}]
                groups.append(more)
            groups[-1] = more
    return groups


def _listed(resources: str | list[str]) -> list[str]:
    return [resources] if isinstance(resources, str) else resources


def trusts_step(home: Home, issuer: str, audience: str, subject: str) -> Policy:
    """Return a role's trust in Bitbucket's steps.

    `issuer` is the provider's URL; `subject` is what the token's `sub` has to be like, as
    `{repository uuid}:{environment uuid}:*`, since its last part is another one in each step.
    """
    provider = issuer.partition("://")[2]
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": home.iam(f"oidc-provider/{provider}")},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{provider}:aud": audience}, "StringLike": {f"{provider}:sub": subject}},
    }
    return document([statement])


def trusts_certificate(anchor: str, common_name: str, issuer: str = "") -> Policy:
    """Return a role's trust in the certificates with that common name below a trust anchor of Roles Anywhere.

    `issuer` is the common name of the authority that issues them, where the anchor has several below it.
    """
    names = {"aws:PrincipalTag/x509Subject/CN": common_name, "aws:PrincipalTag/x509Issuer/CN": issuer}
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "rolesanywhere.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
        "Condition": {
            "StringEquals": {key: name for key, name in names.items() if name},
            "ArnEquals": {"aws:SourceArn": anchor},
        },
    }
    return document([statement])


def trusts(arn: str) -> Policy:
    """Return a role's trust in a user or another role."""
    return document([{"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sts:AssumeRole"}])


def _one_or_all(words: Sequence[str]) -> str | list[str]:
    return [*words] if len(words) > 1 else words[0]


def scopes_needed(granted: Collection[str]) -> tuple[str, str]:
    """Return the two scopes that reading and writing variables need, as a token of such scopes calls them."""
    granular = any(scope.endswith(":bitbucket") for scope in granted)
    return (READ_SCOPES[granular], WRITE_SCOPES[granular])


def may_write_variables(granted: Collection[str]) -> bool:
    """Tell whether a token of these scopes may write variables."""
    return bool(set(granted) & set(WRITE_SCOPES))


def scopes_beyond(granted: Collection[str]) -> list[str]:
    """Return the scopes by which a token may write more than Keyturn does."""
    return sorted(scope for scope in set(granted) - set(scopes_needed(granted)) if _writes(scope))


def _writes(scope: str) -> bool:
    if scope.endswith(":bitbucket"):
        return not scope.startswith("read:")
    return ":" in scope or scope in _ALSO_WRITE
