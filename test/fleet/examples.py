"""The examples of the docs, each in a company that it is for, and what becomes of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from sandbox.bitbucket import Bitbucket
from sandbox.vault import ROLE, Vault
from sandbox.world import World
from test.faults.runner import Runner
from test.fleet.company import Fleet
from test.readme import blocks
from test.support import ROOT, Result

EXAMPLES = {path.name: path.read_text() for path in sorted((ROOT / "docs/fleet-examples").glob("*.yaml"))}
EXAMPLES["many-repositories.md"] = next(blocks("yaml", ROOT / "docs/many-repositories.md")).text

_ALL = 'path "secret/*" { capabilities = ["read", "list", "scan"] }'


class Chapter(NamedTuple):
    """One run of an example: what had happened, how it ended, and the requests by credential beside the arithmetic."""

    what: str
    result: Result
    asked: Mapping[str, int]
    allowed: Mapping[str, int]


@dataclass
class Example:
    """A fleet of an example.

    By credential, `places` are all that an idle run looks at, `pulled` is how many a pull writes, and `listed` how many
    repositories a plan lists the environments of; `holders` are the repositories whose production holds a user's pair,
    `secret` is one that some places get, and how many these are.
    `scene` are the slugs that are added, renamed, moved, deleted and taken, each in its project.
    """

    fleet: Fleet
    text: str = ""
    places: dict[str, set[str]] = field(default_factory=dict)
    pulled: dict[str, int] = field(default_factory=dict)
    listed: dict[str, int] = field(default_factory=dict)
    holders: dict[str, list[str]] = field(default_factory=dict)
    secret: tuple[str, str, dict[str, int]] = ("", "", {})
    scene: tuple[tuple[str, str], ...] = ()
    rotated: int = 90

    def run(self, **variables: str | None) -> Result:
        """Run it by a fresh step's token."""
        fleet = self.fleet
        fleet.given = {
            "BITBUCKET_ACCESS_TOKEN": None, "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None,
            "BITBUCKET_STEP_OIDC_TOKEN": fleet.company.oidc_token,
        }  # fmt: skip
        return fleet.run(**variables)

    def lock(self) -> Result:
        """Let a dry run write the lock, and take it over."""
        result = self.run(DRY_RUN="true")
        assert (result.code, [each for each in result.writes if "oauth2" not in each]) == (0, []), result.output
        self.fleet.lock.write_bytes(self.fleet.made_lock)
        return result

    def asked(self) -> dict[str, int]:
        """Return how many requests the last run made by each credential, by its report."""
        return {each["for"]: each["asked"] for each in self.fleet.report["credentials"]}

    def sound(self) -> None:
        """See that all places of each user hold one pair of it that signs."""
        for user, slugs in self.holders.items():
            pairs = {self.fleet.held(slug) for slug in slugs}
            assert len(pairs) == 1, user
            assert self.fleet.world.aws.signs(pairs.pop()), user

    def user(self, name: str, slugs: Iterable[str]) -> None:
        """Make a user whose key the production of these repositories holds; the first one's is older than all."""
        self.holders[name] = list(slugs)
        self.fleet.user(name, *self.holders[name], days=10 if len(self.holders) > 1 else 30)

    def story(self) -> Iterator[Chapter]:
        """Plan, run and rotate it, and let things become of its repositories; nothing reaches an unreviewed place."""
        bitbucket, vault = self.fleet.world.bitbucket, self.fleet.world.vault
        assert vault is not None
        planned = self.lock()
        yield Chapter("planned", planned, self.asked(), self._more(self.listed, idle=False))
        yield self._chapter("first run", {name: 3 * count for name, count in self.pulled.items()})
        yield self._chapter("idle")
        path, value, written = self.secret
        vault.put(path, {"password": value})
        self.fleet.secrets.add(value)
        yield self._chapter("one secret changed", {name: 3 * count for name, count in written.items()})
        self.fleet.world.clock.move(days=self.rotated - 29)
        user, slugs = next(iter(self.holders.items()))
        of = next(name for name, places in self.places.items() if f"{slugs[0]} Production" in places)
        yield self._chapter(f"one key due ({user})", {of: 4 * len(slugs)})
        (added, project), (renamed, _), (moved, to), (deleted, _), (taken, its) = self.scene
        self.fleet.repository(added, "Staging", "Production", project=project)
        strangers = [self.fleet.environment(added), self.fleet.environment(added, "Staging")]
        yield self._chapter("added")
        self.fleet.repository("other", "Production", project="ELSEWHERE")
        bitbucket.move_repository("acme", renamed, to=f"{renamed}-now")
        self._rename(renamed, f"{renamed}-now")
        yield self._chapter("renamed")
        bitbucket.move_repository("acme", moved, project=to)
        # Where each project has its own credential, it is the new one's that looks.
        yield self._chapter("moved", {name: 2 for name in self.places if to in name})
        bitbucket.remove_repository("acme", deleted)
        for slugs in self.holders.values():
            if deleted in slugs:
                slugs.remove(deleted)
        self.holders = {user: slugs for user, slugs in self.holders.items() if slugs}
        # Nobody knows the project of what is gone: the first credential looks whether it is.
        looking = {name: 2 for name in self.places if to in name}
        looking[next(iter(self.places))] = looking.get(next(iter(self.places)), 0) + 1
        yield self._chapter("deleted", looking)
        bitbucket.move_repository("acme", taken, to=f"{taken}-gone", project="ELSEWHERE")
        self._rename(taken, f"{taken}-gone")
        bitbucket.move_repository("acme", "other", to=taken, project=its)
        strangers.append(self.fleet.environment(taken))
        # What is gone is still in the lock, so that it is looked for again.
        yield self._chapter("name taken", looking)
        assert [bitbucket.variables(each) for each in strangers] == [{}] * len(strangers)

    def _chapter(self, what: str, more: Mapping[str, int] = MappingProxyType({})) -> Chapter:
        result = self.run()
        assert result.code == 0, result.output
        self.sound()
        return Chapter(what, result, self.asked(), self._more(more))

    def _more(self, more: Mapping[str, int], *, idle: bool = True) -> dict[str, int]:
        pages = -(-len(self.fleet.world.bitbucket.repositories("acme")) // 100)
        return {name: pages + (len(places) if idle else 0) + more.get(name, 0) for name, places in self.places.items()}

    def _rename(self, old: str, new: str) -> None:
        self.holders = {user: [new if each == old else each for each in slugs] for user, slugs in self.holders.items()}


def example(name: str, world: World, runner: Runner, folder: Path) -> Example:
    """Return an example in its company; the first user's key is 30 days old, the others' ten."""
    company = world.seed()
    world.aws.refusals = 0
    world.bitbucket.remove_repository("acme", "shop")
    assert world.vault is not None
    world.vault.policy("examples", _ALL)
    world.vault.role(["examples"])
    token = world.bitbucket.issue_token("workspace", world.bitbucket.add_workspace("acme"))
    made = Example(Fleet(world, company, runner, folder, token, secrets={token.secret}), EXAMPLES[name])
    _MAKERS[name](made, world.vault, world.bitbucket)
    text = made.text.replace("https://vault.example.com:8200", world.vault.url)
    text = text.replace("arn:aws:iam::123456789012:role/keyturn", company.role_arn)
    text = text.replace("VAULT_ROLE: keyturn", f"VAULT_ROLE: {ROLE}").replace("  VAULT_NAMESPACE: platform\n", "")
    made.fleet.write(text, head="")
    return made


def _ten(made: Example, vault: Vault, bitbucket: Bitbucket) -> None:
    """Ten repositories by one OAuth consumer."""
    slugs = ["website", "docs", *(f"svc-{number}" for number in range(8))]
    for slug in slugs:
        made.fleet.repository(slug, "Test", "Staging", "Production")
    made.user("ci-deploy", slugs)
    consumer = bitbucket.issue_token("oauth", bitbucket.add_workspace("acme"))
    vault.put("secret/ci/bitbucket", {"secret": consumer.secret})
    vault.put("secret/ci/database", {"password": "password-of-the-database"})
    made.fleet.secrets |= {consumer.secret, "password-of-the-database"}
    both = {f"{slug} {each}" for slug in slugs for each in ("Staging", "Production")}
    made.places = {"acme/*": both - {"website Staging"}}
    made.pulled, made.listed = {"acme/*": 18}, {"acme/*": 10}
    made.secret = "secret/ci/database", "another-password-of-the-database", made.pulled
    made.scene = ("svc-99", "MAIN"), ("svc-1", ""), ("svc-2", "OTHER"), ("svc-3", ""), ("svc-4", "MAIN")
    made.text = made.text.replace("Ab12Cd34", consumer.user).replace(": deploy-bot\n", ": ci-deploy\n")


def _two_hundred(made: Example, vault: Vault, bitbucket: Bitbucket) -> None:
    """Two hundred repositories: 150 services in two projects, each with its user and its secrets, and 50 libraries."""
    pay, rest = "project:PAY/*", "*, acme:workspace"
    tokens = {key: bitbucket.issue_token("workspace", bitbucket.add_workspace("acme")) for key in ("pay", "workspace")}
    vault.put("secret/ci/bitbucket", {key: token.secret for key, token in tokens.items()})
    vault.put("secret/ci/registry", {"token": "token-of-the-registry"})
    made.fleet.secrets |= {*(token.secret for token in tokens.values()), "token-of-the-registry"}
    made.places = {pay: set(), rest: {"acme"}}
    for number in range(150):
        slug, project = f"svc-{number:03}", "SHOP" if number < 90 else "PAY"
        made.fleet.repository(slug, "Staging", "Production", project=project)
        made.user(f"ci-{slug}", [slug])
        vault.put(f"secret/ci/services/{slug}/app", {"password": f"password-of-{slug}"})
        made.fleet.secrets.add(f"password-of-{slug}")
        made.places[pay if project == "PAY" else rest] |= {f"{slug} Staging", f"{slug} Production"}
    for number in range(50):
        made.fleet.repository(f"lib-{number:02}", project="SHOP")
    made.pulled = {name: len(places) for name, places in made.places.items()}
    made.listed = {pay: 60, rest: 90}
    made.secret = "secret/ci/services/svc-007/app", "another-password-of-svc-007", {rest: 2}
    made.scene = ("svc-999", "PAY"), ("svc-001", ""), ("svc-002", "PAY"), ("svc-003", ""), ("svc-004", "SHOP")
    made.rotated = 75


def _thousand(made: Example, vault: Vault, bitbucket: Bitbucket) -> None:
    """A thousand repositories in ten projects, each with its own token: 823 have a production, and 1,646 targets."""
    projects = [f"P{number}" for number in range(10)]
    tokens = {key: bitbucket.issue_token("workspace", bitbucket.add_workspace("acme")) for key in projects}
    vault.put("secret/ci/bitbucket", {key.lower(): token.secret for key, token in tokens.items()})
    made.fleet.secrets |= {token.secret for token in tokens.values()}
    of: dict[str, list[str]] = {project: [] for project in projects}
    for number in range(1000):
        archive, project = number % 25 == 0, projects[number % 10]
        slug = f"r{number:04}{'-archive' if archive else ''}"
        made.fleet.repository(slug, "Staging", *(["Production"] if number % 7 else []), project=project)
        if number % 7 and not archive:
            of[project].append(slug)
    for project, slugs in of.items():
        made.user(f"ci-{project}", slugs)
        made.places[f"project:{project}/*"] = {f"{slug} Production" for slug in slugs}
        vault.put(f"secret/ci/projects/{project}/app", {"password": f"password-of-{project}-app"})
        made.fleet.secrets.add(f"password-of-{project}-app")
    made.pulled = {name: len(places) for name, places in made.places.items()}
    # What is archived is left out by its name; whether there is a production is only known from the list.
    made.listed = {f"project:P{number}/*": 80 if number in (0, 5) else 100 for number in range(10)}
    seventh = "project:P7/*"
    made.secret = "secret/ci/projects/P7/app", "another-password-of-P7", {seventh: made.pulled[seventh]}
    made.scene = ("r9999", "P3"), ("r0001", ""), ("r0002", "P3"), ("r0003", ""), ("r0004", "P4")
    made.rotated = 60


_MAKERS = {"10.yaml": _ten, "200.yaml": _two_hundred, "1000.yaml": _thousand}
