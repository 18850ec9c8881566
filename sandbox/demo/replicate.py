"""Two replications, of everything and of nothing, and a pull of three of the replicas."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from sandbox.bitbucket import Variable
from sandbox.demo.stage import FOLDER, PIPE, an_hour_later, head, of_variables, of_vault, run, tell, words
from sandbox.vault import Vault
from sandbox.world import REPLICAS, Company, World

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
    for story, copied in (("the first run", count), ("an hour later, nothing has changed", 0)):
        vault = an_hour_later(world)
        head(f"Replicate: {story}")
        wrong = run(pipe, world.replicate_variables(company)) + problems(world, vault, company, everything=bool(copied))
        if wrong:
            return [f"Replicate, {story}: {problem}" for problem in wrong]
        tell(
            f"✔ Checked: exit code 0; {count} secrets under {REPLICAS} hold what OpenBao has; read in OpenBao "
            f"and made: {copied}; read in Secrets Manager: 0; the run's token is revoked."
        )
    vault = an_hour_later(world)
    before = world.bitbucket.variables(company.environments[TARGET])
    head("Pull: three of the replicas, from Secrets Manager")
    wrong = run(pipe, pull_variables(world, company)) + problems_of_pull(world, vault, company, before)
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


def problems(world: World, vault: Vault, company: Company, *, everything: bool) -> list[str]:
    """Return every expectation of a replication that the world, looked at from outside, does not meet."""
    return [*of_vault(vault, company.secrets if everything else ()), *_of_replicas(world, company, everything)]


def _of_replicas(world: World, company: Company, everything: bool) -> Iterator[str]:
    bad = []
    for path, values in company.secrets.items():
        name = REPLICAS + path.removeprefix("secret/")
        replica = world.aws.secret(name)
        current = replica.at("AWSCURRENT") if replica and not replica.deleted else None
        if current is None or json.loads(current.body) != values:
            bad.append(name)
    if bad:
        yield f"each replica must hold what OpenBao has, and these do not: {words(bad)}"
    asked = [each for each in _asked_of_secrets_manager(world) if each != "ListSecrets"]
    due = ["CreateSecret"] * len(company.secrets) * everything
    if asked != due:
        yield f"Secrets Manager must make {len(due)} secrets and no more, and did: {words(asked)}"


def problems_of_pull(world: World, vault: Vault, company: Company, before: Mapping[str, Variable]) -> list[str]:
    """Return every expectation of the pull that the world, looked at from outside, does not meet."""
    wrong = ["OpenBao must not be asked, and was"] if vault.wire.journal else []
    reads = [each for each in _asked_of_secrets_manager(world) if each in _READS]
    if reads != ["BatchGetSecretValue"]:
        wrong.append(f"one request must read all three secrets, and what read was: {words(reads)}")
    wanted = {name: company.secrets[FOLDER + path][key] for name, (path, key) in PULLED.items()}
    return [*wrong, *of_variables(world, company.environments[TARGET], before, wanted, len(wanted) + 1)]


def _asked_of_secrets_manager(world: World) -> list[str]:
    asked = [seen.operation.partition(".") for seen in world.aws.wire.journal]
    return [operation for service, _, operation in asked if service == "secretsmanager"]
