"""Three pulls: everything, nothing, and the one secret that has changed."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sandbox.bitbucket import Variable
from sandbox.demo.stage import PIPE, head, run, tell, words
from sandbox.vault import Vault
from sandbox.world import Company, World

TARGETS = ("Staging", "Production")
STATE = "KEYTURN_STATE"
FOLDER = "secret/ci/"


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
    company, vault = world.seed(), vault_of(world)
    tell(f"OpenBao has {len(company.secrets)} secrets below {FOLDER}; steps sign in there with their own OIDC token.")
    for act in ACTS:
        world.wait(timedelta(hours=1))
        _change(vault, company, act)
        before = held(world, company)
        vault.forget_audit()
        world.bitbucket.wire.forget()
        head(f"Pull: {act.story}")
        code = run(pipe, world.pull_variables(company))
        wrong = problems(world, company, act, before, code)
        if wrong:
            return [f"Pull, {act.story}: {problem}" for problem in wrong]
        tell(f"✔ Checked: {_seen(company, act)}")
    tell("✔ 3 pulls: both environments have what OpenBao has, and nothing was read or written but what had changed.")
    return []


def held(world: World, company: Company) -> Held:
    """Return what the environments truly hold."""
    return {name: world.bitbucket.variables(company.environments[name]) for name in TARGETS}


def problems(world: World, company: Company, act: Act, before: Held, code: int) -> list[str]:
    """Return every expectation of an act that the world, looked at from outside, does not meet."""
    vault = vault_of(world)
    wrong = [] if code == 0 else [f"the pipe must exit with 0, and did with {code}"]
    # Looking for tokens is in the audit log, too.
    read = sorted({path for _, path in vault.audited() if "/data/" in path})
    must = sorted(_api(path) for path in _changed(company, act))
    if read != must:
        wrong.append(f"the audit log must show reads of: {words(must)}; and shows: {words(read)}")
    if vault.tokens():
        wrong.append("the run's token must be revoked, and is not")
    wanted, changed = _wanted(company, company.secrets), _wanted(company, _changed(company, act))
    for name, after in held(world, company).items():
        found = problems_of(before[name], after, wanted, changed, writes_to(world, company, name))
        wrong += [f"{name} {problem}" for problem in found]
    return wrong


def problems_of(
    before: Mapping[str, Variable],
    after: Mapping[str, Variable],
    wanted: Mapping[str, str],
    changed: Collection[str],
    writes: Collection[str],
    *,
    source: str = "OpenBao",
) -> Iterator[str]:
    """Yield what is wrong with an environment that has to hold `wanted`, of which the names `changed` were written."""
    bad = [key for key, value in wanted.items() if key not in after or after[key].value != value]
    if bad:
        yield f"must hold what {source} has, and does not in: {words(bad)}"
    unsecured = [key for key in wanted if key in after and not after[key].secured]
    if unsecured:
        yield f"must hold secured variables, and these are not: {words(unsecured)}"
    others = (before.keys() | after.keys()) - wanted.keys() - {STATE}
    touched = sorted(key for key in others if before.get(key) != after.get(key))
    if touched:
        yield f"must keep what is not from {source}, and these have changed: {words(touched)}"
    # One more write remembers the others.
    due = len(changed) + 1 if changed else 0
    if len(writes) != due:
        yield f"must get {due} writes, and got {len(writes)}"
    # A variable keeps its uuid, which each write of it names.
    idle = [key for key in before if key not in (*changed, STATE)]
    needless = [key for key in idle if any(before[key].uuid in write for write in writes)]
    if needless:
        yield f"must not get what it has, and got: {words(needless)}"


def _change(vault: Vault, company: Company, act: Act) -> None:
    """Give the secrets that an act is about other values, as somebody does by hand."""
    for path in act.changed or ():
        company.secrets[path] = {key: secrets.token_urlsafe(24) for key in company.secrets[path]}
        vault.put(path, company.secrets[path])


def _changed(company: Company, act: Act) -> Collection[str]:
    return company.secrets if act.changed is None else act.changed


def _wanted(company: Company, paths: Collection[str]) -> dict[str, str]:
    """Return the variables that secrets have to give."""
    return {
        f"{path.removeprefix(FOLDER)}/{key}".replace("/", "_").replace("-", "_").upper(): value
        for path in paths
        for key, value in company.secrets[path].items()
    }


def writes_to(world: World, company: Company, name: str) -> list[str]:
    """Return the writes to an environment that Bitbucket has got."""
    uuid = company.environments[name].uuid
    asked = [seen.operation for seen in world.bitbucket.wire.journal]
    return [operation for operation in asked if uuid in operation and not operation.startswith("GET ")]


def _api(path: str) -> str:
    return path.replace("secret/", "secret/data/", 1)


def _seen(company: Company, act: Act) -> str:
    changed = _wanted(company, _changed(company, act))
    count = f"{len(changed)} variable{'' if len(changed) == 1 else 's'}"
    if act.changed is None:
        return (
            f"exit code 0; {words(TARGETS)} hold {count} as OpenBao has them, all secured; what else was there is as "
            "it was; the run's token is revoked."
        )
    if not changed:
        return "exit code 0; OpenBao's audit log has no data/ path, and Bitbucket got no write."
    return (
        f"exit code 0; of data/, OpenBao's audit log has {words([*map(_api, act.changed)])} alone; {count} was written "
        f"in each of {words(TARGETS)}."
    )


def vault_of(world: World) -> Vault:
    """Return the Vault of a world that has one."""
    if world.vault is None:
        raise RuntimeError("this world has no Vault")
    return world.vault
