"""What a started sandbox says about itself: what runs where, and what to paste to try the pipe in it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping

from sandbox.world import REGION, USER, Company, World

_DOCKER = "docker run --rm --read-only --cap-drop ALL --security-opt no-new-privileges --network host"
IMAGE = "keyturn:latest"


def overview(world: World, company: Company) -> str:
    """Return the text that greets whoever has started the sandbox."""
    places = [
        ("Bitbucket", f"{world.bitbucket_url}/", "look here: what each environment holds"),
        ("AWS", world.aws_url, f"account {world.aws.account}, {REGION}"),
    ]
    if world.vault is not None:
        places.append(("OpenBao", world.vault.url, f"root token {world.vault.root_token}"))
    pull = _pull(world, company) if world.vault else []
    control = f"{world.bitbucket_url}/_sandbox"
    by_keys, by_token = world.variables(company), world.variables(company, oidc=True)
    age = _age(world, company)
    parts = [
        "Keyturn's sandbox is running. Nothing in it is real; Ctrl-C ends it.",
        "\n".join(f"  {name:<10} {url:<25} {note}" for name, url, note in places),
        f"{company.repository.full_name} has the environments {_listed(list(company.environments))}. "
        f"{USER}'s access key is\n{age} days old, and {_listed(list(world.consumers()))} deploy with it.",
        "Rotate it, with the image:",
        docker_block(by_keys),
        "or with this checkout, in its folder:",
        env_block(by_keys),
        "or as a step with `oidc: true` does it, without any key; its token holds for an hour by the sandbox's clock, "
        f"and\n{control}/state has a fresh one:",
        env_block(by_token),
        *pull,
        "Then let time pass, and rotate again; ask whether every environment's pair still signs:",
        f"  curl -X POST {control}/clock -d days=10\n  curl {control}/check",
        f"{control}/state and {control}/journal tell more.",
    ]
    return "\n\n".join(parts)


def _pull(world: World, company: Company) -> list[str]:
    """Return what is said about pulling."""
    return [
        f"{len(company.secrets)} secrets are in OpenBao below secret/ci. Pull them into Staging and Production, as a "
        "step\nwith `oidc: true` does it, by such a token:",
        env_block(world.pull_variables(company)),
    ]


def docker_block(variables: Mapping[str, str]) -> str:
    """Return the command that runs the image with these variables."""
    return _block([_DOCKER, *(f"-e {_assigned(*each)}" for each in variables.items()), IMAGE])


def env_block(variables: Mapping[str, str]) -> str:
    """Return the command that runs the checkout's pipe with these variables and nothing of the user's own."""
    return _block(
        ["env -i", *(_assigned(*each) for each in variables.items()), f"{shlex.quote(sys.executable)} -m pipe"]
    )


def _block(words: list[str]) -> str:
    return "  " + " \\\n    ".join(words)


def _assigned(name: str, value: str) -> str:
    return f"{name}={shlex.quote(value)}"


def _age(world: World, company: Company) -> int:
    made = next(key.created for key in world.aws.keys(USER) if key.id == company.old_key.access_key_id)
    return (world.clock.now() - made).days


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
