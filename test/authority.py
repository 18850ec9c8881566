"""A company's certificate authority, which issues certificates and revokes them, alone or by another below it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

Kind = Literal["rsa", "p256", "p384", "p521", "secp256k1", "ed25519"]
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_CURVES: dict[str, ec.EllipticCurve] = {
    "p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1(), "secp256k1": ec.SECP256K1(),
}  # fmt: skip
_USES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip


@dataclass(frozen=True)
class Issued:
    """A certificate and its key as their owner has them: PEM."""

    certificate: str
    key: str = field(repr=False)
    serial: int


class Authority:
    """An authority whose own certificate is good for ten years before and after it was made."""

    def __init__(
        self,
        name: str,
        now: datetime,
        kind: Kind = "p256",
        above: Authority | None = None,
        *,
        ca: bool = True,
        use: str = "key_cert_sign",
    ) -> None:
        self.name = _named(name)
        self._now = now
        self._key = _new_key(kind)
        self._revoked: list[int] = []
        issuer = above or self
        self.certificate = issuer._sign(
            self.name, self._key, (now - timedelta(days=3650), now + timedelta(days=3650)), hashes.SHA256(),
            [x509.BasicConstraints(ca=ca, path_length=None), _usage(use, "crl_sign")],
        )  # fmt: skip

    @property
    def pem(self) -> str:
        """Its own certificate."""
        return _pem(self.certificate)

    def below(self, name: str, kind: Kind = "p256", *, ca: bool = True, use: str = "key_cert_sign") -> Self:
        """Return another authority, vouched for by this one; by what is said of it, it need not be one."""
        return type(self)(name, self._now, kind, above=self, ca=ca, use=use)

    def issue(
        self, name: str, *, kind: Kind = "p256", digest: hashes.HashAlgorithm | None = None, since: float = -1,
        days: float = 365, dns: str = "", ca: bool = False, use: str = "digital_signature", password: str = "",
    ) -> Issued:  # fmt: skip
        """Return a new certificate, valid from `since` days from now on for so many days, with a key of its own."""
        key = _new_key(kind)
        begin = self._now + timedelta(days=since)
        extensions: list[x509.ExtensionType] = [x509.BasicConstraints(ca=ca, path_length=None), _usage(use)]
        if dns:
            extensions.append(x509.SubjectAlternativeName([x509.DNSName(dns)]))
        certificate = self._sign(
            _named(name), key, (begin, begin + timedelta(days=days)), digest or hashes.SHA256(), extensions
        )
        return Issued(_pem(certificate), _key_pem(key, password), certificate.serial_number)

    def revoke(self, issued: Issued) -> str:
        """Revoke a certificate and return the list of all that are revoked, a CRL in PEM."""
        self._revoked.append(issued.serial)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(self._now)
            .next_update(self._now + timedelta(days=3650))
        )
        for serial in self._revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(self._now).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()

    def _sign(
        self, name: x509.Name, key: PrivateKey, valid: tuple[datetime, datetime], digest: hashes.HashAlgorithm,
        extensions: list[x509.ExtensionType],
    ) -> x509.Certificate:  # fmt: skip
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(valid[0])
            .not_valid_after(valid[1])
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        for extension in extensions:
            critical = not isinstance(extension, x509.SubjectAlternativeName)
            builder = builder.add_extension(extension, critical=critical)
        signing: Any = digest
        return builder.sign(self._key, signing)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme"),
                      x509.NameAttribute(NameOID.COMMON_NAME, name)])  # fmt: skip


def _new_key(kind: Kind) -> PrivateKey:
    match kind:
        case "rsa":
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case _:
            return ec.generate_private_key(_CURVES[kind])


def _usage(*uses: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{use: use in uses for use in _USES})


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _key_pem(key: PrivateKey, password: str) -> str:
    hidden = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden).decode()
