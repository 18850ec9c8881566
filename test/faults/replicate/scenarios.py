"""The replications that are spoilt: what the world is like before each, and what its replicas must be in the end."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.moment import Moment
from sandbox.vault import SCAN, Vault
from sandbox.world import REPLICAS, World
from test.faults.judge import MOST, WORST
from test.faults.replicate.scenario import Replicating
from test.faults.replicate.stage import Original, Stage, picture_of, right
from test.faults.runner import Runner

FOLDER = "ci/app"

# All that a replication may do; to read is not among it.
RIGHTS = tuple(
    f"secretsmanager:{action}"
    for action in (
        "ListSecrets", "DescribeSecret", "CreateSecret", "PutSecretValue", "TagResource", "UpdateSecretVersionStage",
        "DeleteSecret", "RestoreSecret",
    )
)  # fmt: skip

# For runs that differ in few requests.
FEW = ("kill-after", "403")

OWNER = "keyturn:replica"


def written(vault: Vault, path: str, values: Mapping[str, Any]) -> Original:
    """Write a secret into Vault and return it."""
    return Original(path, vault.put(path, values), values)


class _Setting:
    """A company that is being prepared: what is in its Vault by name, and every value that was ever there."""

    def __init__(self, world: World, **variables: str) -> None:
        self.world = world
        company = world.seed()
        assert world.vault is not None
        self.vault = world.vault
        self.vault.role((SCAN,))
        role = world.aws.add_role("replicator", actions=RIGHTS, trust=company.trust)
        self.variables = world.replicate_variables(
            company, SECRETS=f"secret/{FOLDER}/** *", AWS_OIDC_ROLE_ARN=role, **variables
        )
        self.now: dict[str, Original] = {}
        self.gone: set[str] = set()
        self.secrets = {self.variables["BITBUCKET_STEP_OIDC_TOKEN"]}
        for name in ("database", "payments", "session", "mobile/apple"):
            self.put(name)
        self.foreign = {f"{REPLICAS}{FOLDER}/by-hand", f"{REPLICAS}other"}
        for name in self.foreign:
            self.edit(name)
        self.listed: Moment | None = None

    def put(self, name: str) -> None:
        """Write a secret with fresh values, of any kind that JSON knows, into the folder."""
        word, letters = secrets.token_urlsafe(24), f"{secrets.token_urlsafe(16)}-größer"
        values = {"password": word, "port": 5432, "tls": True, "deep": {"letters": [letters]}}
        self.now[name] = written(self.vault, f"secret/{FOLDER}/{name}", values)
        self.secrets |= {word, letters}

    def remove(self, name: str) -> None:
        """Take a secret away with all its versions."""
        self.vault.remove(self.now[name].path)
        self.gone.add(self.now.pop(name).name)

    def edit(self, name: str) -> None:
        """Write a secret of Secrets Manager by hand."""
        value = secrets.token_urlsafe(24)
        self.world.aws.put_secret(name, value)
        self.secrets.add(value)

    def well(self, runner: Runner, **variables: str) -> None:
        """Replicate, so that the replicas are what Vault has now."""
        result = runner.run({**self.variables, **variables})
        assert result.code == 0, result.output

    def stage(self) -> Stage:
        """Return what was prepared."""
        wanted = tuple(self.now.values())
        gone = frozenset(self.gone - {each.name for each in wanted})
        first = picture_of(self.world, {each.name for each in wanted} | gone | self.foreign)
        return Stage(
            self.world, self.variables, wanted, gone, frozenset(self.foreign), frozenset(self.secrets), self.listed,
            first,
        )  # fmt: skip


def _replicated(world: World, runner: Runner) -> _Setting:
    setting = _Setting(world)
    setting.well(runner)
    return setting


def _first_run(world: World, _: Runner) -> Stage:
    return _Setting(world).stage()


def _after(change: Callable[[_Setting, Runner], None]) -> Callable[[World, Runner], Stage]:
    """Return how a world is prepared in which all was replicated, and then something has changed."""

    def prepare(world: World, runner: Runner) -> Stage:
        setting = _replicated(world, runner)
        change(setting, runner)
        return setting.stage()

    return prepare


def _nothing(_: _Setting, __: Runner) -> None:
    pass


def _changed(setting: _Setting, _: Runner) -> None:
    setting.put("database")


def _edited(setting: _Setting, _: Runner) -> None:
    """Somebody has written to two replicas."""
    for name in ("database", "payments"):
        setting.edit(setting.now[name].name)


def _edited_and_changed(setting: _Setting, _: Runner) -> None:
    setting.edit(setting.now["database"].name)
    setting.put("database")


def _pruned(setting: _Setting, _: Runner) -> None:
    """A secret was taken away, and another one deleted so that it can come back."""
    setting.variables["PRUNE"] = "true"
    setting.vault.delete(setting.now["payments"].path)
    setting.gone.add(setting.now.pop("payments").name)
    setting.remove("session")


def _restored(setting: _Setting, runner: Runner) -> None:
    """Of two secrets that were pruned, one is back as it was, and one was made anew."""
    back = setting.now["payments"]
    _pruned(setting, runner)
    setting.well(runner)
    setting.vault.undelete(back.path)
    setting.now["payments"] = back
    setting.put("session")


def _made_anew(setting: _Setting, _: Runner) -> None:
    """A secret was removed with its versions and written again, so that its version is number 1 once more."""
    setting.remove("session")
    setting.put("session")


def _taken_over(setting: _Setting, _: Runner) -> None:
    """A secret is there already by the name of a replica, made by hand."""
    setting.variables["ADOPT"] = "true"
    setting.edit(f"{REPLICAS}{FOLDER}/licence")
    setting.put("licence")


def _other_selector(setting: _Setting, _: Runner) -> None:
    """The same secrets are found by another selector, so that the tags alone are others."""
    setting.variables["SECRETS"] = "; ".join(f"{each.path} *" for each in setting.now.values())


def _list_behind(setting: _Setting, runner: Runner) -> None:
    """AWS's list is older than two replications, which made one, changed two and put one back; since then, one changed.

    So the next one writes again what is there already, and finds out when it is refused.
    """
    setting.edit(setting.now["payments"].name)
    setting.listed = setting.world.save()
    for name in ("licence", "licence", "database"):
        setting.put(name)
        setting.well(runner)
    setting.put("session")


def _by_reading(setting: _Setting, runner: Runner) -> None:
    """The same, but the only way to learn a version is to read it."""
    _other_selector(setting, runner)
    setting.vault.policy("reader", f'path "secret/data/{FOLDER}/*" {{ capabilities = ["read"] }}')
    setting.vault.role(("reader",))


def _list_before_pruning(*names: str) -> Callable[[_Setting, Runner], None]:
    """AWS's list is older than the deletion of some replicas, whose secrets are back by now."""

    def change(setting: _Setting, runner: Runner) -> None:
        setting.edit(setting.now["payments"].name)
        setting.listed = setting.world.save()
        for name in names:
            setting.vault.delete(setting.now[name].path)
        setting.well(runner, PRUNE="true")
        for name in names:
            setting.vault.undelete(setting.now[name].path)

    return change


