"""Sessions by a certificate: what is sent, how often, and what a refusal is told as."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes

from pipe.clients.certificate import Grant, read
from pipe.clients.rolesanywhere import Given, RolesAnywhere
from pipe.errors import Busy, Denied, ServiceError
from pipe.redact import Secret
from pipe.retry import Deadline
from sandbox.wire import Answer, Environ, Fault
from sandbox.world import Company, World
from test.authority import Issued, Kind
from test.works import Works

OPERATION = "rolesanywhere.CreateSession"


class Bench:
    """Machines in a world, and the client that they ask by."""

    def __init__(self, world: World, company: Company) -> None:
        self.world, self.works = world, Works(world, company)

    def client(self, issued: Issued | None = None, chain: str | None = None) -> RolesAnywhere:
        issued = issued or self.works.machines.issue("runner-1")
        chain = self.works.machines.pem if chain is None else chain
        papers = read(issued.certificate, Secret(issued.key), chain)
        return RolesAnywhere(self.works.grant, papers, self.world.aws_url, Deadline(pace=0.01))

    def session(self, issued: Issued | None = None, chain: str | None = None) -> Given:
        return self.client(issued, chain).create_session(900)

    @property
    def statuses(self) -> list[int]:
        """How AWS answered, 0 for a connection that was cut."""
        return [seen.status for seen in self.world.aws.wire.journal if seen.operation == OPERATION]


@pytest.fixture
def bench(world: World, company: Company) -> Bench:
    return Bench(world, company)


@pytest.mark.parametrize("digest", [hashes.SHA256(), hashes.SHA384()], ids=["sha256", "sha384"])
@pytest.mark.parametrize("kind", ["rsa", "p256", "p384", "p521"])
def test_each_kind_of_key_gets_a_session(bench: Bench, kind: Kind, digest: hashes.HashAlgorithm) -> None:
    issued = bench.works.machines.issue("runner-1", kind=kind, digest=digest)
    given = bench.session(issued)
    arn = f"arn:aws:sts::123456789012:assumed-role/keyturn/{issued.serial:x}"
    assert (given.identity.arn, given.identity.account, given.identity.user) == (arn, "123456789012", "")
    assert given.pair.id.startswith("ASIA")
    assert bench.statuses == [201]


def test_certificates_behind_the_first_one_are_of_the_chain(bench: Bench) -> None:
    issued = bench.works.machines.issue("runner-1")
    whole = Issued(issued.certificate + bench.works.machines.pem + bench.works.root.pem, issued.key, issued.serial)
    assert bench.session(whole, "").identity.account == "123456789012"
    assert bench.session(whole).identity.account == "123456789012"


def test_no_chain_is_needed_where_the_anchor_has_issued_the_certificate(bench: Bench) -> None:
    assert bench.session(bench.works.root.issue("runner-1"), "").identity.account == "123456789012"


@pytest.mark.parametrize(
    "kind",
    ["429-bare", "429-hint", "500-before", "500-after", "502-before", "503-before", "503-after", "cut-before",
     "cut-after"],
)  # fmt: skip
def test_what_may_pass_is_asked_again(bench: Bench, kind: str) -> None:
    bench.world.aws.wire.spoil(Fault(OPERATION, kind, times=2))
    assert bench.session().identity.account == "123456789012"
    assert len(bench.statuses) == 3


def test_an_answer_that_does_not_come_is_waited_for_no_longer(bench: Bench) -> None:
    bench.world.aws.wire.spoil(Fault(OPERATION, "stall-before", seconds=1.0))
    assert bench.session().identity.account == "123456789012"


def test_six_failures_are_the_end(bench: Bench) -> None:
    bench.world.aws.wire.spoil(Fault(OPERATION, "503-before", times=0))
    with pytest.raises(Busy, match="CreateSession failed: ServiceUnavailable"):
        bench.session()
    assert bench.statuses == [503] * 6


def test_a_service_that_is_not_there_is_told(bench: Bench) -> None:
    issued = bench.works.machines.issue("runner-1")
    papers = read(issued.certificate, Secret(issued.key), bench.works.machines.pem)
    client = RolesAnywhere(bench.works.grant, papers, "http://127.0.0.1:1", Deadline(pace=0.01))
    with pytest.raises(Busy, match=r"cannot be reached for rolesanywhere:CreateSession: 127\.0\.0\.1:1 refuses"):
        client.create_session(900)


def test_a_wrong_clock_of_the_machine_s_is_put_right_by_aws_s(bench: Bench) -> None:
    issued = bench.works.machines.issue("runner-1")
    for days in (3, -5):
        bench.world.clock.move(days=days)
        client = bench.client(issued) if days > 0 else bench.client(bench.works.machines.issue("runner-1", since=-9))
        client.create_session(900)
        assert abs(client.now() - bench.world.clock.now()) < timedelta(seconds=30)
    assert bench.statuses == [403, 201, 403, 201]


def refused(bench: Bench, issued: Issued, chain: str | None = None) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        bench.session(issued, chain)
    assert not isinstance(caught.value, Busy)
    # What is refused for good is asked once.
    assert len(bench.statuses) == 1
    key = Secret(issued.key).reveal().splitlines()
    shown = f"{caught.value} {caught.value.details}"
    assert not any(line in shown for line in (*key[1:-1], *issued.certificate.splitlines()[1:-1]))
    return caught.value


def revoked(bench: Bench) -> Issued:
    issued = bench.works.machines.issue("runner-1")
    bench.works.anchor.crls.append(bench.works.machines.revoke(issued))
    return issued


@pytest.mark.parametrize(
    ("make", "check"),
    [
        (lambda bench: bench.works.machines.issue("runner-1", since=-3, days=2), "The certificate expired on "),
        (lambda bench: bench.works.machines.issue("runner-1", since=2), "The certificate is not valid before "),
        (revoked, "A CRL of the trust anchor lists the certificate"),
        (lambda bench: bench.works.machines.issue("Runner (1)"), "A tag takes letters, digits"),
    ],
    ids=["expired", "not yet", "revoked", "tag"],
)
def test_a_refusal_says_what_to_look_at(bench: Bench, make: Callable[[Bench], Issued], check: str) -> None:
    error = refused(bench, make(bench))
    assert isinstance(error, Denied)
    assert error.check.startswith(check)


def test_an_untrusted_certificate_points_at_anchor_and_chain(bench: Bench) -> None:
    error = refused(bench, bench.works.machines.issue("runner-1"), chain="")
    assert error.check.startswith("Check AWS_ROLESANYWHERE_CERTIFICATE and AWS_ROLESANYWHERE_CHAIN")


def test_an_anchor_and_a_profile_that_are_missing_are_named(bench: Bench) -> None:
    works, issued = bench.works, bench.works.machines.issue("runner-1")
    bench.world.aws.anywhere.profiles.clear()
    assert refused(bench, issued).check.startswith("Check AWS_ROLESANYWHERE_PROFILE_ARN")
    bench.world.aws.wire.forget()
    bench.world.aws.anywhere.anchors.clear()
    assert refused(bench, issued).check.startswith("Check AWS_ROLESANYWHERE_TRUST_ANCHOR_ARN")
    assert works.grant.trust_anchor in refused_again(bench, issued).details


def refused_again(bench: Bench, issued: Issued) -> ServiceError:
    bench.world.aws.wire.forget()
    return refused(bench, issued)


def test_the_trust_policy_that_is_shown_is_one_that_admits(bench: Bench) -> None:
    issued = bench.works.machines.issue("runner-1")
    bench.works.trust({"StringEquals": {"aws:PrincipalTag/x509Subject/CN": "runner-2"}})
    error = refused(bench, issued)
    assert error.check.startswith("Check AWS_ROLESANYWHERE_ROLE_ARN")
    first, policy = error.details.partition("\n{")[::2]
    assert f"subject CN “runner-1”, issuer CN “Acme Machines”, serial number {issued.serial:x}, valid from " in first
    assert {bench.works.grant.profile, bench.works.grant.role} <= set(first.split())
    condition = json.loads("{" + policy)["Statement"][0]["Condition"]
    assert condition["StringEquals"] == {
        "aws:PrincipalTag/x509Subject/CN": "runner-1", "aws:PrincipalTag/x509Issuer/CN": "Acme Machines",
    }  # fmt: skip
    bench.works.aws.set_trust(bench.works.grant.role, "{" + policy)
    bench.session(issued)
    with pytest.raises(Denied):
        bench.session(bench.works.machines.issue("runner-2"))


def answering(status: str, body: bytes, **headers: str) -> Callable[[Environ], Answer]:
    return lambda _: Answer(status, [(name.replace("_", "-"), value) for name, value in headers.items()], body)


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (
            answering("302 Found", b"", Location="https://elsewhere.example/sessions"),
            "it leads to elsewhere.example (302)",
        ),
        (answering("403 Forbidden", b"<html>proxy</html>"), "is not IAM Roles Anywhere's: it is a page of HTML (403)"),
        (answering("200 OK", b"<html>proxy</html>"), "it is a page of HTML (200)"),
        (answering("201 Created", b'{"credentialSet": []}'), "its field `credentialSet` is empty"),
        (
            answering("201 Created", b'{"credentialSet": [{"credentials": {}}]}'),
            "`credentialSet[].assumedRoleUser` is missing",
        ),
    ],
    ids=["redirect", "proxy", "text", "empty", "half"],
)
def test_an_answer_that_is_not_the_service_s_is_told(
    bench: Bench, answer: Callable[[Environ], Answer], what: str
) -> None:
    bench.world.aws.wire.spoil(Fault(OPERATION, "call-answer", answer=answer))
    with pytest.raises(ServiceError) as caught:
        bench.session()
    assert what in caught.value.what
    assert len(bench.statuses) == 1


def test_the_log_shows_neither_keys_nor_certificates(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    issued = bench.works.machines.issue("runner-1")
    with caplog.at_level(logging.DEBUG, "keyturn"):
        given = bench.session(issued)
    assert "POST /sessions: 201 in " in caplog.text
    assert given.pair.secret.reveal() not in caplog.text + repr(given)
    assert given.token.reveal() not in caplog.text + repr(given)
    assert "MII" not in caplog.text


def test_before_an_answer_the_machine_s_clock_is_gone_by(bench: Bench) -> None:
    assert abs(bench.client().now() - datetime.now(UTC)) < timedelta(seconds=30)


@pytest.mark.parametrize(
    ("partition", "region", "host"),
    [
        ("aws", "eu-central-1", "rolesanywhere.eu-central-1.amazonaws.com"),
        ("aws-us-gov", "us-gov-west-1", "rolesanywhere.us-gov-west-1.amazonaws.com"),
        ("aws-cn", "cn-north-1", "rolesanywhere.cn-north-1.amazonaws.com.cn"),
        ("aws-eusc", "eusc-de-east-1", "rolesanywhere.eusc-de-east-1.amazonaws.eu"),
    ],
)
def test_the_service_is_where_the_anchor_is(partition: str, region: str, host: str) -> None:
    anchor = f"arn:{partition}:rolesanywhere:{region}:123456789012:trust-anchor/1"
    assert Grant(anchor, "", "").address == f"https://{host}"
