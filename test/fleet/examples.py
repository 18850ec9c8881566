"""The examples of the docs, each in a company that it is for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.vault import ROLE
from sandbox.world import Company, World
from test.faults.runner import PACE, Runner
from test.fleet.company import Fleet
from test.readme import blocks
from test.support import ROOT, Result

EXAMPLES = {path.name: path.read_text() for path in sorted((ROOT / "docs/fleet-examples").glob("*.yaml"))}
EXAMPLES["many-repositories.md"] = next(blocks("yaml", ROOT / "docs/many-repositories.md")).text

_ANYBODY = 'path "secret/*" { capabilities = ["read", "list", "scan"] }'


@dataclass
class Example:
    """A fleet of an example: the places of each of its jobs by the credentials' names, and its users' places.

    `places` are all that an idle run looks at, `holders` those that hold each user's pair.
    """

    fleet: Fleet
    places: dict[str, set[str]] = field(default_factory=dict)
    holders: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    pace: float = PACE

    def run(self, **variables: str | None) -> Result:
        """Run it by a fresh step's token."""
        fleet = self.fleet
        fleet.given = {
            "BITBUCKET_ACCESS_TOKEN": None, "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None,
            "BITBUCKET_STEP_OIDC_TOKEN": fleet.company.oidc_token,
        }  # fmt: skip
        return fleet.run(None, self.pace, **variables)

    def lock(self) -> Result:
        """Let a dry run write the lock, and take it over."""
        result = self.run(DRY_RUN="true")
        assert (result.code, [each for each in result.writes if "oauth2" not in each]) == (0, []), result.output
        self.fleet.lock.write_bytes(self.fleet.made_lock)
        return result

    def asked(self) -> dict[str, int]:
        """Return how many requests the last run made by each credential, by its report."""
        return {each["for"]: each["asked"] for each in self.fleet.report["credentials"]}

    def idle(self) -> dict[str, int]:
        """Return what an idle run may ask by each credential: its pages of the workspace's list, and once each place."""
        count = len(self.fleet.world.bitbucket.repositories("acme"))
        return {name: -(-count // 100) + len(places) for name, places in self.places.items()}

    def sound(self, users: Iterable[str] = ()) -> None:
        """See that these users' places, or all, hold one pair of each user that signs."""
        for user in users or self.holders:
            pairs = {self.fleet.held(*place) for place in self.holders[user]}
            assert len(pairs) == 1, user
            assert self.fleet.world.aws.signs(pairs.pop()), user

    def repository(self, slug: str, project: str, *environments: str) -> None:
        """Make a repository."""
        self.fleet.repository(slug, *environments, project=project)

    def user(self, name: str, slugs: Iterable[str], *, days: float) -> None:
        """Make a user whose key the production of these repositories holds."""
        self.holders[name] = [(slug, "Production") for slug in slugs]
        self.fleet.user(name, *slugs, days=days)


def example(name: str, world: World, runner: Runner, folder: Path, *, days: float = 30) -> Example:
    """Return an example in its company, whose users' keys are so many days old."""
    company = world.seed()
    world.aws.refusals = 0
    world.bitbucket.remove_repository("acme", "shop")
    assert world.vault is not None
    world.vault.policy("examples", _ANYBODY)
    world.vault.role(["examples"])
    token = world.bitbucket.issue_token("workspace", world.bitbucket.add_workspace("acme"))
    fleet = Fleet(world, company, runner, folder, token, secrets={token.secret})
    made = Example(fleet)
    text = _MAKERS[name](made, world, days)
    text = text.replace("https://vault.example.com:8200", world.vault.url).replace("VAULT_ROLE: keyturn", f"VAULT_ROLE: {ROLE}")
    text = text.replace("arn:aws:iam::123456789012:role/keyturn", company.role_arn)
    fleet.write(text.replace("  VAULT_NAMESPACE: platform\n", ""), head="")
    return made


def _ten(made: Example, world: World, days: float) -> str:
    """Ten repositories by one OAuth consumer."""
    vault, bitbucket = world.vault, world.bitbucket
    assert vault is not None
    slugs = ["website", "docs", *(f"svc-{number}" for number in range(8))]
    for slug in slugs:
        made.repository(slug, "MAIN", "Test", "Staging", "Production")
    made.user("ci-deploy", slugs, days=days)
    consumer = bitbucket.issue_token("oauth", bitbucket.add_workspace("acme"))
    vault.put("secret/ci/bitbucket", {"secret": consumer.secret})
    vault.put("secret/ci/database", {"password": "password-of-the-database"})
    made.fleet.secrets |= {consumer.secret, "password-of-the-database"}
    made.places = {"acme/*": {f"{slug} {each}" for slug in slugs for each in ("Staging", "Production")} - {"website Staging"}}
    return EXAMPLES["10.yaml"].replace("Ab12Cd34", consumer.user).replace(": deploy-bot\n", ": ci-deploy\n")


def _two_hundred(made: Example, world: World, days: float) -> str:
    """Two hundred repositories: 150 services in two projects, each with its user and its secrets, and 50 libraries."""
    vault, bitbucket = world.vault, world.bitbucket
    assert vault is not None
    text = EXAMPLES["200.yaml"]
    keys = {"pay": "project:PAY/*", "workspace": "*, acme:workspace"}
    tokens = {key: bitbucket.issue_token("workspace", bitbucket.add_workspace("acme")) for key in keys}
    vault.put("secret/ci/bitbucket", {key: token.secret for key, token in tokens.items()})
    vault.put("secret/ci/registry", {"token": "token-of-the-registry"})
    made.places = {name: set() for name in keys.values()}
    made.places[keys["workspace"]].add("acme")
    for number in range(150):
        slug, project = f"svc-{number:03}", "SHOP" if number < 90 else "PAY"
        made.repository(slug, project, "Staging", "Production")
        made.user(f"ci-{slug}", [slug], days=days)
        vault.put(f"secret/ci/services/{slug}/app", {"password": f"password-of-{slug}"})
        made.fleet.secrets.add(f"password-of-{slug}")
        name = keys["pay" if project == "PAY" else "workspace"]
        made.places[name] |= {f"{slug} Staging", f"{slug} Production"}
    for number in range(50):
        made.repository(f"lib-{number:02}", "SHOP")
    made.fleet.secrets |= {*(token.secret for token in tokens.values()), "token-of-the-registry"}
    return text


def _thousand(made: Example, world: World, days: float) -> str:
    """A thousand repositories in ten projects, each with its own token: 823 have a production, and 1,646 targets."""
    vault, bitbucket = world.vault, world.bitbucket
    assert vault is not None
    projects = [f"P{number}" for number in range(10)]
    tokens = {key: bitbucket.issue_token("workspace", bitbucket.add_workspace("acme")) for key in projects}
    vault.put("secret/ci/bitbucket", {key.lower(): token.secret for key, token in tokens.items()})
    made.fleet.secrets |= {token.secret for token in tokens.values()}
    of: dict[str, list[str]] = {project: [] for project in projects}
    for number in range(1000):
        archive, project = number % 25 == 0, projects[number % 10]
        slug = f"r{number:04}{'-archive' if archive else ''}"
        made.repository(slug, project, "Staging", *(["Production"] if number % 7 else []))
        if number % 7 and not archive:
            of[project].append(slug)
    for project, slugs in of.items():
        made.user(f"ci-{project}", slugs, days=days)
        made.places[f"project:{project}/*"] = {f"{slug} Production" for slug in slugs}
        vault.put(f"secret/ci/projects/{project}/app", {"password": f"password-of-{project}-app"})
        made.fleet.secrets.add(f"password-of-{project}-app")
    return EXAMPLES["1000.yaml"]


_MAKERS = {"10.yaml": _ten, "200.yaml": _two_hundred, "1000.yaml": _thousand}
