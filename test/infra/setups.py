"""What the templates in `infra/` are made from: set-ups whose texts are the templates' parameters."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

from pipe import policies
from pipe.policies import Home, Statement
from pipe.selectors import Selector
from pipe.templates import rules
from pipe.templates.setup import Anywhere, Grant, Parameter, Setup, Vault

HOME = Home("${AWS::Partition}", "${AWS::AccountId}", "${AWS::Region}")
UUID = r"\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}"
NAME = r"[\w/+=.@-]+"
FOLDER = Selector("${Mount}/${Folder}", "*", recursive=True)

WHO = (
    Parameter(
        "Issuer",
        "The identity provider's URL, from Repository settings, OpenID Connect.",
        pattern=r"https://[\w.-]+(/[\w.-]+)*",
    ),
    Parameter("Audience", "The audience, from the same page.", pattern=r"[\w:/.-]+"),
    Parameter("RepositoryUuid", "The repository's uuid with its braces, from the same page.", pattern=UUID),
    Parameter(
        "EnvironmentUuid",
        "The uuid with its braces of the one deployment environment whose steps are let in; without it, all steps are.",
        "",
        UUID,
    ),
)
ROLE = (
    Parameter("RoleName", "The role's name.", "keyturn", r"[\w+=,.@-]+"),
    Parameter(
        "MakeProvider",
        "Whether to make the identity provider; false where the account has one for this workspace.",
        "true",
        switch=True,
    ),
)
ROTATE = (
    Parameter("UserName", "IAM_USER_NAME, without a path.", "", r"[\w+=,.@-]+"),
    Parameter("SecretName", "SECRET_ID as a name; without it, none.", "", NAME),
    Parameter(
        "MakeSecret",
        "Whether to make that secret, empty and with a key of its own in KMS; else the first run makes it.",
        "true",
        switch=True,
    ),
)
PULL = (Parameter("PullFolder", "What their names have before a slash, such as ci for ci/** *.", "", NAME),)
REPLICATE = (
    Parameter("ReplicaPrefix", "AWS_SECRET_PREFIX.", "", NAME),
    Parameter("Prune", "Whether PRUNE may delete replicas.", "false", switch=True),
)
MORE = (
    Parameter("TopicArn", "SNS_TOPIC_ARN, for notices.", "", r"arn:[\w-]+:sns:[\w:.-]+"),
    Parameter(
        "KeyArn",
        "The KMS key of what is pulled or replicated, if it is one of your own.",
        "",
        r"arn:[\w-]+:kms:[\w-]+:\d+:key/[\w-]+",
    ),
)
ANYWHERE = (
    Parameter("CaCertificate", "The authority's certificate as PEM.", "", r"-----BEGIN CERTIFICATE-----[\w+/=\s-]+"),
    Parameter("CommonName", "The common name (CN) of the one certificate that is let in.", "", r"[\w .@:-]+"),
)


def _under(heading: str, parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
    return tuple(replace(each, group=heading) for each in parameters)


def _grants() -> tuple[Grant, ...]:
    with_secret = policies.rotate(HOME, "${UserName}", "${SecretName}")
    keys = policies.rotate(HOME, "${UserName}", "")
    folder = [Selector("${PullFolder}", "*", recursive=True)]
    kept = policies.replicate(HOME, "${ReplicaPrefix}", prune=False)
    return tuple(
        Grant(name, tuple(statements))
        for name, statements in (
            ("rotate", keys),
            ("rotate-secret", [each for each in with_secret if each not in keys]),
            ("secret-key", policies.kms(HOME, "${SecretKey.Arn}")),
            ("pull", policies.pull(HOME, folder)),
            ("replicate", kept),
            ("prune", _more(policies.replicate(HOME, "${ReplicaPrefix}", prune=True), kept)),
            ("notice", policies.notice("${TopicArn}")),
            ("key", policies.kms(HOME, "${KeyArn}")),
        )
    )


def _more(statements: list[Statement], than: list[Statement]) -> list[Statement]:
    """Return what some statements allow that the others, on the same resources, do not."""
    known = set(chain.from_iterable(_listed(each["Action"]) for each in than))
    more = []
    for each in statements:
        actions = [action for action in _listed(each["Action"]) if action not in known]
        if actions:
            more.append({**each, "Action": actions[0] if len(actions) == 1 else actions})
    return more


def _listed(words: str | list[str]) -> list[str]:
    return [words] if isinstance(words, str) else words


AWS = Setup(
    home=HOME,
    issuer="${Issuer}",
    audience="${Audience}",
    repository="${RepositoryUuid}",
    environment="${EnvironmentUuid}",
    role="${RoleName}",
    grants=_grants(),
    secret="${SecretName}",
    anywhere=Anywhere("${CaCertificate}", "${CommonName}"),
    parameters=_under("Which steps", WHO)
    + _under("The role", ROLE)
    + _under("To rotate an access key", ROTATE)
    + _under("To pull secrets from Secrets Manager", PULL)
    + _under("To replicate secrets into Secrets Manager", REPLICATE)
    + _under("Besides", MORE)
    + _under("By IAM Roles Anywhere, too", ANYWHERE),
    optional={
        "provider": ("MakeProvider",),
        "environment": ("EnvironmentUuid",),
        "rotate": ("UserName",),
        "rotate-secret": ("UserName", "SecretName"),
        "secret": ("SecretName", "MakeSecret"),
        "secret-key": ("SecretName", "MakeSecret"),
        "pull": ("PullFolder",),
        "replicate": ("ReplicaPrefix",),
        "prune": ("ReplicaPrefix", "Prune"),
        "notice": ("TopicArn",),
        "key": ("KeyArn",),
        "anywhere": ("CaCertificate", "CommonName"),
    },
)

VAULT = Setup(
    home=HOME,
    issuer="${Issuer}",
    audience="${Audience}",
    repository="${RepositoryUuid}",
    environment="${EnvironmentUuid}",
    role="",
    vault=Vault(
        address="",
        mount="${JwtPath}",
        role="${RoleName}",
        policy="${RoleName}",
        rules=rules.scanning([FOLDER]),
        usual=rules.usual([FOLDER]),
    ),
    parameters=(
        *WHO,
        Parameter("RoleName", "VAULT_ROLE, and the policy's name.", "keyturn", r"[\w.-]+"),
        Parameter("JwtPath", "VAULT_AUTH_PATH, which nothing may be mounted at yet.", "jwt", r"[\w/.-]+"),
        Parameter("Mount", "Where the secrets' engine, KV version 2, is mounted.", "secret", r"[\w.-]+"),
        Parameter("Folder", "The folder of the secrets, such as ci for secret/ci/** *.", "ci", r"[\w/.-]+"),
        Parameter("Scan", "Whether the server is OpenBao, which tells a whole tree at once.", "true", switch=True),
    ),
    optional={"environment": ("EnvironmentUuid",), "scan": ("Scan",)},
)
