"""Three pulls: everything, nothing, and the one secret that has changed."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pipe.values import count
from sandbox.bitbucket import Variable
from sandbox.demo.stage import FOLDER, PIPE, an_hour_later, head, of_variables, of_vault, run, tell, words
from sandbox.vault import Vault
from sandbox.world import Company, World

TARGETS = ("Staging", "Production")


@dataclass(frozen=True)
class Act:
    """A run and what of Vault it has to read: the secrets that have changed since the one before, None for all."""

    story: str
    changed: Collection[str] | None


ACTS = (
    Act("the first pull", changed=None),
    Act("an hour later, nothing has changed", changed=()),
    Act("another hour later, one secret has changed", changed=("secret/ci/packages",)),
)

# What environments hold, by the names that the demo has for them.
Held = Mapping[str, Mapping[str, Variable]]


def play(world: World, pipe: Sequence[str] = PIPE) -> list[str]:
    """Play all acts in a world with a Vault, and return what was not as it had to be; the first bad act is the last."""
    company = world.seed()
    tell(f"OpenBao has {len(company.secrets)} secrets below {FOLDER}; steps sign in there with their own OIDC token.")
    for act in ACTS:
        vault = an_hour_later(world)
        for path in act.changed or ():
            company.secrets[path] = {key: secrets.token_urlsafe(24) for key in company.secrets[path]}
            vault.put(path, company.secrets[path])
        before = held(world, company)
        head(f"Pull: {act.story}")
        vault.forget_audit()
        wrong = run(pipe, world.pull_variables(company)) + problems(world, vault, company, act, before)
        if wrong:
            return [f"Pull, {act.story}: {problem}" for problem in wrong]
        changed = _changed(company, act)
        tell(
            f"✔ Checked: exit code 0; {words(TARGETS)} hold what OpenBao has, all secured, and what else was there is "
            f"as it was; read in OpenBao: {count(len(changed), 'secret')}; written in each: "
            f"{count(len(_wanted(company, changed)), 'variable')}; the run's token is revoked."
        )
    tell("✔ 3 pulls: both environments have what OpenBao has, and nothing was read or written but what had changed.")
    return []


def held(world: World, company: Company) -> Held:
    """Return what the environments truly hold."""
    return {name: world.bitbucket.variables(company.environments[name]) for name in TARGETS}


def problems(world: World, vault: Vault, company: Company, act: Act, before: Held) -> list[str]:
    """Return every expectation of an act that the world, looked at from outside, does not meet."""
    wanted, changed = _wanted(company, company.secrets), _wanted(company, _changed(company, act))
    # One more write remembers the others.
    writes = len(changed) + 1 if changed else 0
    return [*of_vault(vault, _changed(company, act))] + [
        problem
        for name in TARGETS
        for problem in of_variables(world, company.environments[name], before[name], wanted, writes)
    ]


def _changed(company: Company, act: Act) -> Collection[str]:
    return company.secrets if act.changed is None else act.changed


def _wanted(company: Company, paths: Collection[str]) -> dict[str, str]:
    """Return the variables that secrets have to give."""
    return {
        f"{path.removeprefix(FOLDER)}/{key}".replace("/", "_").replace("-", "_").upper(): value
        for path in paths
        for key, value in company.secrets[path].items()
    }
