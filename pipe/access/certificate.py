"""How AWS is asked by IAM Roles Anywhere."""

from __future__ import annotations

from dataclasses import dataclass

from pipe.redact import Secret
from pipe.settings.reader import Reader

PREFIX = "AWS_ROLESANYWHERE_"
ANCHOR, PROFILE, ROLE, CERTIFICATE, KEY, CHAIN = (
    PREFIX + name for name in ("TRUST_ANCHOR_ARN", "PROFILE_ARN", "ROLE_ARN", "CERTIFICATE", "PRIVATE_KEY", "CHAIN")
)
POLICY = "AWS_SESSION_POLICY"


@dataclass(frozen=True)
class Anywhere:
    """A role of IAM Roles Anywhere, with the anchor and the profile that lead to it.

    `certificate` and `chain`, which may be empty, are PEM; `key` is the certificate's private key.
    """

    trust_anchor: str
    profile: str
    role_arn: str
    certificate: str
    key: Secret
    chain: str


def wants_anywhere(reader: Reader) -> bool:
    """Tell whether anything of IAM Roles Anywhere is given but the key, which steps have that do not ask for it."""
    return any(map(reader.is_given, (ANCHOR, PROFILE, ROLE, CERTIFICATE, CHAIN)))


def read_anywhere(reader: Reader) -> Anywhere:
    """Return what is given of IAM Roles Anywhere; whether a certificate is what it should be is seen at sign-in."""
    for name in (ANCHOR, PROFILE, ROLE, CERTIFICATE, KEY):
        if not reader.is_given(name):
            reader.missing(name, "needed, since other variables of IAM Roles Anywhere are given")
    anchor, profile, role = reader.text(ANCHOR), reader.text(PROFILE), reader.text(ROLE)
    if anchor and profile and anchor.split(":")[:5] != profile.split(":")[:5]:
        reader.problem(PROFILE, f"must be of the same account and region as {ANCHOR}")
    if anchor and role and anchor.split(":")[1] != role.split(":")[1]:
        reader.problem(ROLE, f"must be of the same partition of AWS as {ANCHOR}")
    if reader.is_given(POLICY):
        reader.problem(POLICY, "IAM Roles Anywhere takes none", "Put it into the profile, as its session policy.")
    certificate, key, chain = reader.text(CERTIFICATE), Secret(reader.text(KEY)), reader.text(CHAIN)
    return Anywhere(anchor, profile, role, certificate, key, chain)
