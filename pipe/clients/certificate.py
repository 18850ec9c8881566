"""The certificate and key that sign in through IAM Roles Anywhere: read, checked, and what is to be said of them."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID, SignatureAlgorithmOID

from pipe.errors import Problem, Refused
from pipe.permissions import trusts_certificate
from pipe.redact import Secret, one_line
from pipe.values import count

CERTIFICATE, CHAIN, KEY = (f"AWS_ROLESANYWHERE_{name}" for name in ("CERTIFICATE", "CHAIN", "PRIVATE_KEY"))

_INFO = PublicFormat.SubjectPublicKeyInfo
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_WEAK = (SignatureAlgorithmOID.RSA_WITH_MD5, SignatureAlgorithmOID.RSA_WITH_SHA1, SignatureAlgorithmOID.ECDSA_WITH_SHA1)
_KINDS = "RSA, or EC on P-256, P-384 or P-521"

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class SigningCertificate:
    """A certificate that AWS may take, and the key that signs for it."""

    def __init__(self, certificate: x509.Certificate, chain: list[x509.Certificate], key: Key) -> None:
        self._key = key
        self.facts = _facts(certificate)
        # Whatever hash the certificate itself was signed with, AWS knows signatures by SHA-256 alone.
        self.algorithm = f"AWS4-X509-{'RSA' if isinstance(key, rsa.RSAPrivateKey) else 'ECDSA'}-SHA256"
        self.certificate = _in_base64(certificate)
        self.chain = ",".join(map(_in_base64, chain))

    def sign(self, text: str) -> str:
        """Return a text's signature in hexadecimal."""
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(text.encode(), padding.PKCS1v15(), SHA256()).hex()
        return self._key.sign(text.encode(), ec.ECDSA(SHA256())).hex()


def read(certificate: str, key: Secret, chain: str) -> SigningCertificate:
    """Return the papers; all are PEM, the first certificate is the one that signs and what follows is of the chain.

    Raises Refused with all problems, none of which shows a value.
    """
    problems: list[Problem] = []
    own = _certificates(CERTIFICATE, certificate, problems)
    above = [each for each in (*own[1:], *_certificates(CHAIN, chain, problems)) if each not in own[:1]]
    private = _key(key, problems)
    if own:
        problems += _problems_of(own[0], above)
        if private and _public(own[0]) != private.public_key().public_bytes(Encoding.DER, _INFO):
            problems.append(Problem(KEY, f"is the key of another certificate than the first one of {CERTIFICATE}"))
    if problems or not private:
        raise Refused(problems)
    return SigningCertificate(own[0], list(dict.fromkeys(above)), private)


def _certificates(name: str, text: str, problems: list[Problem]) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(text.encode()) if text else []
    except ValueError:
        problems.append(Problem(name, "cannot be read; it must be certificates as PEM, or base64 of that"))
        return []


def _key(key: Secret, problems: list[Problem]) -> Key | None:
    try:
        found = load_pem_private_key(key.reveal().encode(), password=None)
    except TypeError:
        problems.append(Problem(KEY, "is encrypted", "Give the key as it is, in a secured variable."))
    except (ValueError, UnsupportedAlgorithm):
        problems.append(Problem(KEY, "cannot be read; it must be a private key as PEM, or base64 of that"))
    else:
        if isinstance(found, rsa.RSAPrivateKey):
            return found
        if isinstance(found, ec.EllipticCurvePrivateKey) and isinstance(found.curve, _CURVES):
            return found
        problems.append(Problem(KEY, "is of a kind that AWS does not take here", f"It takes {_KINDS}."))
    return None


def _problems_of(own: x509.Certificate, chain: list[x509.Certificate]) -> list[Problem]:
    """Return why AWS cannot take a certificate, whatever its trust anchor is."""
    problems: list[Problem] = []
    extensions = {type(each.value): each.value for each in _extensions(own)}
    constraints, usage = extensions.get(x509.BasicConstraints), extensions.get(x509.KeyUsage)
    if isinstance(constraints, x509.BasicConstraints) and constraints.ca:
        advice = f"Give one that the CA has issued, and the CA's in {CHAIN}."
        problems.append(Problem(CERTIFICATE, "the first certificate is a CA's", advice))
    if isinstance(usage, x509.KeyUsage) and not usage.digital_signature:
        problems.append(Problem(CERTIFICATE, "its key usage lacks digitalSignature, which AWS asks for"))
    if own.signature_algorithm_oid in _WEAK:
        problems.append(Problem(CERTIFICATE, "is signed with SHA-1 or MD5", "AWS takes SHA-256 or stronger."))
    if chain and not any(_has_issued(each, own) for each in chain):
        problems.append(Problem(CHAIN, f"none of its certificates has issued {CERTIFICATE}'s first one"))
    return problems


def _extensions(own: x509.Certificate) -> list[x509.Extension[x509.ExtensionType]]:
    try:
        return list(own.extensions)
    except ValueError:
        return []


def _has_issued(issuer: x509.Certificate, issued: x509.Certificate) -> bool:
    try:
        issued.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _public(certificate: x509.Certificate) -> bytes:
    try:
        return certificate.public_key().public_bytes(Encoding.DER, _INFO)
    except (ValueError, UnsupportedAlgorithm):
        return b""


