"""Requests that are signed with a certificate: whose key signed one, whether an authority vouches for it, its tags."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from urllib.parse import parse_qsl, quote

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from sandbox.aws.dialect import Call, Refused
from sandbox.wire import Environ

_AUTHORIZATION = re.compile(
    r"(?P<algorithm>\S+) Credential=(?P<serial>\d+)/(?P<day>\d{8})/(?P<region>[\w-]+)/rolesanywhere/aws4_request, ?"
    r"SignedHeaders=(?P<headers>[\w;-]+), ?Signature=(?P<signature>[0-9a-f]+)"
)
_LATEST = timedelta(minutes=5)
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
T = TypeVar("T", bound=x509.ExtensionType)

_RDNS = {
    NameOID.COMMON_NAME: "CN", NameOID.ORGANIZATION_NAME: "O", NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.COUNTRY_NAME: "C", NameOID.STATE_OR_PROVINCE_NAME: "ST", NameOID.LOCALITY_NAME: "L",
    NameOID.SERIAL_NUMBER: "SerialNumber",
}  # fmt: skip
# What a session's tag may hold.
_TAG = re.compile(r"[\w\s.:/=+@-]{0,256}")

_ANY = ExtensionPolicy.permit_all()


@dataclass(frozen=True)
class Signed:
    """Who signed a request: the certificate, and those that came with it."""

    certificate: x509.Certificate
    chain: list[x509.Certificate]


def signer(call: Call, now: datetime) -> Signed:
    """Return who signed this request just now; raises Refused."""
    environ = call.environ
    given = _AUTHORIZATION.fullmatch(environ.get("HTTP_AUTHORIZATION", ""))
    if not given:
        raise _denied("The authorization header is not one of a request that is signed with a certificate.")
    certificates = _certificates(environ.get("HTTP_X_AMZ_X509", ""))
    if len(certificates) != 1 or certificates[0].serial_number != int(given["serial"]):
        raise _denied("The credential's serial number is not that of the certificate in X-Amz-X509.")
    chain = _certificates(environ.get("HTTP_X_AMZ_X509_CHAIN", ""))
    signed = given["headers"].split(";")
    needed = {"host", "x-amz-date", "x-amz-x509"} | ({"x-amz-x509-chain"} if chain else set())
    if signed != sorted(signed) or not needed <= set(signed):
        raise _denied("The signed headers lack one that must be signed, or are not in order.")
    _check_time(environ.get("HTTP_X_AMZ_DATE", ""), given["day"], now)
    to_sign = "\n".join((
        given["algorithm"], environ["HTTP_X_AMZ_DATE"],
        f"{given['day']}/{given['region']}/rolesanywhere/aws4_request", _digest(_canonical(call, signed)),
    ))  # fmt: skip
    _verify(certificates[0], given["algorithm"], bytes.fromhex(given["signature"]), to_sign.encode())
    return Signed(certificates[0], chain)


def _check_time(text: str, day: str, now: datetime) -> None:
    try:
        moment = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise _denied("X-Amz-Date is missing or is no date.") from None
    if abs(moment - now) > _LATEST or text[:8] != day:
        raise _denied(f"Signature expired or not yet current: {text} is too far from {now:%Y%m%dT%H%M%SZ}.")


def _canonical(call: Call, signed: list[str]) -> str:
    environ = call.environ
    path = environ["RAW_URI"].partition("?")[0]
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~"))
                   for name, value in parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))  # fmt: skip
    query = "&".join(f"{name}={value}" for name, value in pairs)
    headers = [f"{name}:{' '.join(_header(environ, name).split())}" for name in signed]
    body = hashlib.sha256(call.body).hexdigest()
    return "\n".join((environ["REQUEST_METHOD"], path, query, *headers, "", ";".join(signed), body))


def _header(environ: Environ, name: str) -> str:
    variable = name.upper().replace("-", "_")
    return str(environ.get(variable if variable.startswith("CONTENT_") else f"HTTP_{variable}", ""))


def _verify(certificate: x509.Certificate, algorithm: str, signature: bytes, text: bytes) -> None:
    key = certificate.public_key()
    try:
        match key, algorithm:
            case rsa.RSAPublicKey(), "AWS4-X509-RSA-SHA256":
                key.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
            case ec.EllipticCurvePublicKey(), "AWS4-X509-ECDSA-SHA256" if isinstance(key.curve, _CURVES):
                key.verify(signature, text, ec.ECDSA(hashes.SHA256()))
            case _:
                raise _denied(f"{algorithm} is not known, or not of the certificate's kind of key.")
    except InvalidSignature:
        raise _denied("The request signature does not match the certificate.") from None


def _certificates(header: str) -> list[x509.Certificate]:
    try:
        return [x509.load_der_x509_certificate(base64.b64decode(each, validate=True))
                for each in header.split(",") if each]  # fmt: skip
    except (ValueError, binascii.Error):
        raise _denied("X-Amz-X509 or X-Amz-X509-Chain is not base64 of certificates.") from None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _denied(message: str) -> Refused:
    return Refused("AccessDenied", message, 403)


def vouch(bundle: str, crls: Iterable[str], signed: Signed, now: datetime) -> None:
    """Refuse a certificate that none of a bundle's authorities has issued, that is not valid now, or is revoked."""
    own = signed.certificate
    constraints, usage = _extension(own, x509.BasicConstraints), _extension(own, x509.KeyUsage)
    if constraints is None or constraints.ca or usage is None or not usage.digital_signature:
        raise _denied("Insufficient certificate")
    if isinstance(own.signature_hash_algorithm, hashes.SHA1 | hashes.MD5):
        raise _denied("Insufficient certificate signature algorithm")
    if not own.not_valid_before_utc <= now <= own.not_valid_after_utc:
        raise _denied("Certificate is expired or not yet valid")
    store = Store(x509.load_pem_x509_certificates(bundle.encode()))
    issuers = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_authority)
    policy = PolicyBuilder().store(store).time(now).extension_policies(ca_policy=issuers, ee_policy=_ANY)
    try:
        chain = policy.build_client_verifier().verify(own, signed.chain).chain
    except VerificationError:
        raise _denied("Untrusted signing certificate") from None
    for issued, issuer in zip(chain, [*chain[1:], chain[-1]], strict=True):
        if any(_lists(crl, issued, issuer) for crl in crls):
            raise _denied("Certificate is revoked")


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
