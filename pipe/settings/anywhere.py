"""How AWS is asked by IAM Roles Anywhere."""

from __future__ import annotations

from dataclasses import dataclass

from pipe.reading import Reader
from pipe.redact import Secret, learn
from pipe.settings.arns import ROLE_ARN
from pipe.settings.pem import as_pem, kinds_of

PREFIX = "AWS_ROLESANYWHERE_"
ANCHOR, PROFILE, ROLE, CERTIFICATE, KEY, CHAIN = (
    PREFIX + name for name in ("TRUST_ANCHOR_ARN", "PROFILE_ARN", "ROLE_ARN", "CERTIFICATE", "PRIVATE_KEY", "CHAIN")
)
POLICY = "AWS_SESSION_POLICY"

_OURS = r"arn:aws[a-z-]*:rolesanywhere:[a-z]{2,}(-[a-z]+)+-\d:\d{12}"


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
    return any(map(reader.text, (ANCHOR, PROFILE, ROLE, CERTIFICATE, CHAIN)))


def read_anywhere(reader: Reader) -> Anywhere:
    """Return what is given of IAM Roles Anywhere; whether a certificate is what it should be is seen at sign-in."""
    for name in (ANCHOR, PROFILE, ROLE, CERTIFICATE, KEY):
        if not reader.text(name):
            reader.problem(f"{name}: needed, since other variables of IAM Roles Anywhere are given.")
    anchor = reader.matching(ANCHOR, rf"{_OURS}:trust-anchor/[\w-]+", "the ARN of a trust anchor")
    profile = reader.matching(PROFILE, rf"{_OURS}:profile/[\w-]+", "the ARN of a profile")
    role = reader.matching(ROLE, ROLE_ARN, "the ARN of a role")
    if anchor and profile and anchor.split(":")[:5] != profile.split(":")[:5]:
        reader.problem(f"{PROFILE}: must be of the same account and region as {ANCHOR}.")
    if anchor and role and anchor.split(":")[1] != role.split(":")[1]:
        reader.problem(f"{ROLE}: must be of the same partition of AWS as {ANCHOR}.")
    if reader.text(POLICY):
        reader.problem(f"{POLICY}: IAM Roles Anywhere takes none; put it into the profile, as its session policy.")
    return Anywhere(
        anchor, profile, role, _certificates(reader, CERTIFICATE), _key(reader), _certificates(reader, CHAIN)
    )


def _certificates(reader: Reader, name: str) -> str:
    text = reader.text(name)
    pem = as_pem(text)
    kinds = kinds_of(pem)
    if any(kind.endswith("PRIVATE KEY") for kind in kinds):
        learn(text)
        learn(pem)
        reader.problem(f"{name}: holds a private key, too; that belongs into {KEY} alone, which is to be secured.")
    elif text and "CERTIFICATE" not in kinds:
        asked = " It is a request for one." if any(kind.endswith("CERTIFICATE REQUEST") for kind in kinds) else ""
        reader.problem(f"{name}: must be certificates as PEM, or base64 of that.{asked}")
    return pem


def _key(reader: Reader) -> Secret:
    text = reader.text(KEY)
    pem = as_pem(text)
    kinds = kinds_of(pem)
    if "ENCRYPTED PRIVATE KEY" in kinds or "Proc-Type: 4,ENCRYPTED" in pem:
        reader.problem(f"{KEY}: is encrypted; give the key as it is, in a secured variable.")
    elif text and not any(kind.endswith("PRIVATE KEY") for kind in kinds):
        swapped = f" It is a certificate, which belongs into {CERTIFICATE}." if "CERTIFICATE" in kinds else ""
        reader.problem(f"{KEY}: must be a private key as PEM, or base64 of that.{swapped}")
    return Secret(pem)
