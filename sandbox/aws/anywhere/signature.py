"""Signatures of requests by a certificate's key, verified as IAM Roles Anywhere does."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from sandbox.aws.dialect import Call, Refused
from sandbox.wire import Environ

_AUTHORIZATION = re.compile(
    r"(?P<algorithm>\S+) Credential=(?P<serial>\d+)/(?P<day>\d{8})/(?P<region>[\w-]+)/rolesanywhere/aws4_request, ?"
    r"SignedHeaders=(?P<headers>[\w;-]+), ?Signature=(?P<signature>[0-9a-f]+)"
)
_LATEST = timedelta(minutes=5)
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


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
                key.verify(signature, text, padding.PKCS1v15(), SHA256())
            case ec.EllipticCurvePublicKey(), "AWS4-X509-ECDSA-SHA256" if isinstance(key.curve, _CURVES):
                key.verify(signature, text, ec.ECDSA(SHA256()))
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
