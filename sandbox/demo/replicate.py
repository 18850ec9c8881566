"""Two replications, of everything and of nothing, and a pull of three of the replicas."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sandbox.bitbucket import Variable
from sandbox.demo.pull import FOLDER, problems_of, vault_of, writes_to
from sandbox.demo.stage import PIPE, head, run, tell, words
from sandbox.world import REPLICAS, Company, World


@dataclass(frozen=True)
class Act:
    """A replication, and whether it has to read and make everything, or nothing."""

    story: str
    everything: bool


ACTS = (
    Act("the first run", everything=True),
    Act("an hour later, nothing has changed", everything=False),
)

TARGET = "Test"
# What is pulled from the replicas: selectors, and the secret and key that each variable has to come from.
SELECTORS = (
    f"{REPLICAS}ci/database * | DB_; {REPLICAS}ci/mobile/apple key-id | APPLE_KEY_ID; "
    f"{REPLICAS}ci/packages token | PACKAGES_TOKEN"
)
PULLED = {
    "DB_HOST": ("database", "host"),
    "DB_USERNAME": ("database", "username"),
    "DB_PASSWORD": ("database", "password"),
    "APPLE_KEY_ID": ("mobile/apple", "key-id"),
    "PACKAGES_TOKEN": ("packages", "token"),
}

_READS = ("GetSecretValue", "BatchGetSecretValue")


def play(world: World, pipe: Sequence[str] = PIPE) -> list[str]:
    """Play all acts in a world with a Vault, and return what was not as it had to be; the first bad act is the last."""
    company = world.seed()
    count = len(company.secrets)
    tell(f"Secrets Manager is to have a replica of each of OpenBao's {count} secrets below {FOLDER}, under {REPLICAS}.")
    for act in ACTS:
        _let_pass(world)
        head(f"Replicate: {act.story}")
        code = run(pipe, world.replicate_variables(company))
        wrong = problems(world, company, act, code)
        if wrong:
            return [f"Replicate, {act.story}: {problem}" for problem in wrong]
        tell(f"✔ Checked: {_seen(company, act)}")
    _let_pass(world)
    before = held(world, company)
    head("Pull: three of the replicas, from Secrets Manager")
    code = run(pipe, pull_variables(world, company))
    wrong = problems_of_pull(world, company, before, code)
    if wrong:
        return [f"Pull from Secrets Manager: {problem}" for problem in wrong]
    tell(
        f"✔ Checked: exit code 0; {TARGET} holds {len(PULLED)} variables as OpenBao has them, all secured; the three "
        "secrets were read by one request, and OpenBao was not asked."
    )
    tell(f"✔ {count} replicas: made once, never read to be kept, and three of them are in an environment.")
    return []


def pull_variables(world: World, company: Company) -> dict[str, str]:
    """Return the pipe's variables for a pull of three replicas into one environment, by the step's token."""
    signing_in = world.variables(company, oidc=True)
    return {
        **{name: value for name, value in signing_in.items() if name.startswith(("AWS_", "BITBUCKET_"))},
        "ACTION": "pull",
        "SOURCE": "secretsmanager",
        "SECRETS": SELECTORS,
        "TARGETS": f"deployment:{TARGET}",
    }


def held(world: World, company: Company) -> Mapping[str, Variable]:
    """Return what the environment truly holds that is pulled into."""
    return world.bitbucket.variables(company.environments[TARGET])


def problems(world: World, company: Company, act: Act, code: int) -> list[str]:
    """Return every expectation of a replication that the world, looked at from outside, does not meet."""
    wrong = [] if code == 0 else [f"the pipe must exit with 0, and did with {code}"]
    vault = vault_of(world)
    # Looking for tokens is in the audit log, too.
    read = {path for _, path in vault.audited() if "/data/" in path}
    must = {path.replace("secret/", "secret/data/", 1) for path in company.secrets if act.everything}
    if read != must:
        wrong.append(f"the audit log must show reads of: {words(sorted(must))}; and shows: {words(sorted(read))}")
    if vault.tokens():
        wrong.append("the run's token must be revoked, and is not")
    wrong += _problems_of_replicas(world, company)
    asked = _asked_of_secrets_manager(world)
    writes = [each for each in asked if each not in ("ListSecrets", *_READS)]
    due = ["CreateSecret"] * len(must)
    if writes != due:
        wrong.append(f"Secrets Manager must get {len(due)} writes, each a new secret, and got: {words(writes)}")
    if set(asked) & set(_READS):
        wrong.append("no replica must be read, and one was")
    return wrong


def problems_of_pull(world: World, company: Company, before: Mapping[str, Variable], code: int) -> list[str]:
    """Return every expectation of the pull that the world, looked at from outside, does not meet."""
    wrong = [] if code == 0 else [f"the pipe must exit with 0, and did with {code}"]
    if vault_of(world).wire.journal:
        wrong.append("OpenBao must not be asked, and was")
    reads = [each for each in _asked_of_secrets_manager(world) if each in _READS]
    if reads != ["BatchGetSecretValue"]:
        wrong.append(f"one request must read all three secrets, and what read was: {words(reads)}")
    wanted = {name: company.secrets[FOLDER + path][key] for name, (path, key) in PULLED.items()}
    writes = writes_to(world, company, TARGET)
    found = problems_of(before, held(world, company), wanted, wanted, writes, source="Secrets Manager")
    return wrong + [f"{TARGET} {problem}" for problem in found]


def _problems_of_replicas(world: World, company: Company) -> Iterator[str]:
    bad = []
    for path, values in company.secrets.items():
        name = REPLICAS + path.removeprefix("secret/")
        replica = world.aws.secret(name)
        current = replica.at("AWSCURRENT") if replica and not replica.deleted else None
        if current is None or json.loads(current.body) != values:
            bad.append(name)
    if bad:
        yield f"each replica must hold what OpenBao has, and these do not: {words(bad)}"


def _let_pass(world: World) -> None:
    """Let an hour pass, and forget what was asked before."""
    world.wait(timedelta(hours=1))
    vault_of(world).forget_audit()
    for wire in (vault_of(world).wire, world.aws.wire, world.bitbucket.wire):
        wire.forget()


def _asked_of_secrets_manager(world: World) -> list[str]:
    asked = [seen.operation.partition(".") for seen in world.aws.wire.journal]
    return [operation for service, _, operation in asked if service == "secretsmanager"]


def _seen(company: Company, act: Act) -> str:
    if act.everything:
        return (
            f"exit code 0; {len(company.secrets)} secrets under {REPLICAS} hold what OpenBao has, and none of them was "
            "read; the run's token is revoked."
        )
    return "exit code 0; OpenBao's audit log has no data/ path, and Secrets Manager got no write."
