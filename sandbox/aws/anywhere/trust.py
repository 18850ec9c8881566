"""Whether a trust anchor vouches for a certificate, and what the certificate says in tags."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from sandbox.aws.anywhere.registry import Anchor
from sandbox.aws.anywhere.signature import Signed
from sandbox.aws.dialect import Refused

T = TypeVar("T", bound=x509.ExtensionType)

_RDNS = {
    NameOID.COMMON_NAME: "CN", NameOID.ORGANIZATION_NAME: "O", NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.COUNTRY_NAME: "C", NameOID.STATE_OR_PROVINCE_NAME: "ST", NameOID.LOCALITY_NAME: "L",
    NameOID.SERIAL_NUMBER: "SerialNumber",
}  # fmt: skip
# What a session's tag may hold.
_TAG = re.compile(r"[\w\s.:/=+@-]{0,256}")

_ANY = ExtensionPolicy.permit_all()


def vouch(anchor: Anchor, signed: Signed, now: datetime) -> None:
    """Refuse a certificate that the anchor's authorities have not issued, that is not valid now, or is revoked."""
    own = signed.certificate
    constraints, usage = _extension(own, x509.BasicConstraints), _extension(own, x509.KeyUsage)
    if constraints is None or constraints.ca or usage is None or not usage.digital_signature:
        raise _untrusted("Insufficient certificate")
    if isinstance(own.signature_hash_algorithm, hashes.SHA1 | hashes.MD5):
        raise _untrusted("Insufficient certificate signature algorithm")
    if not own.not_valid_before_utc <= now <= own.not_valid_after_utc:
        raise _untrusted("Certificate is expired or not yet valid")
    store = Store(x509.load_pem_x509_certificates(anchor.bundle.encode()))
    issuers = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_authority)
    policy = PolicyBuilder().store(store).time(now).extension_policies(ca_policy=issuers, ee_policy=_ANY)
    try:
        chain = policy.build_client_verifier().verify(own, signed.chain).chain
    except VerificationError:
        raise _untrusted("Untrusted signing certificate") from None
    for issued, issuer in zip(chain, [*chain[1:], chain[-1]], strict=True):
        if any(_lists(crl, issued, issuer) for crl in anchor.crls):
            raise _untrusted("Certificate is revoked")


def tags(certificate: x509.Certificate) -> dict[str, str]:
    """Return what a profile without mappings of its own makes of a certificate; raises Refused for a bad tag."""
    found = {**_names("x509Subject", certificate.subject), **_names("x509Issuer", certificate.issuer)}
    names = _extension(certificate, x509.SubjectAlternativeName)
    for kind, label in ((x509.DNSName, "DNS"), (x509.UniformResourceIdentifier, "URI")):
        values = names.get_values_for_type(kind) if names else []
        found |= {f"x509SAN/{label}": value for value in values[:1]}
    bad = [tag for tag, value in found.items() if not _TAG.fullmatch(value)]
    if bad:
        raise Refused("AccessDenied", f"Some attributes failed to be mapped into session tags: {', '.join(bad)}", 403)
    return found


def _names(field: str, name: x509.Name) -> dict[str, str]:
    return {f"{field}/{_RDNS[each.oid]}": str(each.value) for each in name if each.oid in _RDNS}


def _is_authority(_policy: object, certificate: x509.Certificate, constraints: x509.BasicConstraints) -> None:
    usage = _extension(certificate, x509.KeyUsage)
    if not constraints.ca or (usage is not None and not usage.key_cert_sign):
        raise ValueError("not an authority's certificate")


def _extension(certificate: x509.Certificate, kind: type[T]) -> T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _lists(crl: str, issued: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether a CRL of the issuer's lists a certificate."""
    revoked = x509.load_pem_x509_crl(crl.encode())
    if not revoked.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]
        return False
    return revoked.get_revoked_certificate_by_serial_number(issued.serial_number) is not None


def _untrusted(message: str) -> Refused:
    return Refused("AccessDenied", message, 403)
