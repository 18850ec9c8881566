"""One world serves many tests: what any of them has done to it is gone before the next."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests
from moto.sns.models import sns_backends

from sandbox.aws.keys import ACCOUNT, iam, sts
from sandbox.server import Server
from sandbox.vault import USUAL, Vault
from sandbox.wire import Fault
from sandbox.world import USER, World
from test.authority import Authority

# What a world is made of.
PARTS = ("sandbox.", "moto.iam", "moto.sts", "moto.sns", "moto.utilities")
PLAIN = (str, int, float, bool, bytes, timedelta, datetime, type(None))
# What is the same whatever is done to it.
CONSTANT = re.compile(
    r"world(\.\w+|\[\d\])*\.(region|service|_look|_operations\(\)|in_flight|_server|_path|host|slug|vault|\w+_url"
    r"|_wires\(\)|_defaults\(\)|_defaults\[lag\])"
)


def state(thing: Any, path: str = "world", seen: frozenset[int] = frozenset()) -> Iterator[tuple[str, object]]:
    """Yield everything that a world consists of, by where it is."""
    if id(thing) in seen:
        return
    seen |= {id(thing)}
    if isinstance(thing, PLAIN):
        yield path, thing
    elif isinstance(thing, dict):
        yield f"{path}()", len(thing)
        for key, value in thing.items():
            yield from state(value, f"{path}[{key}]", seen)
    elif isinstance(thing, list | tuple | set | frozenset):
        yield f"{path}()", len(thing)
        for number, value in enumerate(thing):
            yield from state(value, f"{path}[{number}]", seen)
    elif type(thing).__module__.startswith(PARTS):
        # Whose connections a server has is no state.
        for name, value in vars(thing).items() if not isinstance(thing, Server) else ():
            yield from state(value, f"{path}.{name}", seen)


def whole(world: World) -> dict[str, object]:
    """Return the state of a world with that of moto, which belongs to the process."""
    moto = {"iam": iam(), "sts": sts(), "sns": sns_backends[ACCOUNT][world.aws.region]}
    return {**dict(state(world)), **dict(state(moto, "moto"))}


def live(world: World) -> None:
    """Change everything about a world that a test can."""
    company = world.seed()
    bitbucket, aws = world.bitbucket, world.aws
    world.moods.turn("lag=1", "next=never", "put=replace", "reads=stale", "answers=large")
    bitbucket.issue_token("oauth", company.repository)
    bitbucket.define_pipelines(company.repository, "rotate-key")
    bitbucket.set_variable(company.environments["Test"], "NAME", "value")
    world.issuer.rotate()
    aws.refusals, aws.last_used_lag = 7, 7.0
    aws.put_secret("ci/by-hand", "text")
    aws.put_parameter("/ci/by-hand", "text")
    aws.freeze()
    aws.anywhere.add_anchor(Authority("Acme Root", world.clock.now(), "p256").pem)
    aws.anywhere.add_profile([company.role_arn])
    aws.use(company.old_key)
    aws.add_key(USER, 1)
    aws.add_topic("keyturn")
    world.clock.move(days=100)
    (world.folder / "keyturn.lock").touch()
    for wire in world.wires:
        wire.spoil(Fault("*", "503-before", nth=2))
    # What only requests of their own kind would fill.
    bitbucket._store.reports["commit", "report"] = {}
    bitbucket._store.pipelines["repository"] = ()
    aws._gate.keys._calls["AKIA"] = 1
    aws._gate.stale.kept["secrets"] = ({}, 1, 2**40)
    for url in (world.bitbucket_url, world.aws_url):
        requests.get(url, timeout=10)


def test_a_world_that_was_reset_is_a_new_one() -> None:
    with World(lag=0) as world:
        new = whole(world)
        live(world)
        lived = whole(world)
        world.reset()
        assert whole(world) == new
        # What has never changed here may be what a reset forgets: it is one of these.
        same = {path for path, value in new.items() if path.startswith("world") and lived.get(path, live) == value}
        assert {path for path in same if not CONSTANT.fullmatch(path)} == set()


def contents(vault: Vault) -> dict[str, Any]:
    """Return all that OpenBao holds, without what is different each time: the times, accessors and uuids."""

    def told(path: str, verb: str = "GET") -> Any:
        return _lasting(vault.look(verb, path))

    found: dict[str, Any] = {path: told(path) for path in ("sys/mounts", "sys/auth", "auth/jwt/config")}
    found |= {name: told(f"sys/policies/acl/{name}")["policy"] for name in vault.names("sys/policies/acl")}
    folders = ["auth/jwt/role", "auth/userpass/users", "sys/quotas/rate-limit"]
    for folder in folders:
        found |= {f"{folder}/{name}": told(f"{folder}/{name}") for name in vault.names(folder)}
    for name in _secrets(vault, "secret/metadata/"):
        found[name] = (told(f"secret/metadata/{name}"), vault.look("GET", f"secret/data/{name}"))
        found[name] = _lasting(found[name])
    found |= {f"legacy/{name}": told(f"legacy/{name}") for name in _secrets(vault, "legacy/")}
    return found | {"tokens": len(vault.tokens())}


def _secrets(vault: Vault, folder: str, below: str = "") -> Iterator[str]:
    for name in vault.names(folder + below):
        if name.endswith("/"):
            yield from _secrets(vault, folder, below + name)
        else:
            yield below + name


def _lasting(found: Any) -> Any:
    match found:
        case dict():
            return {name: _lasting(value) for name, value in found.items() if not _OF_A_MOMENT.search(name)}
        case list() | tuple():
            return [_lasting(value) for value in found]
        case _:
            return found


_OF_A_MOMENT = re.compile("time$|accessor|uuid|_id$|modified")


def written(vault: Vault) -> None:
    for number in range(3):
        vault.put("secret/ci/database", {"password": str(number)})
    vault.delete_version_after("secret/ci/redis", "1h")


def gone(vault: Vault) -> None:
    vault.remove("secret/ci/payments")
    vault.delete("secret/ci/search")
    vault.destroy("secret/ci/licence")


def added(vault: Vault) -> None:
    vault.put("secret/ci/new/door", {"pin": "1"})
    vault.put("legacy/ci/door", {"pin": "1"})


def allowed_otherwise(vault: Vault) -> None:
    vault.policy(USUAL, 'path "*" { capabilities = ["deny"] }')
    vault.policy("another", 'path "*" { capabilities = ["read"] }')
    vault.role([USUAL, "another"], "batch", bound_claims={"branchName": "main"}, token_max_ttl=600)


def signed_in(vault: Vault) -> None:
    vault.token()


def set_up_otherwise(vault: Vault) -> None:
    vault.mount("other", 2)
    vault.ask("POST", "sys/auth/userpass", {"type": "userpass"})
    vault.ask("POST", "sys/quotas/rate-limit/all", {"rate": 1000})
    vault.ask("POST", "secret/config", {"max_versions": 3})
    vault.ask("DELETE", "sys/auth/jwt")


def crowded(vault: Vault) -> None:
    vault.put_many("secret/ci/crowd", 50)


@pytest.mark.parametrize(
    "live",
    [written, gone, added, allowed_otherwise, signed_in, set_up_otherwise, crowded],
    ids=lambda each: each.__name__,
)
@pytest.mark.sample(2)
def test_a_vault_that_is_seeded_again_is_as_it_was(vaulted: World, live: Callable[[Vault], None]) -> None:
    company = vaulted.seed()
    assert vaulted.vault is not None
    first = contents(vaulted.vault)
    live(vaulted.vault)
    assert contents(vaulted.vault) != first
    assert vaulted.seed().secrets == company.secrets
    assert contents(vaulted.vault) == first
