"""A pull from Parameter Store from beginning to end."""

from __future__ import annotations

import json

import pytest

from pipe.permissions import Home, allowing, document, needed_to_pull_parameters
from pipe.selectors import read_selectors
from sandbox.wire import Fault
from sandbox.world import REGION, USER, Company, World
from test.faults.runner import Runner
from test.pull.case import STATE
from test.pull.manager import WHO, ManagerCase
from test.support import Result

LISTS, READS = "ssm.DescribeParameters", "ssm.GetParameters"
HOME = Home("aws", "123456789012", REGION)


class StoreCase(ManagerCase):
    """A case that pulls from Parameter Store; it has four parameters below /ci."""

    def __init__(self, world: World, company: Company, runner: Runner) -> None:
        super().__init__(world, company, runner)
        self.given |= {"SOURCE": "ssm", "SECRETS": "/ci/** *"}
        self.store_one("/ci/db/password", "the-first-password-of-the-db")
        self.store_one("/ci/app", json.dumps({"user": "shop-application", "token": "the-first-token-of-the-app"}))
        self.store_one("/ci/hosts", "one.example.com,two.example.com", "StringList")
        self.store_one("/ci/eu/region", "eu-central-region", "String")
        self.forget()

    def store_one(self, name: str, value: str, kind: str = "SecureString") -> None:
        """Write a parameter, and listen for what is in it."""
        self.secrets.add(value)
        if value.startswith("{"):
            self.heard({name: json.loads(value)})
        self.aws.put_parameter(name, value, kind)

    def reads(self, result: Result) -> list[str]:
        return [each for each in result.of_aws if each == READS]

    def by(self, *statements: object) -> None:
        """Let runs sign in as somebody who may do no more than this."""
        self.aws.set_policy(USER, json.dumps({"Version": "2012-10-17", "Statement": statements}))
        self.given |= self.signing(self.company.old_key)


@pytest.fixture
def stored(vaulted: World, runner: Runner) -> StoreCase:
    """Return a company with four parameters below /ci in Parameter Store."""
    company = vaulted.seed()
    vaulted.aws.refusals = 0
    return StoreCase(vaulted, company, runner)


def test_first_run_writes_everything_and_the_second_reads_and_writes_nothing(stored: StoreCase) -> None:
    first = stored.well()
    expected = {
        "DB_PASSWORD": "the-first-password-of-the-db",
        "APP_USER": "shop-application",
        "APP_TOKEN": "the-first-token-of-the-app",
        "HOSTS": "one.example.com,two.example.com",
        "EU_REGION": "eu-central-region",
    }
    for scope in (stored.staging, stored.production):
        assert expected.items() <= stored.held(scope).items()
        assert all(stored.world.bitbucket.variables(scope)[name].secured for name in expected)
    assert first.of_aws == [WHO, LISTS, READS]
    second = stored.idle()
    assert "all is unchanged" in second.last_line
    assert second.of_aws == [WHO, LISTS]


def test_only_what_has_changed_is_read(stored: StoreCase) -> None:
    for number in range(24):
        stored.store_one(f"/ci/bulk/{number:02}", f"value-of-the-bulk-{number:02}")
    assert stored.well().of_aws == [WHO, LISTS, *[READS] * 3]
    stored.store_one("/ci/db/password", "the-second-password-of-the-db")
    changed = stored.well()
    assert changed.of_aws == [WHO, LISTS, READS]
    assert stored.written(changed) == 2
    assert stored.held(stored.production)["DB_PASSWORD"] == "the-second-password-of-the-db"
    stored.idle()


def test_one_by_one_with_names_fields_and_whole_texts(stored: StoreCase) -> None:
    stored.store_one("plain", "a-plain-value-without-slash")
    result = stored.well(
        SECRETS="/ci/db/password; /ci/app token; /ci/app | APP; /ci/app user | WHO; plain; /ci/hosts * | ALL_"
    )
    assert stored.reads(result) == [READS]
    expected = {
        "CI_DB_PASSWORD": "the-first-password-of-the-db",
        "TOKEN": "the-first-token-of-the-app",
        "APP": json.dumps({"user": "shop-application", "token": "the-first-token-of-the-app"}),
        "WHO": "shop-application",
        "PLAIN": "a-plain-value-without-slash",
        "ALL_CI_HOSTS": "one.example.com,two.example.com",
    }
    assert stored.wanted(*expected) == expected
    stored.well(SECRETS="/ci/** | WHOLE_")
    assert set(stored.held(stored.staging)) >= {"WHOLE_APP", "WHOLE_DB_PASSWORD", "WHOLE_EU_REGION", "WHOLE_HOSTS"}


def test_what_is_not_there_refuses_the_run_or_is_told(stored: StoreCase) -> None:
    assert "“/ci/nix”: nothing is there" in stored.refused(SECRETS="/ci/nix; /ci/hosts")
    assert "“/ci/app nix”: the secret has no key nix" in stored.refused(SECRETS="/ci/app nix")
    assert "/ci/nix" in stored.well(SECRETS="/ci/nix; /ci/hosts", ON_MISSING="keep").output


