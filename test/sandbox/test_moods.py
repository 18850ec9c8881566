"""Every mood, seen by a client that hides nothing."""

from __future__ import annotations

import gzip
import http.client
import io
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from sandbox.control import Control
from sandbox.moods import MOODS, UnknownMood
from sandbox.vault import Vault
from sandbox.wire import PAGES
from sandbox.world import USER, Company, World
from test.sandbox.bitbucket_bench import variables_of
from test.sandbox.test_aws import refusal, token


class Asking:
    """The seeded world, with a client of each service."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.company: Company = world.seed()
        self.production = self.company.environments["Production"]
        self.session = requests.Session()
        self.session.headers.update(self.company.token.headers)

    def get(self, path: str, **query: str) -> requests.Response:
        url = path if path.startswith("http") else f"{self.world.bitbucket_url}/2.0{path}"
        return self.session.get(url, params=query, timeout=10)

    def put(self, name: str, /, **body: Any) -> requests.Response:
        uuid = self.world.bitbucket.variables(self.production)[name].uuid
        url = f"{self.world.bitbucket_url}/2.0{variables_of(self.production)}/{quote(uuid)}"
        return self.session.put(url, json=body, timeout=10)

    def aws(self, service: str, region: str = "eu-central-1") -> Any:
        make: Any = boto3.client
        return make(
            service, region_name=region, endpoint_url=self.world.aws_url,
            aws_access_key_id=self.company.admin.access_key_id,
            aws_secret_access_key=self.company.admin.secret_access_key,
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
        )  # fmt: skip


@pytest.fixture
def asking(world: World) -> Asking:
    return Asking(world)


ENVIRONMENTS = "/repositories/acme/shop/environments"


def test_each_mood_is_registered_once() -> None:
    assert len({mood.form for mood in MOODS}) == len(MOODS)


def test_an_unknown_mood_is_refused_with_those_that_exist_and_changes_nothing(world: World) -> None:
    for wrong in (
        "put=merge",
        "put",
        "lag=",
        "lag=-1",
        "proxy=html-404",
        "proxy=html-403:gitlab",
        "wrong=aws:a:/b:odd",
    ):
        with pytest.raises(UnknownMood, match="put=replace"):
            world.moods.turn("size=absent", wrong)
    assert list(world.moods) == ["lag=0"]


def test_moods_come_back_with_a_moment_and_end_with_a_seed(world: World) -> None:
    world.seed()
    world.moods.turn("put=replace", "proxy=html-503:aws")
    moment = world.save()
    world.moods.turn("put=default", "secured=sticky", "proxy=default")
    assert list(world.moods) == ["lag=0", "secured=sticky"]
    world.restore(moment)
    assert list(world.moods) == ["lag=0", "put=replace", "proxy=html-503:aws"]
    assert requests.get(world.aws_url, timeout=10).status_code == 503
    world.seed()
    assert list(world.moods) == ["lag=0"]
    assert requests.get(world.aws_url, timeout=10).status_code != 503


def test_moods_are_switched_by_http_and_those_of_the_start_stay() -> None:
    world = World(lag=0, moods=["size=absent"]).start(front=Control)
    try:
        world.seed()
        url = f"{world.bitbucket_url}/_sandbox/moods"
        assert requests.post(url, {"mood": "put=replace"}, timeout=10).json() == {
            "on": ["lag=0", "size=absent", "put=replace"]
        }
        refused = requests.post(url, {"mood": "put=no"}, timeout=10)
        assert (refused.status_code, "there is no mood put=no" in refused.json()["error"]) == (400, True)
        assert requests.delete(url, timeout=10).json() == {"on": ["lag=0", "size=absent"]}
    finally:
        world.stop()


def test_a_put_that_replaces_empties_what_it_leaves_out(asking: Asking) -> None:
    assert asking.put("LOG_LEVEL", key="LOG_LEVEL").json()["value"] == "info"
    asking.world.moods.turn("put=replace")
    assert asking.put("LOG_LEVEL", key="LOG_LEVEL").json()["value"] == ""
    shown = asking.put("AWS_SECRET_ACCESS_KEY", value="other").json()
    assert (shown["secured"], shown["value"]) == (False, "other")


def test_a_secured_variable_sticks_or_is_refused(asking: Asking) -> None:
    key = "AWS_SECRET_ACCESS_KEY"
    asking.world.moods.turn("secured=sticky")
    answer = asking.put(key, key=key, value="new", secured=False)
    assert (answer.status_code, answer.json()["secured"], "value" in answer.json()) == (200, True, False)
    assert asking.world.bitbucket.value_of(asking.production, key) == "new"
    asking.world.moods.turn("secured=refused")
    answer = asking.put(key, key=key, value="newer", secured=False)
    assert (answer.status_code, list(answer.json()["error"]["data"]["arguments"])) == (400, ["secured"])
    assert asking.world.bitbucket.value_of(asking.production, key) == "new"
    assert asking.put(key, key=key, value="newer", secured=True).status_code == 200
    assert asking.put("LOG_LEVEL", key="LOG_LEVEL", value="x", secured=False).status_code == 200


@pytest.mark.parametrize(("mood", "status"), [("next=broken", 404), ("next=broken-401", 401)])
def test_who_follows_a_broken_link_gets_nothing(asking: Asking, mood: str, status: int) -> None:
    asking.world.moods.turn(mood)
    first = asking.get(ENVIRONMENTS, pagelen="2")
    assert (first.json()["size"], len(first.json()["values"])) == (3, 2)
    assert asking.get(first.json()["next"]).status_code == status
    assert len(asking.get(ENVIRONMENTS, pagelen="2", page="2").json()["values"]) == 1
    assert "next" not in asking.get(ENVIRONMENTS, pagelen="3").json()


def test_a_page_without_a_size(asking: Asking) -> None:
    asking.world.moods.turn("size=absent")
    shown = asking.get(ENVIRONMENTS, pagelen="2").json()
    assert "size" not in shown
    assert "next" in shown


def test_lists_that_lag_do_so_for_as_long_as_is_said(asking: Asking) -> None:
    asking.world.moods.turn("lag=24")
    asking.put("LOG_LEVEL", value="debug")
    listed = {each["key"]: each.get("value") for each in asking.get(variables_of(asking.production)).json()["values"]}
    assert (asking.world.bitbucket.lag, listed["LOG_LEVEL"]) == (24, "info")


def test_environments_whose_names_differ_have_one_slug(asking: Asking) -> None:
    asking.world.moods.turn("slugs=equal")
    shown = asking.get(ENVIRONMENTS).json()["values"]
    assert [(each["name"], each["slug"]) for each in shown] == [
        ("Test", "test"), ("Staging", "test"), ("Production", "test"),
    ]  # fmt: skip


@pytest.fixture
def manager(asking: Asking) -> Any:
    asking.world.aws.put_secret("s", "body", token(1))
    return asking.aws("secretsmanager")


@pytest.mark.parametrize(
    ("mood", "told", "code"),
    [
        ("secret=replica", "PrimaryRegion", "InvalidParameterException"),
        ("secret=replica:s", "ReplicationStatus", "InvalidParameterException"),
        ("secret=owned", "OwningService", "InvalidRequestException"),
    ],
)
def test_a_secret_that_is_somebody_elses_to_change(
    asking: Asking, manager: Any, mood: str, told: str, code: str
) -> None:
    assert told not in manager.describe_secret(SecretId="s")
    asking.world.moods.turn(mood)
    assert told in manager.describe_secret(SecretId="s")
    writes: tuple[tuple[Any, dict[str, Any]], ...] = (
        (manager.put_secret_value, {"SecretString": "x"}),
        (manager.tag_resource, {"Tags": [{"Key": "a", "Value": "b"}]}),
        (manager.update_secret_version_stage, {"VersionStage": "L", "MoveToVersionId": token(1)}),
        (manager.delete_secret, {}),
    )
    assert {refusal(write, SecretId="s", **given) for write, given in writes} == {(code, 400)}
    assert manager.get_secret_value(SecretId="s")["SecretString"] == "body"
    asking.world.moods.turn("secret=replica:other")
    manager.put_secret_value(SecretId="s", SecretString="x")


def test_a_secret_that_is_rotated_by_a_function_says_so_and_takes_writes(asking: Asking, manager: Any) -> None:
    asking.world.moods.turn("secret=rotated")
    assert manager.describe_secret(SecretId="s")["RotationEnabled"] is True
    manager.put_secret_value(SecretId="s", SecretString="x")


def test_reads_show_the_state_before_the_last_write_for_a_while(asking: Asking, manager: Any) -> None:
    asking.world.moods.turn("reads=stale:1")
    manager.put_secret_value(SecretId="s", SecretString="new", ClientRequestToken=token(2))
    assert list(manager.describe_secret(SecretId="s")["VersionIdsToStages"]) == [token(1)]
    assert manager.get_secret_value(SecretId="s")["SecretString"] == "new"
    assert list(manager.describe_secret(SecretId="s")["VersionIdsToStages"]) == [token(1), token(2)]
    iam = asking.aws("iam")
    made = iam.create_access_key(UserName=USER)["AccessKey"]["AccessKeyId"]

    def listed() -> list[str]:
        return [key["AccessKeyId"] for key in iam.list_access_keys(UserName=USER)["AccessKeyMetadata"]]

    old = asking.company.old_key.access_key_id
    assert (listed(), listed()) == ([old], [old, made])
    iam.delete_access_key(UserName=USER, AccessKeyId=made)
    assert (listed(), listed()) == ([old, made], [old])


def test_a_stale_read_comes_back_with_its_moment(asking: Asking, manager: Any) -> None:
    asking.world.moods.turn("reads=stale")
    manager.put_secret_value(SecretId="s", SecretString="new", ClientRequestToken=token(2))
    moment = asking.world.save()
    for _ in range(2):
        seen = [len(manager.describe_secret(SecretId="s")["VersionIdsToStages"]) for _ in range(3)]
        assert seen == [1, 1, 2]
        asking.world.restore(moment)


def test_labels_and_tags_that_are_refused(asking: Asking, manager: Any) -> None:
    asking.world.moods.turn("labels=refused", "tags=refused")
    tags = [{"Key": "a", "Value": "b"}]
    denied = ("AccessDeniedException", 400)
    assert refusal(manager.tag_resource, SecretId="s", Tags=tags) == denied
    assert refusal(manager.create_secret, Name="t", Tags=tags) == denied
    moved = {"SecretId": "s", "VersionStage": "L", "MoveToVersionId": token(1)}
    with pytest.raises(ClientError, match=r"UpdateSecretVersionStage on .* explicit deny in a service control policy"):
        manager.update_secret_version_stage(**moved)
    manager.put_secret_value(SecretId="s", SecretString="x", VersionStages=["L"])
    manager.create_secret(Name="t")


def test_a_secret_has_fifty_tags_and_a_hundred_versions(asking: Asking, manager: Any) -> None:
    tags = [{"Key": f"k{number}", "Value": ""} for number in range(51)]
    assert refusal(manager.tag_resource, SecretId="s", Tags=tags) == ("InvalidParameterException", 400)
    assert refusal(manager.create_secret, Name="t", Tags=tags) == ("InvalidParameterException", 400)
    manager.tag_resource(SecretId="s", Tags=tags[:50])
    put = asking.world.aws.put_secret
    for number in range(2, 101):
        put("s", f"body {number}", token(number))
    # The youngest stay for a day, and are in the way of more.
    assert refusal(manager.put_secret_value, SecretId="s", SecretString="x") == ("LimitExceededException", 400)
    asking.world.clock.move(days=1, seconds=1)
    manager.put_secret_value(SecretId="s", SecretString="x", ClientRequestToken=token(101))
    secret = asking.world.aws.secret("s")
    assert secret is not None
    # What is current and what was before it have labels.
    assert list(secret.versions) == [token(number) for number in range(2, 102)]


def test_a_secret_is_found_in_its_own_region_alone(asking: Asking, manager: Any) -> None:
    arn = manager.describe_secret(SecretId="s")["ARN"]
    missing = ("ResourceNotFoundException", 400)
    elsewhere = asking.aws("secretsmanager", "us-east-1")
    assert refusal(elsewhere.describe_secret, SecretId=arn) == missing
    assert refusal(elsewhere.put_secret_value, SecretId=arn, SecretString="x") == missing
    assert refusal(manager.describe_secret, SecretId=arn.replace("123456789012", "999999999999")) == missing
    assert manager.describe_secret(SecretId=arn[:-7])["Name"] == "s"


def test_iam_knows_a_user_in_any_case(asking: Asking) -> None:
    iam = asking.aws("iam")
    assert iam.get_user(UserName="Deploy-BOT")["User"]["UserName"] == USER
    [key] = iam.list_access_keys(UserName="DEPLOY-bot")["AccessKeyMetadata"]
    assert key["UserName"] == USER
    iam.update_access_key(UserName="deploy-Bot", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert [each.status for each in asking.world.aws.keys(USER)] == ["Inactive"]
    assert refusal(iam.create_user, UserName="Deploy-Bot") == ("EntityAlreadyExists", 409)
    assert refusal(iam.get_user, UserName="deploy_bot")[0] == "NoSuchEntity"


def test_one_sts_out_of_reach(asking: Asking) -> None:
    asking.world.moods.turn("sts=one-region")
    assert asking.aws("sts").get_caller_identity()["Account"] == "123456789012"
    with pytest.raises(ConnectionClosedError):
        asking.aws("sts", "us-east-1").get_caller_identity()
    assert asking.aws("secretsmanager", "us-east-1").list_secrets()["SecretList"] == []


@pytest.fixture(scope="module")
def vault() -> Iterator[World]:
    with World(lag=0, vault=True) as world:
        yield world


@pytest.fixture
def everywhere(vault: World) -> Iterator[Asking]:
    asking = Asking(vault)
    yield asking
    vault.moods.clear()


def urls(world: World) -> dict[str, str]:
    """Return of each service an address that answers with a document."""
    assert isinstance(world.vault, Vault)
    return {
        "bitbucket": f"{world.bitbucket_url}/2.0{ENVIRONMENTS}",
        "aws": world.aws_url,
        "vault": f"{world.vault.url}/v1/sys/health",
    }


@pytest.mark.parametrize("kind", PAGES)
def test_a_proxys_page_stands_before_each_service(everywhere: Asking, kind: str) -> None:
    world = everywhere.world
    status, text = PAGES[kind]
    for service, url in urls(world).items():
        world.moods.turn(f"proxy={kind}:{service}:2")
        first, second, third = (everywhere.get(url) for _ in range(3))
        assert first.text != text
        for answer in (second, third):
            assert (answer.status_code, answer.text) == (int(status[:3]), text)
            assert answer.headers["Content-Type"].startswith("text/html" if kind.startswith("html") else "text/plain")
        others = [everywhere.get(other).text for name, other in urls(world).items() if name != service]
        assert text not in others
    world.moods.turn(f"proxy={kind}")
    assert {everywhere.get(url).text for url in urls(world).values()} == {text}


def test_answers_that_are_too_large(everywhere: Asking) -> None:
    world = everywhere.world
    plain = {service: everywhere.get(url).content for service, url in urls(world).items()}
    for service, url in urls(world).items():
        world.moods.turn(f"answers=large:{service}")
        answer = everywhere.get(url).content
        assert len(answer) > 9 << 20
        if service != "aws":
            assert json.loads(answer).keys() == json.loads(plain[service]).keys()
        world.moods.turn(f"answers=bomb:{service}")
        with everywhere.session.get(url, stream=True, timeout=10) as packed:
            raw = packed.raw.read(decode_content=False)
        assert len(raw) < 2 << 20
        unpacked = gzip.GzipFile(fileobj=io.BytesIO(raw))
        assert unpacked.read(1 << 24).endswith(b"  ")


@pytest.mark.parametrize("answer", ["endless", "slow"])
def test_answers_without_an_end_and_byte_by_byte_begin_at_once(everywhere: Asking, answer: str) -> None:
    world = everywhere.world
    world.moods.turn(f"answers={answer}")
    for url in urls(world).values():
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=10)
        connection.request("GET", parts.path, headers=everywhere.company.token.headers)
        response = connection.getresponse()
        assert len(response.read(1)) == 1
        if answer == "endless":
            assert len(response.read(12 << 20)) == 12 << 20
        response.close()
        connection.close()


@pytest.mark.parametrize(
    ("way", "name"),
    [("absent", "absent"), ("null", None), ("type", {"no": "no"}), ("-1", -1), ("10^18", 10**18)],
)
def test_a_field_of_json_that_is_not_what_it_should_be(asking: Asking, way: str, name: Any) -> None:
    asking.world.moods.turn(f"wrong=bitbucket:GET */environments:/values/0/name:{way}")
    first, second, _ = asking.get(ENVIRONMENTS).json()["values"]
    assert first.get("name", "absent") == name
    assert second["name"] == "Staging"


def test_a_field_that_is_a_thousand_levels_deep(asking: Asking) -> None:
    asking.world.moods.turn("wrong=bitbucket:GET */environments:/size:deep")
    assert '"size": ' + "[" * 1000 + "]" * 1000 in asking.get(ENVIRONMENTS).text
    asking.world.moods.turn("wrong=aws:iam.ListAccessKeys:/ListAccessKeysResult/AccessKeyMetadata/member/Status:deep")
    assert asking.aws("iam").list_access_keys(UserName=USER)["AccessKeyMetadata"][0]["Status"] != "Active"


@pytest.mark.parametrize(
    ("way", "status"), [("absent", None), ("null", ""), ("-1", "-1"), ("10^18", str(10**18)), ("type", "")]
)
def test_a_field_of_xml_that_is_not_what_it_should_be(asking: Asking, way: str, status: str | None) -> None:
    field = "/ListAccessKeysResult/AccessKeyMetadata/member/Status"
    asking.world.moods.turn(f"wrong=aws:iam.ListAccessKeys:{field}:{way}")
    [key] = asking.aws("iam").list_access_keys(UserName=USER)["AccessKeyMetadata"]
    assert (key.get("Status"), key["UserName"]) == (status, USER)


def test_a_whole_body_and_a_header_that_are_not_what_they_should_be(asking: Asking) -> None:
    for way, text in (("absent", ""), ("null", "null"), ("type", '["no"]'), ("-1", "-1")):
        asking.world.moods.turn(f"wrong=bitbucket:*::{way}")
        assert asking.get(ENVIRONMENTS).text == text
    asking.world.moods.turn("wrong=bitbucket:*:header:Date:type")
    assert asking.get(ENVIRONMENTS).headers["Date"] == "no"
