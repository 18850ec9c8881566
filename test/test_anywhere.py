"""The pipe as a whole on a company's own machines: signed in by a certificate, or refused before anything changes."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes

from pipe.access.aws import Anywhere
from pipe.access.aws_session import by_certificate
from pipe.clients.aws import Endpoint
from pipe.redact import Secret
from pipe.retry import Deadline
from sandbox.aws.policies import allowing
from sandbox.world import Company, World
from test.authority import Authority, Issued, Kind
from test.exposure import exposed
from test.support import Result, consumers, outside, run
from test.works import PREFIX, Works

SIGN_IN = "rolesanywhere.CreateSession"


class Shop:
    """A company whose key is due, and runs on its own machines."""

    def __init__(self, world: World, company: Company) -> None:
        self.world, self.company, self.works = world, company, Works(world, company)

    def run(self, issued: Issued, **changes: str | None) -> Result:
        """Run the pipe, which never shows a key, nor a certificate."""
        result = run(self.world, self.company, **self.works.variables(issued, **changes))
        assert exposed({issued.key, *issued.key.splitlines()[1:-1]}, result.output) == []
        assert not any(line in result.output for line in issued.certificate.splitlines()[1:-1])
        return result

    def rotated(self, issued: Issued, **changes: str | None) -> Result:
        """Run the pipe, which must give all targets a new key."""
        result = self.run(issued, **changes)
        assert result.code == 0, result.output
        assert result.of_aws.count(SIGN_IN) == 1
        (pair,) = consumers(self.world, self.company)
        assert pair != self.company.old_key
        assert self.world.aws.signs(pair)
        return result

    def refused(self, issued: Issued, **changes: str | None) -> str:
        """Run the pipe, which must change nothing; return all that it says."""
        before = outside(self.world, self.company)
        result = self.run(issued, **changes)
        assert result.code == 1, result.output
        assert result.last_line.startswith("✖ ")
        assert set(result.of_aws) <= {SIGN_IN}
        assert result.writes == []
        assert outside(self.world, self.company) == before
        return result.output


@pytest.fixture
def shop(world: World, company: Company) -> Shop:
    return Shop(world, company)


def in_base64(pem: str) -> str:
    return base64.b64encode(pem.encode()).decode()


@pytest.mark.parametrize(("kind", "digest"), [("p256", hashes.SHA256()), ("rsa", hashes.SHA384())], ids=["p256", "rsa"])
def test_a_key_is_rotated_on_one_s_own_machine(shop: Shop, kind: Kind, digest: hashes.HashAlgorithm) -> None:
    issued = shop.works.machines.issue("runner-1", kind=kind, digest=digest)
    result = shop.rotated(issued)
    assert f"arn:aws:sts::123456789012:assumed-role/keyturn/{issued.serial:x}" in result.output
    assert "WARNING: AWS_ROLESANYWHERE" not in result.output
    # Who it is has been told already, so that nobody is asked for it.
    assert result.of_aws.index("sts.GetCallerIdentity") > result.of_aws.index("iam.CreateAccessKey")


def test_variables_may_hold_base64_and_the_certificate_its_chain(shop: Shop) -> None:
    issued = shop.works.machines.issue("runner-1")
    shop.rotated(issued, **{
        PREFIX + "CERTIFICATE": in_base64(issued.certificate + shop.works.machines.pem),
        PREFIX + "PRIVATE_KEY": in_base64(issued.key),
        PREFIX + "CHAIN": None,
    })  # fmt: skip


def test_a_rotation_goes_on_over_days_whatever_the_machine_s_clock_says(shop: Shop) -> None:
    issued = shop.works.machines.issue("runner-1")
    shop.rotated(issued)
    shop.world.clock.move(days=11)
    result = shop.run(issued)
    assert result.code == 0, result.output
    assert [seen.status for seen in result.requests if seen.operation == SIGN_IN] == [403, 201]
    assert {key.status for key in shop.world.aws.keys("deploy-bot")} == {"Active", "Inactive"}


def test_a_session_may_do_what_role_and_profile_allow_and_no_more(shop: Shop) -> None:
    shop.works.profile.policy = allowing(["iam:*"])
    result = shop.run(shop.works.machines.issue("runner-1"))
    assert result.code == 1
    assert "secretsmanager:DescribeSecret" in result.output


def test_a_certificate_that_ends_soon_is_warned_of_in_every_run(shop: Shop) -> None:
    issued = shop.works.machines.issue("runner-1", since=-1, days=31.5)
    warning = "WARNING: AWS_ROLESANYWHERE_CERTIFICATE expires on "
    for _ in range(2):
        output = shop.run(issued).output
        assert output.count(warning) == 1
        assert ", in 30 days: renew it." in output
    assert warning not in shop.run(shop.works.machines.issue("runner-1", since=-1, days=32.5)).output


def test_an_expired_certificate_is_refused(shop: Shop) -> None:
    output = shop.refused(shop.works.machines.issue("runner-1", since=-3, days=2))
    assert "WARNING: AWS_ROLESANYWHERE_CERTIFICATE: by this machine's clock the certificate expired on " in output
    assert "renew AWS_ROLESANYWHERE_CERTIFICATE." in output.splitlines()[-1]


def test_a_foreign_certificate_is_refused(shop: Shop) -> None:
    stranger = Authority("Acme Machines", shop.world.clock.now())
    output = shop.refused(stranger.issue("runner-1"), **{PREFIX + "CHAIN": stranger.pem})
    assert "which CA the anchor has" in output
    assert shop.works.anchor.arn in output


def test_a_revoked_certificate_is_refused(shop: Shop) -> None:
    issued = shop.works.machines.issue("runner-1")
    shop.works.anchor.crls.append(shop.works.machines.revoke(issued))
    output = shop.refused(issued)
    assert f"serial number {issued.serial:x}" in output
    assert "A CRL of the trust anchor lists the certificate" in output


def test_a_key_of_another_certificate_is_refused_before_anybody_is_asked(shop: Shop) -> None:
    mine, other = shop.works.machines.issue("runner-1"), shop.works.machines.issue("runner-1")
    output = shop.refused(Issued(mine.certificate, other.key, mine.serial))
    assert "AWS_ROLESANYWHERE_PRIVATE_KEY: is the key of another certificate" in output
    assert shop.world.aws.wire.journal == []


def test_a_role_that_the_profile_does_not_list_is_refused(shop: Shop) -> None:
    other = shop.world.aws.add_role("other")
    output = shop.refused(shop.works.machines.issue("runner-1"), **{PREFIX + "ROLE_ARN": other})
    assert "Check AWS_ROLESANYWHERE_PROFILE_ARN" in output.splitlines()[-1]


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"aws:PrincipalTag/x509Subject/CN": "runner-2"}},
        {"StringEquals": {"aws:PrincipalTag/x509Issuer/CN": "Acme Root"}},
        {"StringEquals": {"aws:PrincipalTag/x509SAN/DNS": "runner-2.acme.example"}},
        {"ArnEquals": {"aws:SourceArn": "arn:aws:rolesanywhere:eu-central-1:123456789012:trust-anchor/other"}},
        {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}},
    ],
    ids=lambda condition: next(iter(next(iter(condition.values())))),
)
def test_a_condition_of_the_role_s_trust_that_is_not_met_is_refused(shop: Shop, condition: dict[str, Any]) -> None:
    shop.works.trust(condition)
    output = shop.refused(shop.works.machines.issue("runner-1", dns="runner-1.acme.example"))
    assert "Check AWS_ROLESANYWHERE_ROLE_ARN, and compare that role's trust policy" in output.splitlines()[-1]
    assert '"aws:PrincipalTag/x509Subject/CN": "runner-1"' in output


def test_the_session_goes_by_aws_s_clock_from_the_start(shop: Shop) -> None:
    shop.world.clock.move(days=40)
    issued = shop.works.machines.issue("runner-1")
    grant = shop.works.grant
    chain, key = shop.works.machines.pem, Secret(issued.key)
    way = Anywhere(grant.trust_anchor, grant.profile, grant.role, issued.certificate, key, chain)
    endpoint = Endpoint("eu-central-1", shop.world.aws_url)
    aws = by_certificate(way, 900, endpoint, Deadline())
    assert abs(aws.now() - shop.world.clock.now()) < timedelta(seconds=30)
