"""The sandbox's IAM Roles Anywhere takes what the real one takes, and refuses what that refuses."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import boto3
import botocore.exceptions
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from sandbox.world import REGION, Company, World
from test.authority import Authority, Issued
from test.works import ACTIONS, Works

# It keeps the services' descriptions, once read.
SESSION = boto3.Session()


@dataclass
class Request:
    """A request for a session, signed here as AWS's guide says; each part can be another than it should be."""

    works: Works
    url: str
    issued: Issued
    chain: tuple[str, ...]
    given: dict[str, Any] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    algorithm: str = ""
    late: timedelta = timedelta()
    day: str = ""
    serial: int = 0
    region: str = REGION
    unsigned: tuple[str, ...] = ()
    tampered: bytes = b""
    certificate: str = ""

    def send(self) -> requests.Response:
        """Send it and return the answer."""
        moment = f"{self.works.clock.now() + self.late:%Y%m%dT%H%M%SZ}"
        key = load_pem_private_key(self.issued.key.encode(), None)
        kind = "RSA" if isinstance(key, rsa.RSAPrivateKey) else "ECDSA"
        algorithm = self.algorithm or f"AWS4-X509-{kind}-SHA256"
        body = json.dumps(self.given).encode()
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in sorted(self.query.items()))
        headers = {"content-type": "application/json", "host": self.url.partition("//")[2], "x-amz-date": moment,
                   "x-amz-x509": der(self.certificate or self.issued.certificate)}  # fmt: skip
        if self.chain:
            headers["x-amz-x509-chain"] = ",".join(map(der, self.chain))
        signed = [name for name in headers if name not in self.unsigned]
        canonical = "\n".join(["POST", "/sessions", query, *(f"{name}:{headers[name]}" for name in signed), "",
                               ";".join(signed), hashlib.sha256(body).hexdigest()])  # fmt: skip
        scope = f"{self.day or moment[:8]}/{self.region}/rolesanywhere/aws4_request"
        text = "\n".join([algorithm, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()]).encode()
        if isinstance(key, rsa.RSAPrivateKey):
            signature = key.sign(text, padding.PKCS1v15(), hashes.SHA256())
        elif isinstance(key, ec.EllipticCurvePrivateKey):
            signature = key.sign(text, ec.ECDSA(hashes.SHA256()))
        else:
            signature = key.sign(text)  # type: ignore[union-attr, call-arg]
        headers["authorization"] = (
            f"{algorithm} Credential={self.serial or self.issued.serial}/{scope}, SignedHeaders={';'.join(signed)}, "
            f"Signature={signature.hex()}"
        )
        return requests.post(f"{self.url}/sessions?{query}", data=self.tampered or body, headers=headers, timeout=10)


def der(pem: str) -> str:
    return base64.b64encode(x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)).decode()


@dataclass
class Bench:
    """A world with machines, and requests of theirs."""

    world: World
    works: Works

    def request(self, issued: Issued | None = None, **changes: Any) -> Request:
        issued = issued or self.works.machines.issue("runner-1", dns="runner-1.acme.example")
        grant = self.works.grant
        given = {"trustAnchorArn": grant.trust_anchor, "profileArn": grant.profile, "roleArn": grant.role}
        changes["given"] = given | changes.get("given", {})
        return Request(self.works, self.world.aws_url, issued, **{"chain": (self.works.machines.pem,), **changes})

    def session(self, issued: Issued | None = None, **changes: Any) -> dict[str, Any]:
        answer = self.request(issued, **changes).send()
        assert answer.status_code == 201, answer.text
        (given,) = answer.json()["credentialSet"]
        assert isinstance(given, dict)
        return given

    def refusal(self, issued: Issued | None = None, **changes: Any) -> tuple[int, str, str]:
        answer = self.request(issued, **changes).send()
        return answer.status_code, answer.headers.get("x-amzn-ErrorType", ""), answer.json().get("message", "")

    def denied(self, issued: Issued | None = None, **changes: Any) -> str:
        status, code, message = self.refusal(issued, **changes)
        assert (status, code) == (403, "AccessDeniedException"), message
        return message

    def client(self, service: str, given: dict[str, Any]) -> Any:
        keys = given["credentials"]
        make: Any = SESSION.client
        return make(
            service, REGION, endpoint_url=self.world.aws_url, aws_access_key_id=keys["accessKeyId"],
            aws_secret_access_key=keys["secretAccessKey"], aws_session_token=keys["sessionToken"],
        )  # fmt: skip


