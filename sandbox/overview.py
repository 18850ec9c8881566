"""What a started sandbox says about itself: what runs where, and how to run the pipe in it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from sandbox.fleet import fleet_variables
from sandbox.world import REGION, USER, World

# Where the commands that run the pipe are served; each has fresh variables, a step's token among them.
RUNS = {
    "setup": "what a rotation needs; it is there already",
    "doctor": "whether it is there",
    "rotate": "rotate deploy-bot's key, by the step's token",
    "rotate-by-keys": "the same, by an access key of its own",
    "status": "look at the keys and what the targets hold",
    "pull": "pull OpenBao's secrets into three environments",
    "replicate": "replicate them into Secrets Manager",
    "fleet-lock": "make a fleet's lock, which it needs first",
    "fleet": "run the fleet: two repositories by one file",
}
IMAGE = "keyturn:latest"
_DOCKER = "docker run --rm --read-only --cap-drop ALL --security-opt no-new-privileges --network host"
# What the README pulls, and where to.
PLACES = "deployment:test, deployment:staging, deployment:production"
SELECTORS = "secret/ci/database password | DB_PASSWORD; secret/ci/payments *; secret/ci/mobile/** * | MOBILE_"
NOTHING: Mapping[str, str] = {}
_CHECKOUT = Path(__file__).resolve().parents[1]


def overview(world: World) -> str:
    """Return the text that greets whoever has started the sandbox."""
    control = f"{world.bitbucket_url}/_sandbox/"
    places = [
        ("Page", control, "look at it and steer it here, in a browser"),
        ("Bitbucket", world.bitbucket_url, "acme/shop with three environments, acme/site with one"),
        ("AWS", world.aws_url, f"account {world.aws.account}, {REGION}, with the user {USER}"),
    ]
    to_openbao = []
    if world.vault is not None:
        places.append(("OpenBao", world.vault.url, "for .venv/bin/bao, after this line:"))
        to_openbao = ["", f"export BAO_ADDR={world.vault.url} BAO_TOKEN={world.vault.root_token}"]
    width = max(len(url) for _, url, _ in places)
    return "\n".join([
        "Keyturn's sandbox is running. Nothing in it is real; Ctrl-C ends it.", "",
        *(f"  {name:<10} {url:<{width}}  {note}" for name, url, note in places), *to_openbao, "",
        "Run the pipe from this checkout:", "",
        *_lines({f"curl -s {control}run/{name} | sh": what for name, what in runs(world).items()}), "",
        "Any variable may stand behind it:", "",
        *_lines({
            f"curl -s '{control}run/rotate?DRY_RUN=true' | sh": "show the plan",
            f"curl -s '{control}run/rotate?REVOKE=true' | sh": "refused: give a key's last letters",
            f"curl -s -d days=10 {control}clock": "let time pass",
        }), "",
        f"?image={IMAGE} behind it runs that image instead of the checkout.",
    ])  # fmt: skip


def _lines(commands: Mapping[str, str]) -> list[str]:
    """Return commands with what each does behind it, one below the other."""
    width = max(map(len, commands))
    return [f"  {command:<{width}}  # {what}" for command, what in commands.items()]


def runs(world: World) -> dict[str, str]:
    """Return the runs that this world serves commands for, and what each does."""
    of_vault = ("pull", "replicate", "fleet-lock", "fleet")
    return {name: what for name, what in RUNS.items() if world.vault or name not in of_vault}


def script(world: World, name: str, image: str = "", given: Mapping[str, str] = NOTHING) -> str:
    """Return the shell's command for one of the runs: by an image, or by the checkout with nothing of the user's own.

    `given` are variables that go before the run's own. Raises KeyError.
    """
    company = world.company or world.seed()
    by_token = world.variables(company, oidc=True)
    looking = fleet_variables(world, company) if given.get("FLEET") and world.vault else by_token
    step = {
        "BITBUCKET_WORKSPACE_UUID": company.repository.workspace.uuid,
        "BITBUCKET_REPO_UUID": company.repository.uuid,
    }
    variables = {
        "setup": lambda: {**looking, **step, "ACTION": "setup"},
        "doctor": lambda: {**looking, "ACTION": "doctor"},
        "rotate": lambda: by_token,
        "rotate-by-keys": lambda: world.variables(company),
        "status": lambda: {**looking, "ACTION": "status"},
        "pull": lambda: world.pull_variables(company, TARGETS=PLACES, SECRETS=SELECTORS),
        "replicate": lambda: world.replicate_variables(company),
        "fleet-lock": lambda: {**fleet_variables(world, company), "DRY_RUN": "true"},
        "fleet": lambda: fleet_variables(world, company),
    }[name]()
    variables |= given
    if image:
        return _command([_DOCKER, *(f"-e {each}" for each in _assigned(variables)), shlex.quote(image)])
    python = f"{shlex.quote(sys.executable)} -m pipe"
    return f"cd {shlex.quote(str(_CHECKOUT))} &&\n" + _command(["env -i", *_assigned(variables), python])


def _command(words: list[str]) -> str:
    return " \\\n  ".join(words) + "\n"


def _assigned(variables: Mapping[str, str]) -> list[str]:
    return [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
