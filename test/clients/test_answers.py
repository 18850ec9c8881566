"""No answer, whatever is wrong with it, gets beyond the clients but as an error of Keyturn's.

The answers are those that the sandbox gives to every job; each field of each is made wrong in every way, or a sample of
them.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from pipe.clients.aws import Aws, Endpoint, Terms
from pipe.clients.aws_roles import by_web_identity
from pipe.clients.bitbucket import Bitbucket
from pipe.clients.bitbucket_api import Api
from pipe.clients.bitbucket_auth import bearer
from pipe.clients.iam import AccessKeys
from pipe.clients.secret_versions import SecretVersions
from pipe.clients.secretsmanager import SecretsManager
from pipe.clients.vault import Vault
from pipe.clients.vault_kv import Kv
from pipe.clients.vault_logins import by_jwt
from pipe.errors import Busy, KeyturnError
from pipe.redact import Secret
from pipe.retry import Deadline
from pipe.secrets import Engine, Mount
from pipe.values import KeyPair, Place, Target, TargetKind, Variable
from sandbox.aws.dialect import AwsDialect
from sandbox.bitbucket.errors import Dialect as BitbucketDialect
from sandbox.server import Server
from sandbox.vault.front import Dialect as VaultDialect
from sandbox.wire import Answer, Dialect, Environ, StartResponse
from sandbox.world import World
from test.answers import Case, Recorded, cases, family_of, record
from test.faults.runner import Runner
from test.faults.sample import some

DIALECTS: Mapping[str, Dialect] = {"aws": AwsDialect(), "bitbucket": BitbucketDialect(), "vault": VaultDialect()}

KEY = KeyPair("AKIAIOSFODNN7EXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"))
ID, OTHER = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"


def once() -> Deadline:
    """Return the deadline of a run that was told to stop: it asks for nothing a second time."""
    deadline = Deadline(pace=0)
    deadline.stop()
    return deadline


_PLACE = "/2.0/repositories/acme/shop"
# What is answered to with what was sent.
ECHOES = frozenset({
    "secretsmanager.PutSecretValue",
    *(f"POST {_PLACE}/{each}/variables" for each in ("pipelines_config", "deployments_config/environments/*")),
    f"PUT {_PLACE}/deployments_config/environments/*/variables/*",
})  # fmt: skip


class Replay:
    """A server in the place of a service: it gives to every request the recorded answer, or the wrong one."""

    def __init__(self, recorded: Iterable[Recorded]) -> None:
        self._known: dict[tuple[str, str], Answer] = {}
        for one in recorded:
            if one.answer.status.startswith("2"):
                self._known.setdefault((one.service, one.family), one.answer)
        self.service = ""
        self.case: Case | None = None
        self.asked: list[str] = []
        self._server = Server(self._serve)
        self.url = self._server.url

    def close(self) -> None:
        self._server.close()

    def _serve(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        family = family_of(self.service, DIALECTS[self.service].operation(environ, body))
        self.asked.append(family)
        answer = self._known.get((self.service, family)) or Answer("404 Not Found", [], b"{}")
        if self.case is not None and family == self.case.recorded.family:
            answer = self.case.wrong(_echo(self.case.recorded, body))
        elif (self.service, family) in self._known:
            answer = _echo(Recorded("", self.service, family, answer), body)
        headers = [(name, value) for name, value in answer.headers if name.lower() != "content-length"]
        start_response(answer.status, headers)
        return [answer.body]


def _echo(recorded: Recorded, body: bytes) -> Answer:
    """Return the answer to a write as one to this body; a client may compare the two."""
    answer = recorded.answer
    if recorded.family not in ECHOES or not answer.status.startswith("2"):
        return answer
    sent, shown = json.loads(body), json.loads(answer.body)
    if recorded.service == "aws":
        return replace(answer, body=json.dumps({**shown, "VersionId": sent["ClientRequestToken"]}).encode())
    return replace(answer, body=json.dumps({**shown, "value": "info", **sent}).encode())


@pytest.fixture(scope="module")
def recorded(vault_world: World, runner: Runner) -> list[Recorded]:
    def run(variables: Mapping[str, str]) -> None:
        result = runner.run(variables)
        assert result.code == 0, result.output

    vault_world.reset()
    return record(vault_world, run)


@pytest.fixture(scope="module")
def replay(recorded: list[Recorded]) -> Iterator[Replay]:
    opened = Replay(recorded)
    yield opened
    opened.close()


# What asks for an operation, by its family.
Asks = Mapping[str, Sequence[Callable[[], object]]]


def of_aws(url: str) -> Asks:
    deadline, endpoint = once(), Endpoint("eu-central-1", url)
    aws = Aws.with_keys(KEY, None, endpoint, deadline)
    keys, versions = AccessKeys(aws, "deploy-bot"), SecretVersions(aws, "ci/deploy-bot")
    store = SecretsManager(aws)
    body, role = Secret("a body"), "arn:aws:iam::123456789012:role/keyturn"
    by_token = partial(by_web_identity, role, Secret(TOKEN), Terms("a-test"), endpoint, deadline)
    return {
        "iam.CreateAccessKey": [keys.create],
        "iam.DeleteAccessKey": [partial(keys.delete, KEY.id)],
        "iam.GetAccessKeyLastUsed": [partial(keys.last_use, KEY.id)],
        "iam.ListAccessKeys": [keys.list],
        "iam.UpdateAccessKey": [partial(keys.deactivate, KEY.id)],
        "secretsmanager.BatchGetSecretValue": [lambda: _raised(store.read_many(["vault/ci/chat", "no"]).values())],
        "secretsmanager.CreateSecret": [versions.create, partial(store.create, "a", body, ID, {"a": "b"})],
        "secretsmanager.DeleteSecret": [partial(store.delete, "a", 7)],
        "secretsmanager.DescribeSecret": [versions.describe, partial(store.describe, "a")],
        "secretsmanager.GetSecretValue": [partial(versions.read, version=ID), partial(store.read, "a")],
        "secretsmanager.ListSecretVersionIds": [versions.all_versions],
        "secretsmanager.ListSecrets": [partial(store.listed, ["vault/"])],
        "secretsmanager.PutSecretValue": [partial(versions.put, ID, "x", "L"), partial(store.put, "a", body, ID)],
        "secretsmanager.TagResource": [partial(store.tag, "a", {"a": "b"})],
        "secretsmanager.UpdateSecretVersionStage": [
            partial(versions.move, "keyturn-x", to=ID, away_from=OTHER), partial(store.move_current, "a", ID, OTHER),
        ],
        "sts.AssumeRoleWithWebIdentity": [by_token],
        "sts.GetCallerIdentity": [
            lambda: Aws.with_keys(KEY, None, endpoint, deadline).identity(), *aws.checkers(KEY),
        ],
    }  # fmt: skip


def _raised(found: Iterable[object]) -> None:
    """Raise what was found in the place of a body."""
    for each in found:
        if isinstance(each, Exception):
            raise each


def of_bitbucket(url: str) -> Asks:
    def new() -> Bitbucket:
        return Bitbucket(Api(f"{url}/2.0", bearer(Secret(TOKEN)), "THE_VARIABLE", once()))

    client = new()
    uuid, base = "{" + ID + "}", "/repositories/acme/shop/"
    environment = Place("shop production", f"{base}deployments_config/environments/%7B{ID}%7D/variables")
    whole = Place("shop", f"{base}pipelines_config/variables")
    known = Variable(uuid, "LOG_LEVEL", "info", secured=False)
    base = f"/2.0{base}"
    make = partial(client.write, key="LOG_LEVEL", value="info", known=None, secured=False)
    variables = base + "deployments_config/environments/*/variables"
    return {
        f"GET {base}environments": [
            # A client remembers the environments that it has found.
            lambda: new().find(Target(TargetKind.DEPLOYMENT, "acme", "shop", "production")),
        ],
        f"GET {variables}": [partial(client.variables, environment)],
        f"GET {base}pipelines_config/variables": [partial(client.variables, whole)],
        f"POST {variables}": [partial(make, environment), partial(client.create, environment, "LOG_LEVEL", "info")],
        f"POST {base}pipelines_config/variables": [partial(make, whole)],
        f"PUT {variables}/*": [
            partial(client.write, environment, "LOG_LEVEL", "info", known, secured=False),
        ],
    }  # fmt: skip


def of_vault(url: str) -> Asks:
    login = by_jwt("keyturn", Secret(TOKEN))

    def signed_in() -> Vault:
        vault = Vault(url, deadline=once())
        vault.sign_in(login)
        return vault

    kv = Kv(signed_in())
    two, one = Mount("secret", Engine.KV2), Mount("legacy", Engine.KV1)
    return {
        "GET legacy/ci": [partial(kv.read, one, "ci/old")],
        "GET secret/data": [partial(kv.read, two, "ci/chat")],
        "GET secret/metadata": [partial(kv.version, two, "ci/chat")],
        "GET sys/internal/ui": [partial(kv.mount, "secret/ci/chat")],
        "LIST legacy/ci": [partial(kv.names, one, "ci")],
        "LIST secret/metadata": [partial(kv.names, two, "ci")],
        "LIST secret/detailed-metadata": [partial(kv.tree, two, "ci", recursive=False)],
        "SCAN secret/detailed-metadata": [partial(kv.tree, two, "ci", recursive=True)],
        "POST auth/jwt/login": [signed_in],
        "POST auth/token/revoke-self": [lambda: signed_in().sign_out(leased=False)],
    }


CLIENTS: Mapping[str, Callable[[str], Asks]] = {"aws": of_aws, "bitbucket": of_bitbucket, "vault": of_vault}


@pytest.mark.parametrize("service", CLIENTS)
def test_no_wrong_answer_gets_beyond_the_client(service: str, recorded: list[Recorded], replay: Replay) -> None:
    replay.service, replay.case = service, None
    asks = CLIENTS[service](replay.url)
    broken: list[str] = []
    tried: Counter[str] = Counter()
    families: defaultdict[str, list[Case]] = defaultdict(list)
    for case in cases(one for one in recorded if one.service == service):
        families[case.recorded.family].append(case)
    for family, case in [(name, each) for name, every in families.items() for each in some(name, every, 10)]:
        replay.case = case
        for ask in asks[family]:
            replay.asked.clear()
            problem = outcome(ask)
            assert family in replay.asked, f"{case}: {ask} does not ask for it"
            tried[family] += 1
            if problem:
                broken.append(f"{case}: {problem}")
    # Every operation that a job asks for is tried.
    assert tried.keys() == {one.family for one in recorded if one.service == service}
    assert broken == [], f"{len(broken)} of {sum(tried.values())}:\n" + "\n".join(broken[:20])


def outcome(ask: Callable[[], Any]) -> str:
    """Return what is wrong with how a request ends."""
    try:
        ask()
    except KeyturnError as error:
        return f"says {error}" if "unexpected" in str(error) else ""
    except Exception as error:  # noqa: BLE001 - that it is any other is what is looked for
        return f"raises {type(error).__name__}: {error}"[:300]
    return ""


def test_what_is_right_is_taken(recorded: list[Recorded], replay: Replay) -> None:
    """Without anything wrong no request fails, so that what fails above does so for what is wrong."""
    replay.case = None
    for service, client in CLIENTS.items():
        replay.service = service
        answered = {one.family: one.answer for one in reversed(recorded) if one.service == service}
        for family, asks in client(replay.url).items():
            for ask in asks if answered[family].status.startswith("2") else ():
                try:
                    ask()
                except Busy as error:
                    # The one answer to such a write is of one secret and version, and a client asks for its own.
                    assert "that of another" in error.what  # noqa: PT017 - it need not be raised