def _facts(certificate: x509.Certificate) -> Facts:
    return Facts(
        _common_name(certificate.subject),
        _common_name(certificate.issuer),
        certificate.serial_number,
        certificate.not_valid_before_utc.astimezone(UTC),
        certificate.not_valid_after_utc.astimezone(UTC),
    )


def _common_name(name: x509.Name) -> str:
    return next((str(each.value) for each in name.get_attributes_for_oid(NameOID.COMMON_NAME)), "")


def _in_base64(certificate: x509.Certificate) -> str:
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


# How many days before its end a certificate is to be renewed.
RENEWAL = 30

# Where AWS's partitions have their services, if not below amazonaws.com.
_SUFFIXES = {"aws-cn": "amazonaws.com.cn", "aws-eusc": "amazonaws.eu"}

# What a refusal's words point at, the most telling first.
_CAUSES = (
    ("expired|not yet valid", "Renew AWS_ROLESANYWHERE_CERTIFICATE, and check this machine's clock."),
    ("revoked", "A CRL of the trust anchor lists the certificate; AWS_ROLESANYWHERE_CERTIFICATE has to be a new one."),
    ("session tags", "A tag takes letters, digits, spaces and _.:/=+-@ alone: so must the certificate's names, or "
     "those of them that the profile's attribute mappings choose."),
    ("signature|skew", "Check AWS_ROLESANYWHERE_PRIVATE_KEY, and this machine's clock: AWS allows five minutes."),
    ("trust anchor", "Check AWS_ROLESANYWHERE_TRUST_ANCHOR_ARN: it has to exist and to be enabled."),
    ("profile", "Check AWS_ROLESANYWHERE_PROFILE_ARN: it has to exist, to be enabled and to list the role."),
    ("assume role", "Check AWS_ROLESANYWHERE_ROLE_ARN, and compare that role's trust policy with the one above."),
    ("certificate", "Check AWS_ROLESANYWHERE_CERTIFICATE and AWS_ROLESANYWHERE_CHAIN, and which CA the anchor has."),
)  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """What a certificate says, nothing of which is secret; a name that it does not have is empty."""

    subject: str
    issuer: str
    serial: int
    since: datetime
    until: datetime


class Grant(NamedTuple):
    """The role, by the profile that lists it and the trust anchor that vouches for the certificate: ARNs."""

    trust_anchor: str
    profile: str
    role: str

    @property
    def region(self) -> str:
        """Where trust anchor and profile are."""
        return self.trust_anchor.split(":")[3]

    @property
    def address(self) -> str:
        """Where AWS has the service for them."""
        suffix = _SUFFIXES.get(self.trust_anchor.split(":")[1], "amazonaws.com")
        return f"https://rolesanywhere.{self.region}.{suffix}"


def validity(facts: Facts, now: datetime) -> str:
    """Return what is wrong with a certificate's time, or an empty text."""
    if now < facts.since:
        return f"the certificate is not valid before {facts.since:%Y-%m-%d %H:%M} UTC"
    if now > facts.until:
        return f"the certificate expired on {facts.until:%Y-%m-%d %H:%M} UTC"
    return ""


def renewal(facts: Facts, now: datetime) -> str:
    """Return that a valid certificate is to be renewed soon, or an empty text."""
    days = (facts.until - now).days
    if validity(facts, now) or days > RENEWAL:
        return ""
    left = f"in {count(days, 'day')}" if days else "in less than a day"
    return f"AWS_ROLESANYWHERE_CERTIFICATE expires on {facts.until:%Y-%m-%d}, {left}: renew it."


def first_to_check(said: str, facts: Facts, now: datetime) -> str:
    """Return what a refusal in these words asks to look at first, at AWS's time."""
    wrong = validity(facts, now)
    if wrong:
        return f"{wrong[0].upper()}{wrong[1:]}: renew AWS_ROLESANYWHERE_CERTIFICATE."
    advice = (advice for words, advice in _CAUSES if re.search(words, said, re.IGNORECASE))
    return next(advice, "Check trust anchor, profile, role and certificate, which are shown above.")


def all_to_check(facts: Facts, grant: Grant) -> str:
    """Return, in several lines, the certificate beside all that must agree with it."""
    subject, issuer = one_line(facts.subject, 100), one_line(facts.issuer, 100)
    policy = json.dumps(trusts_certificate(grant.trust_anchor, facts.subject, facts.issuer), indent=2)
    return (
        f"The certificate: subject CN “{subject}”, issuer CN “{issuer}”, serial number {facts.serial:x}, valid from "
        f"{facts.since:%Y-%m-%d} to {facts.until:%Y-%m-%d}.\n"
        f"The trust anchor {grant.trust_anchor} has to be enabled and to have the CA “{issuer}”, or the one that "
        "AWS_ROLESANYWHERE_CHAIN leads to; no CRL may list the serial number.\n"
        f"The profile {grant.profile} has to be enabled and to list the role.\n"
        f"The role {grant.role} has to exist. A trust policy that lets in such certificates by this anchor alone:\n"
        f"{policy}"
    )
