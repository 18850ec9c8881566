"""Certificate, chain and key: which of them are taken, and what is said of the others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from pipe.clients.certificate import SigningCertificate, read
from pipe.errors import Refused
from pipe.redact import Secret
from test.authority import Authority, Issued, Kind

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
ROOT = Authority("Acme Root", NOW)
MACHINES = ROOT.below("Acme Machines")
MINE, OTHER = MACHINES.issue("runner-1"), MACHINES.issue("runner-2", kind="rsa")
CERTIFICATE, CHAIN, KEY = (f"AWS_ROLESANYWHERE_{name}:" for name in ("CERTIFICATE", "CHAIN", "PRIVATE_KEY"))
# Begins as a certificate does and is none.
BROKEN = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def papers(issued: Issued, chain: str = "") -> SigningCertificate:
    return read(issued.certificate, Secret(issued.key), chain)


def problems(certificate: str = MINE.certificate, key: str = MINE.key, chain: str = "") -> tuple[str, ...]:
    with pytest.raises(Refused) as refused:
        read(certificate, Secret(key), chain)
    return tuple(map(str, refused.value.problems))


def test_a_certificate_tells_its_facts() -> None:
    facts = papers(MINE).facts
    assert (facts.subject, facts.issuer, facts.serial) == ("runner-1", "Acme Machines", MINE.serial)
    assert (facts.since, facts.until) == (NOW - timedelta(days=1), NOW + timedelta(days=364))


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [("rsa", "AWS4-X509-RSA-SHA256"), *((kind, "AWS4-X509-ECDSA-SHA256") for kind in ("p256", "p384", "p521"))],
)
@pytest.mark.parametrize("digest", [hashes.SHA256(), hashes.SHA512()], ids=["sha256", "sha512"])
def test_the_algorithm_is_named_by_the_key_alone(kind: Kind, algorithm: str, digest: hashes.HashAlgorithm) -> None:
    assert papers(MACHINES.issue("runner-1", kind=kind, digest=digest)).algorithm == algorithm


@pytest.mark.parametrize("kind", ["rsa", "p256"])
def test_keys_in_the_older_form_are_taken(kind: Kind) -> None:
    issued = MACHINES.issue("runner-1", kind=kind)
    key = load_pem_private_key(issued.key.encode(), None)
    older = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    assert "PRIVATE KEY" in older != issued.key
    assert papers(Issued(issued.certificate, older, issued.serial)).facts.serial == issued.serial


def test_the_chain_holds_each_certificate_once_and_never_the_first() -> None:
    whole = Issued(MINE.certificate + MACHINES.pem, MINE.key, MINE.serial)
    both = papers(whole, MINE.certificate + MACHINES.pem + ROOT.pem).chain.split(",")
    assert both == papers(MINE, MACHINES.pem + ROOT.pem).chain.split(",")
    assert len(both) == 2
    assert papers(MINE).chain == ""


def test_a_key_of_another_certificate_is_refused() -> None:
    for key in (OTHER.key, MACHINES.issue("runner-1").key):
        assert problems(key=key) == (
            f"{KEY} is the key of another certificate than the first one of {CERTIFICATE[:-1]}.",
        )


def test_an_encrypted_key_is_said_to_be_one() -> None:
    issued = MACHINES.issue("runner-1", password="a password")
    assert problems(issued.certificate, issued.key) == (
        f"{KEY} is encrypted. Give the key as it is, in a secured variable.",
    )


@pytest.mark.parametrize("kind", ["ed25519", "secp256k1"])
def test_kinds_of_keys_that_aws_does_not_take_are_refused(kind: Kind) -> None:
    issued = MACHINES.issue("runner-1", kind=kind)
    (problem,) = problems(issued.certificate, issued.key)
    assert problem == f"{KEY} is of a kind that AWS does not take here. It takes RSA, or EC on P-256, P-384 or P-521."


def test_a_key_for_dsa_is_refused() -> None:
    key = dsa.generate_private_key(2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    assert "of a kind" in problems(key=key)[0]


def test_an_authority_s_certificate_is_no_machine_s() -> None:
    issued = ROOT.issue("Acme Machines", ca=True)
    (problem,) = problems(issued.certificate, issued.key)
    assert problem.startswith(f"{CERTIFICATE} the first certificate is a CA's")


def test_a_certificate_for_another_use_is_refused() -> None:
    issued = MACHINES.issue("runner-1", use="key_agreement")
    assert problems(issued.certificate, issued.key) == (
        f"{CERTIFICATE} its key usage lacks digitalSignature, which AWS asks for.",
    )


def test_a_certificate_that_is_signed_weakly_is_refused() -> None:
    issued = Authority("Acme Old", NOW, "rsa").issue("runner-1")
    strong, *weak = (bytes.fromhex(f"06092a864886f70d0101{last}") for last in ("0b", "05", "04"))
    for each in weak:
        # Cryptography makes no such certificates any more; so one says of itself that it is.
        changed = der_of(issued.certificate).replace(strong, each)
        certificate = x509.load_der_x509_certificate(changed).public_bytes(Encoding.PEM).decode()
        assert problems(certificate, issued.key) == (
            f"{CERTIFICATE} is signed with SHA-1 or MD5. AWS takes SHA-256 or stronger.",
        )


def der_of(pem: str) -> bytes:
    return x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)


def test_a_chain_of_others_is_refused() -> None:
    stranger = Authority("Acme Machines", NOW)
    assert problems(chain=stranger.pem) == (
        f"{CHAIN} none of its certificates has issued {CERTIFICATE[:-1]}'s first one.",
    )


def test_all_problems_are_told_together_and_no_value() -> None:
    found = problems(BROKEN, "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", BROKEN)
    assert [problem.partition(" ")[0] for problem in found] == [CERTIFICATE, CHAIN, KEY]
    assert not any("MII" in problem for problem in found)
    assert problems("-", "-")[0].startswith(CERTIFICATE)


def test_a_key_that_is_no_one_s_is_told_beside_a_certificate_that_is_an_authority_s() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    assert [problem.partition(" ")[0] for problem in problems(ROOT.pem, pem)] == [CERTIFICATE, CERTIFICATE, KEY]


def test_a_certificate_that_cannot_be_read_is_told_beside_a_chain_that_can() -> None:
    (problem,) = problems(certificate=BROKEN, chain=MACHINES.pem)
    assert problem.startswith(f"{CERTIFICATE} cannot be read")