@pytest.fixture
def bench(world: World, company: Company) -> Bench:
    return Bench(world, Works(world, company))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"late": timedelta(minutes=-6)}, "too far from"),
        ({"late": timedelta(minutes=6)}, "too far from"),
        ({"day": "20200101"}, "too far from"),
        ({"unsigned": ("host",)}, "lack one"),
        ({"unsigned": ("x-amz-date",)}, "lack one"),
        ({"unsigned": ("x-amz-x509",)}, "lack one"),
        ({"unsigned": ("x-amz-x509-chain",)}, "lack one"),
        ({"tampered": b'{"durationSeconds": 43200}'}, "does not match"),
        ({"serial": 17}, "serial number"),
        ({"algorithm": "AWS4-X509-ECDSA-SHA384"}, "not known"),
        ({"algorithm": "AWS4-X509-RSA-SHA256"}, "not known"),
        ({"algorithm": "AWS4-HMAC-SHA256"}, "not known"),
    ],
)
def test_a_signature_that_is_not_as_the_guide_says_is_refused(bench: Bench, changes: dict[str, Any], said: str) -> None:
    assert said in bench.denied(**changes)


def test_certificates_that_the_guide_excludes_are_refused(bench: Bench) -> None:
    machines = bench.works.machines
    assert bench.denied(machines.issue("an authority", ca=True)) == "Insufficient certificate"
    assert bench.denied(machines.issue("runner-1", use="key_agreement")) == "Insufficient certificate"
    assert "not known" in bench.denied(machines.issue("runner-1", kind="ed25519"))
    assert "not known" in bench.denied(machines.issue("runner-1", kind="secp256k1"))


def test_a_certificate_is_valid_by_the_sandbox_s_clock_alone(bench: Bench) -> None:
    machines = bench.works.machines
    assert "expired" in bench.denied(machines.issue("runner-1", since=-3, days=2))
    later = machines.issue("runner-1", since=1, days=2)
    assert "not yet valid" in bench.denied(later)
    bench.world.clock.move(days=2)
    bench.session(later)
    bench.world.clock.move(days=2)
    assert "expired" in bench.denied(later)


def test_a_certificate_that_the_anchor_does_not_lead_to_is_refused(bench: Bench) -> None:
    assert bench.denied(chain=()) == "Untrusted signing certificate"
    stranger = Authority("Acme Root", bench.world.clock.now())
    assert bench.denied(stranger.issue("runner-1"), chain=(stranger.pem,)) == "Untrusted signing certificate"


@pytest.mark.parametrize("odd", [{"ca": False}, {"use": "digital_signature"}], ids=str)
def test_what_is_no_authority_issues_nothing(bench: Bench, odd: dict[str, Any]) -> None:
    between = bench.works.root.below("Acme Runner", **odd)
    issued = between.issue("runner-1")
    assert bench.denied(issued, chain=(between.pem,)) == "Untrusted signing certificate"


def test_what_a_list_of_the_issuer_s_has_is_refused(bench: Bench) -> None:
    works = bench.works
    mine, other = works.machines.issue("runner-1"), works.machines.issue("runner-2")
    # A list of another authority says nothing of this one's certificates, though the number may be the same.
    works.anchor.crls.append(works.root.revoke(mine))
    bench.session(mine)
    works.anchor.crls.append(works.machines.revoke(mine))
    assert bench.denied(mine) == "Certificate is revoked"
    bench.session(other)
    between = Issued(works.machines.pem, "", works.machines.certificate.serial_number)
    works.anchor.crls.append(works.root.revoke(between))
    assert bench.denied(other) == "Certificate is revoked"