def test_what_is_deleted_stays_until_it_may_be_pruned(stored: StoreCase) -> None:
    stored.well()
    before = stored.held(stored.staging)
    stored.aws.delete_parameter("/ci/hosts")
    assert "/ci/hosts is not there any more" in stored.well().output
    assert stored.held(stored.staging) == before
    pruned = stored.well(PRUNE="true")
    assert stored.reads(pruned) == [READS], "it is asked for by itself before it is taken for gone"
    assert stored.held(stored.staging).keys() == before.keys() - {"HOSTS"}


def test_a_parameter_that_goes_between_list_and_read_is_deleted(stored: StoreCase) -> None:
    stored.spoil(Fault(READS, "call", call=lambda: stored.aws.delete_parameter("/ci/hosts")))
    result = stored.well()
    assert "/ci/hosts: its current version is deleted" in result.output
    assert "HOSTS" not in stored.held(stored.staging)
    stored.mend()
    assert "HOSTS" not in stored.well().output


def test_a_parameter_that_was_made_anew_is_read_although_its_number_is_the_same(stored: StoreCase) -> None:
    stored.well()
    stored.aws.delete_parameter("/ci/hosts")
    stored.world.clock.move(seconds=30)
    stored.store_one("/ci/hosts", "three.example.com", "StringList")
    assert stored.reads(stored.well()) == [READS]
    assert stored.held(stored.staging)["HOSTS"] == "three.example.com"


def test_a_throttled_run_goes_on(stored: StoreCase) -> None:
    stored.spoil(Fault(LISTS, "429-bare", times=2), Fault(READS, "429-hint", times=2))
    stored.well()
    stored.mend()
    stored.idle()


def test_what_is_denied_is_denied_alone(stored: StoreCase) -> None:
    stored.by(
        {"Effect": "Allow", "Action": "ssm:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "ssm:GetParameters", "Resource": f"arn:aws:ssm:{REGION}:*:parameter/ci/hosts"},
    )
    result = stored.run()
    assert result.code == 2, result.output
    assert "read /ci/hosts: AWS: ssm:GetParameters failed" in result.output
    assert stored.held(stored.staging)["DB_PASSWORD"] == "the-first-password-of-the-db"


NEEDED = allowing(needed_to_pull_parameters(HOME, read_selectors("/ci/** *", "ssm")[0]))


def test_its_policy_is_enough(stored: StoreCase) -> None:
    stored.by(*NEEDED)
    stored.well()
    stored.idle()


@pytest.mark.parametrize("lacking", range(2))
def test_without_a_permission_it_says_which_and_writes_nothing(stored: StoreCase, lacking: int) -> None:
    stored.by(*(each for number, each in enumerate(NEEDED) if number != lacking))
    result = stored.run()
    assert result.code == 1, result.output
    assert NEEDED[lacking]["Action"] in result.output
    assert stored.written(result) == 0


def test_the_smallest_session_may_read_what_is_named_and_nothing_else(stored: StoreCase) -> None:
    given = {
        "AWS_OIDC_ROLE_ARN": stored.company.role_arn,
        "BITBUCKET_STEP_OIDC_TOKEN": stored.company.oidc_token,
        "AWS_ACCESS_KEY_ID": None,
        "AWS_SECRET_ACCESS_KEY": None,
        "AWS_SESSION_POLICY": "minimal",
    }
    stored.well(**given)
    stored.aws.put_parameter("/other/secret", "of-somebody-else")
    (role,) = {each for each in stored.well(**given).of_aws if each.startswith("sts.")}
    assert role == "sts.AssumeRoleWithWebIdentity"


@pytest.mark.parametrize(
    ("text", "action", "resource"),
    [
        ("/ci/** *", "ssm:GetParameters", "arn:aws:ssm:eu-central-1:123456789012:parameter/ci/*"),
        ("/ci/db a; /ci/db b", "ssm:GetParameters", "arn:aws:ssm:eu-central-1:123456789012:parameter/ci/db"),
        ("plain", "ssm:GetParameters", "arn:aws:ssm:eu-central-1:123456789012:parameter/plain"),
    ],
)
def test_its_policy_names_the_parameters_and_no_more(text: str, action: str, resource: str) -> None:
    everything, reading = document(allowing(needed_to_pull_parameters(HOME, read_selectors(text, "ssm")[0])))[
        "Statement"
    ]
    assert (everything["Action"], everything["Resource"]) == ("ssm:DescribeParameters", "*")
    assert (reading["Action"], reading["Resource"]) == (action, resource)


def test_the_region_is_needed(stored: StoreCase) -> None:
    assert "AWS_DEFAULT_REGION: needed; the region of the secrets" in stored.refused(AWS_DEFAULT_REGION=None)


def test_a_dry_run_writes_nothing(stored: StoreCase) -> None:
    result = stored.well(DRY_RUN="true")
    assert result.writes == []
    assert STATE not in stored.world.bitbucket.variables(stored.staging)


def test_the_doctor_tries_what_it_needs(stored: StoreCase) -> None:
    stored.by(*NEEDED)
    well = stored.run(ACTION="doctor", SETUP_ACTIONS="pull")
    assert "/ci/** *" in well.output
    assert "it finds 4 secrets" in well.output
    assert "ssm:" not in well.last_line
    stored.by(NEEDED[0])
    lacking = stored.run(ACTION="doctor", SETUP_ACTIONS="pull")
    assert lacking.code == 1, lacking.output
    assert "ssm:GetParameters" in lacking.last_line
