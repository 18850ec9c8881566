"""Access to Bitbucket: the targets, the credentials, and the client."""

from typing import NamedTuple

from pipe.access.aws import WHERE_EMPTY
from pipe.access.stored import Fetcher, Stored, read_secret
from pipe.clients.bitbucket_api import ALLOWANCE, Api
from pipe.clients.bitbucket_auth import basic, bearer, consumer
from pipe.redact import Secret
from pipe.retry import Deadline, Gate
from pipe.settings.reader import Reader
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


ACCESS_TOKEN = "BITBUCKET_ACCESS_TOKEN"  # noqa: S105 - a variable's name
EMAIL, API_TOKEN = "ATLASSIAN_ACCOUNT_EMAIL", "ATLASSIAN_API_TOKEN"
CLIENT_ID, CLIENT_SECRET = "BITBUCKET_OAUTH_CLIENT_ID", "BITBUCKET_OAUTH_CLIENT_SECRET"

_KINDS = f"{ACCESS_TOKEN}, {EMAIL} with {API_TOKEN}, or {CLIENT_ID} with {CLIENT_SECRET}"


class Credential(NamedTuple):
    """What is given of the variable that holds the secret: an access token, a user's API token, a consumer's secret.

    `name` is the email of the user's Atlassian account, or the consumer's id; a consumer gets access tokens by it.
    """

    variable: str
    secret: Secret | Stored
    name: str | None = None

    @property
    def variables(self) -> str:
        """The variables that hold it, for advice."""
        name = {API_TOKEN: f"{EMAIL} and ", CLIENT_SECRET: f"{CLIENT_ID} and "}.get(self.variable, "")
        return name + (self.secret.variable if isinstance(self.secret, Stored) else self.variable)


class BitbucketAccess(NamedTuple):
    """Where Bitbucket is asked, and with which of the three kinds of credentials."""

    url: str
    credential: Credential

    @property
    def variables(self) -> str:
        """The variables that hold the credentials, for advice."""
        return self.credential.variables


class Targets(NamedTuple):
    """Where the result is written, and how Bitbucket is asked."""

    places: tuple[Target, ...]
    access: BitbucketAccess


def read_targets(reader: Reader) -> Targets:
    """Return the targets."""
    return Targets(read_places(reader), read_bitbucket(reader))


def read_bitbucket(reader: Reader) -> BitbucketAccess:
    """Return how Bitbucket is asked."""
    url = reader.text("BITBUCKET_API_URL")
    email, client_id = reader.text(EMAIL), reader.text(CLIENT_ID)
    token, api_token, client_secret = (read_secret(reader, name) for name in (ACCESS_TOKEN, API_TOKEN, CLIENT_SECRET))
    kinds = {
        ACCESS_TOKEN: token is not None,
        API_TOKEN: reader.is_given(EMAIL) or api_token is not None,
        CLIENT_SECRET: reader.is_given(CLIENT_ID) or client_secret is not None,
    }
    given = [name for name, some in kinds.items() if some]
    if reader.plain("BITBUCKET_APP_PASSWORD"):
        reader.problem("BITBUCKET_APP_PASSWORD", "app passwords are gone since July 2026", f"Use {_KINDS}.")
    elif len(given) > 1:
        reader.problem(given[0], f"{' and '.join(given)} are different kinds of credentials", f"Give one: {_KINDS}.")
    elif not given:
        reader.missing(ACCESS_TOKEN, "credentials are needed to ask Bitbucket", f"Give {_KINDS}. {WHERE_EMPTY}")
    elif API_TOKEN in given:
        _together(reader, EMAIL, API_TOKEN, reader.is_given(EMAIL), api_token is not None)
    elif CLIENT_SECRET in given:
        _together(reader, CLIENT_ID, CLIENT_SECRET, reader.is_given(CLIENT_ID), client_secret is not None)
    credential = Credential(ACCESS_TOKEN, token or Secret(""))
    if given[:1] == [API_TOKEN]:
        credential = Credential(API_TOKEN, api_token or Secret(""), email)
    elif given[:1] == [CLIENT_SECRET]:
        credential = Credential(CLIENT_SECRET, client_secret or Secret(""), client_id)
    return BitbucketAccess(url, credential)


def _together(reader: Reader, name: str, secret: str, has_name: bool, has_secret: bool) -> None:
    """Note where one of two is missing."""
    if not has_name:
        reader.missing(name, f"needed together with {secret}")
    elif not has_secret:
        reader.missing(secret, f"needed together with {name}", f"Or give {secret}_FROM.")


def api_of(
    access: BitbucketAccess,
    fetcher: Fetcher,
    deadline: Deadline,
    *,
    writes: bool = True,
    limit: int = ALLOWANCE,
    gate: Gate | None = None,
    shared: bool = False,
) -> Api:
    """Return the API for the credentials that were given, see Api; nothing has been asked or fetched yet."""
    given, secret = access.credential, fetcher.of(access.credential.secret)
    if given.variable == CLIENT_SECRET:
        authorization = consumer(access.url, given.name or "", secret, access.variables, deadline)
    else:
        authorization = bearer(secret) if given.name is None else basic(given.name, secret)
    return Api(
        access.url, authorization, access.variables, deadline, writes=writes, limit=limit, gate=gate, shared=shared
    )
