"""The pulls that are spoilt: what the world is like before each, and what its targets must hold in the end."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping

from sandbox.vault import SCAN, USUAL
from sandbox.wire import Fault
from sandbox.world import REGION, World
from test.faults.judge import MOST, WORST
from test.faults.pull.scenario import Pulling
from test.faults.pull.stage import Stage, picture_of, right
from test.faults.runner import Runner
from test.support import scopes_of

FOLDER, OLD_KV = "secret/ci/app", "legacy/ci/app"


# All that a pull from Secrets Manager may do.
_RIGHTS = ("secretsmanager:ListSecrets", "secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue")

_Values = dict[str, dict[str, str]]


class _Setting:
    """A company that is being prepared: what is in its Vault by path, and every value that was ever there."""

    def __init__(self, world: World, policy: str = SCAN, folder: str = FOLDER, **variables: str) -> None:
        self.world = world
        self.company = world.seed()
        assert world.vault is not None
        self.vault = world.vault
        self.vault.role((policy,))
        self.variables = world.pull_variables(self.company, SECRETS=f"{folder}/** *", **variables)
        self.folder = folder
        self.now: _Values = {}
        self.names: set[str] = set()
        self.secrets = {self.company.token.secret, self.variables["BITBUCKET_STEP_OIDC_TOKEN"]}
        self.put("database", "username", "password")
        for name in ("payments", "session", "search"):
            self.put(name, "key")
        # Somebody's own variables, beside and below those of the pull.
        for scope in scopes_of(self.company):
            world.bitbucket.set_variable(scope, "SEARCH_ENDPOINT", "https://search.acme.example")

    def put(self, name: str, *keys: str) -> None:
        """Write a secret with fresh values into the folder."""
        values = {key: secrets.token_urlsafe(24) for key in keys}
        self.keep(name, values)
        self.now[name] = values
        self.names |= {f"{name}_{key}".upper() for key in keys}
        self.secrets |= set(values.values())

    def keep(self, name: str, values: Mapping[str, str]) -> None:
        """Let the source have a secret."""
        self.vault.put(f"{self.folder}/{name}", values)

    def remove(self, name: str) -> None:
        """Take a secret away with all its versions."""
        self.vault.remove(f"{self.folder}/{name}")
        del self.now[name]

    def well(self, runner: Runner, **variables: str) -> None:
        """Pull, so that the targets hold what Vault holds now."""
        result = runner.run({**self.variables, **variables})
        assert result.code == 0, result.output

    def stage(self) -> Stage:
        """Return what was prepared."""
        wanted = {f"{name}_{key}".upper(): value for name, values in self.now.items() for key, value in values.items()}
        gone = frozenset(self.names - wanted.keys())
        picture = picture_of(self.world, self.company)
        return Stage(self.world, self.company, self.variables, wanted, gone, frozenset(self.secrets), picture)


def _first_pull(world: World, _: Runner) -> Stage:
    setting = _Setting(world)
    # A variable of that name was there before, and everybody could read it.
    world.bitbucket.set_variable(setting.company.environments["Staging"], "PAYMENTS_KEY", "changeme")
    return setting.stage()


def _pulled(policy: str = SCAN, folder: str = FOLDER) -> Callable[[World, Runner], _Setting]:
    def prepare(world: World, runner: Runner) -> _Setting:
        setting = _Setting(world, policy, folder)
        setting.well(runner)
        return setting

    return prepare


def _unchanged(world: World, runner: Runner) -> Stage:
    return _pulled()(world, runner).stage()


def _changed(policy: str = SCAN, folder: str = FOLDER) -> Callable[[World, Runner], Stage]:
    """One secret, which has two keys, has a new version."""

    def prepare(world: World, runner: Runner) -> Stage:
        setting = _pulled(policy, folder)(world, runner)
        setting.put("database", "username", "password")
        return setting.stage()

    return prepare


def _pruned(world: World, runner: Runner) -> Stage:
    """A secret is gone, another one has a key less, and a third one is new."""
    setting = _pulled()(world, runner)
    setting.variables["PRUNE"] = "true"
    setting.remove("session")
    setting.put("database", "password")
    setting.put("licence", "key")
    return setting.stage()


def _two_selectors(world: World, runner: Runner) -> Stage:
    """A selector is added that brings a secret under another name than the one that is there already."""
    setting = _pulled()(world, runner)
    setting.put("payments", "key")
    setting.variables["SECRETS"] = f"{FOLDER}/search key | SEARCH_TOKEN; {FOLDER}/** *"
    stage = setting.stage()
    return stage.with_wanted("SEARCH_TOKEN", setting.now["search"]["key"])


def _unfinished(world: World, runner: Runner) -> Stage:
    """The first run was killed when all was written and nothing was remembered; since then a secret has changed."""
    setting = _Setting(world)
    wire = world.bitbucket.wire
    # The second list of a target is read to write its state.
    staging = setting.company.environments["Staging"].uuid
    wire.spoil(Fault(f"GET *{staging}/variables", "call-before", nth=2, call=runner.kill))
    assert runner.run(setting.variables).code is None
    wire.mend()
    setting.put("database", "username", "password")
    return setting.stage()


class _ManagerSetting(_Setting):
    """A company whose secrets are in Secrets Manager, where versions have ids of AWS's own."""

    def __init__(self, world: World) -> None:
        super().__init__(world, folder="ci/app")
        for name in ("VAULT_ADDR", "VAULT_ROLE"):
            del self.variables[name]
        self.variables |= {
            "SOURCE": "secretsmanager",
            "AWS_OIDC_ROLE_ARN": world.aws.add_role("puller", actions=_RIGHTS, trust=self.company.trust),
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": world.aws_url,
        }

    def keep(self, name: str, values: Mapping[str, str]) -> None:
        self.world.aws.put_secret(f"{self.folder}/{name}", json.dumps(values))


def _first_from_manager(world: World, _: Runner) -> Stage:
    return _ManagerSetting(world).stage()


def _from_manager(*changed: str) -> Callable[[World, Runner], Stage]:
    def prepare(world: World, runner: Runner) -> Stage:
        setting = _ManagerSetting(world)
        setting.well(runner)
        for name in changed:
            setting.put(name, *setting.now[name])
        return setting.stage()

    return prepare


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Pulling("first pull", _first_pull, right),
        Pulling("one secret changed", _changed(), right),
        Pulling("nothing changed", _unchanged, right),
        Pulling("pruned", _pruned, right, kinds=MOST),
        Pulling("usual policy", _changed(USUAL), right, kinds=MOST),
        Pulling("without versions", _changed(USUAL, OLD_KV), right, versioned=False, repeats=True, kinds=WORST),
        Pulling("two selectors", _two_selectors, right, kinds=WORST),
        Pulling("unfinished", _unfinished, right, repeats=True, kinds=WORST),
        Pulling("first pull from Secrets Manager", _first_from_manager, right, kinds=MOST),
        Pulling("one of Secrets Manager changed", _from_manager("database"), right, kinds=WORST),
        Pulling("nothing of Secrets Manager changed", _from_manager(), right, kinds=WORST),
    )
}
