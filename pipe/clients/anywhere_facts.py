"""What a certificate says of itself, and what must agree with it for IAM Roles Anywhere to let it in."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime

from pipe.policies import trusts_certificate
from pipe.redact import one_line

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


@dataclass(frozen=True)
class Grant:
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
    left = {0: "in less than a day", 1: "in 1 day"}.get(days, f"in {days} days")
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