@pytest.mark.parametrize(
    ("met", "unmet"),
    [
        ({"StringEquals": {"aws:PrincipalTag/x509Subject/CN": "runner-1"}},
         {"StringEquals": {"aws:PrincipalTag/x509Subject/CN": "runner-2"}}),
        ({"StringLike": {"aws:PrincipalTag/x509Subject/O": "A?me"}},
         {"StringEquals": {"aws:PrincipalTag/x509Subject/OU": "Acme"}}),
        ({"StringEquals": {"aws:PrincipalTag/x509Issuer/CN": "Acme Machines"}},
         {"StringEquals": {"aws:PrincipalTag/x509Issuer/CN": "Acme Root"}}),
        ({"StringEquals": {"aws:PrincipalTag/x509SAN/DNS": "runner-1.acme.example"}},
         {"StringEquals": {"aws:PrincipalTag/x509SAN/DNS": "runner-2.acme.example"}}),
        ({"ArnEquals": {"aws:SourceArn": "arn:aws:rolesanywhere:*:123456789012:trust-anchor/*"}},
         {"ArnEquals": {"aws:SourceArn": "arn:aws:rolesanywhere:*:210987654321:trust-anchor/*"}}),
        ({"StringEquals": {"aws:SourceAccount": "123456789012"}}, {"StringEquals": {"aws:SourceAccount": "2"}}),
        ({"StringEquals": {"sts:SourceIdentity": "runner-1"}}, {"StringEquals": {"sts:SourceIdentity": "x"}}),
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}),
    ],
    ids=lambda condition: next(iter(next(iter(condition.values())))),
)  # fmt: skip
def test_each_condition_of_the_role_s_trust_counts(bench: Bench, met: dict[str, Any], unmet: dict[str, Any]) -> None:
    bench.works.trust(met)
    bench.session()
    bench.works.trust(unmet)
    assert bench.denied() == f"Unable to assume role for {bench.works.grant.role}"


def test_the_role_must_trust_the_service_with_three_actions(bench: Bench) -> None:
    for without in range(3):
        bench.works.trust(actions=[action for place, action in enumerate(ACTIONS) if place != without])
        assert "Unable to assume role" in bench.denied()
    bench.works.trust(principal={"Service": "ec2.amazonaws.com"})
    assert "Unable to assume role" in bench.denied()
    bench.works.trust(principal={"AWS": "*"})
    assert "Unable to assume role" in bench.denied()


def test_a_name_that_no_tag_can_hold_is_refused(bench: Bench) -> None:
    message = bench.denied(bench.works.machines.issue("Runner (number 1)"))
    assert message == "Some attributes failed to be mapped into session tags: x509Subject/CN"


def test_anchor_profile_and_role_must_be_there_and_enabled(bench: Bench) -> None:
    works, anywhere = bench.works, bench.world.aws.anywhere
    nobody = "11111111-2222-3333-4444-555555555555"
    for name, arn in (("trustAnchorArn", works.anchor.arn), ("profileArn", works.profile.arn)):
        other = f"{arn.rpartition('/')[0]}/{nobody}"
        assert bench.refusal(given={name: other})[:2] == (404, "ResourceNotFoundException")
    missing = "arn:aws:iam::123456789012:role/missing"
    assert "does not allow" in bench.denied(given={"roleArn": missing})
    profile = anywhere.add_profile([missing])
    assert "Unable to assume" in bench.denied(given={"roleArn": missing, "profileArn": profile.arn})
    works.profile.enabled = False
    assert bench.denied() == "Profile is disabled"
    works.profile.enabled, works.anchor.enabled = True, False
    assert bench.denied() == "Trust anchor is disabled"


@pytest.mark.parametrize(("asked", "profile", "lasts"), [(900, 3600, 900), (None, 1800, 1800), (3600, 1800, 1800)])
def test_the_shorter_time_counts(bench: Bench, asked: int | None, profile: int, lasts: int) -> None:
    bench.works.profile.seconds = profile
    given = bench.session(given={"durationSeconds": asked} if asked else {})
    until = datetime.fromisoformat(given["credentials"]["expiration"])
    assert abs(until - bench.world.clock.now() - timedelta(seconds=lasts)) < timedelta(seconds=60)
    sts = bench.client("sts", given)
    bench.world.clock.move(seconds=lasts - 60)
    sts.get_caller_identity()
    bench.world.clock.move(seconds=61)
    with pytest.raises(botocore.exceptions.ClientError, match="ExpiredToken"):
        sts.get_caller_identity()