def _two_that_the_list_does_not_show(setting: _Setting, runner: Runner) -> None:
    _list_before_pruning("session", "mobile/apple")(setting, runner)
    setting.put("session")
    _other_selector(setting, runner)


def _retagged(stage: Stage) -> list[str]:
    old = [name for name, replica in stage.look().items() if name not in stage.foreign
           and replica.tags[OWNER] == stage.at_first[name].tags[OWNER]]  # fmt: skip
    return [*(f"{name} has the old selector's tag" for name in old), *right(stage)]


def _untouched(stage: Stage) -> list[str]:
    return [] if stage.look() == stage.at_first else ["something was changed", *right(stage)]


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Replicating("first run", _first_run, right, kinds=MOST),
        Replicating("one changed", _after(_changed), right, kinds=MOST),
        Replicating("nothing changed", _after(_nothing), _untouched, kinds=WORST),
        Replicating("edited by hand", _after(_edited), right, kinds=MOST),
        Replicating("edited by hand and changed", _after(_edited_and_changed), right, kinds=WORST),
        Replicating("pruned", _after(_pruned), right, kinds=WORST),
        Replicating("restored", _after(_restored), right, kinds=MOST),
        Replicating("made anew", _after(_made_anew), right, kinds=FEW),
        Replicating("taken over", _after(_taken_over), right, kinds=WORST),
        Replicating("other selector", _after(_other_selector), _retagged, kinds=FEW),
        Replicating("other selector by reading", _after(_by_reading), _retagged, versioned=False, kinds=FEW),
        Replicating("list behind", _after(_list_behind), right, repeats=True, kinds=FEW),
        Replicating("list before pruning", _after(_list_before_pruning("payments")), right, kinds=FEW),
        Replicating("list before pruning two", _after(_two_that_the_list_does_not_show), right, kinds=FEW),
    )
}
