"""A second repository, with a user of its own, and a fleet of both."""

from __future__ import annotations

from sandbox.world import REGION, REPOSITORY, SECRET, USER, WORKSPACE, Company, World

SITE, SITE_USER = "site", "site-bot"

FILE = f"""version: '1'
workspace: {WORKSPACE}
jobs:
  {USER}:
    ACTION: rotate
    IAM_USER_NAME: {USER}
    SECRET_ID: {SECRET}
    TARGETS: ['{REPOSITORY}:deployment:staging', '{REPOSITORY}:deployment:production']
  {SITE_USER}:
    ACTION: rotate
    IAM_USER_NAME: {SITE_USER}
    SECRET_ID: ci/{SITE_USER}
    TARGETS: '{SITE}:deployment:production'
  database:
    ACTION: pull
    SECRETS: secret/ci/database * | DB_
    TARGETS: 'acme/*:deployment:production'
"""


def add_site(world: World) -> None:
    """Make acme/site with an old key in Production, unless it is there."""
    if SITE not in [each.slug for each in world.bitbucket.repositories(WORKSPACE)]:
        production = world.bitbucket.add_environment(WORKSPACE, SITE, "Production", "Production")
        world.hand_over(production, world.aws.add_user(SITE_USER, key_age_days=120))


def fleet_variables(world: World, company: Company) -> dict[str, str]:
    """Return the variables of the fleet's run; a dry run writes the lock where the next run looks for it."""
    add_site(world)
    folder = world.folder
    file = folder / "keyturn.yaml"
    if not file.exists():
        # What somebody has made of it stays.
        file.write_text(FILE, encoding="utf-8")
    own = world.variables(company, oidc=True)
    for name in ("ACTION", "IAM_USER_NAME", "SECRET_ID", "TARGETS", "BITBUCKET_ACCESS_TOKEN"):
        del own[name]
    vault = {name: value for name, value in world.pull_variables(company).items() if name.startswith("VAULT_")}
    token = world.bitbucket.issue_token("workspace", company.repository.workspace)
    return {
        "ACTION": "fleet", "BITBUCKET_ACCESS_TOKEN": token.secret, "BITBUCKET_CLONE_DIR": str(folder),
        "REPORT_DIR": str(folder), "AWS_DEFAULT_REGION": REGION, **own, **vault,
    }  # fmt: skip
