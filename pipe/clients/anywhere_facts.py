"""What a certificate says of itself, and what must agree with it for IAM Roles Anywhere to let it in."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime

# How many days before its end a certificate is to be renewed.
RENEWAL = 30

SERVICE = "rolesanywhere.amazonaws.com"
ACTIONS = ("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity")

# What a refusal's words point at, the most telling first.
_CAUSES = (
    (r"expired|not yet valid", "Renew AWS_ROLESANYWHERE_CERTIFICATE, and check this machine's clock."),
    (r"revoked", "A CRL of the trust anchor lists the certificate: AWS_ROLESANYWHERE_CERTIFICATE has to be a new one."),
    (r"session tags", "A tag takes letters, digits, spaces and _.:/=+-@ only: the certificate's names, or the profile's "
                      "attribute mappings, have to keep to that."),
    (r"signature|skew|too old", "Check AWS_ROLESANYWHERE_PRIVATE_KEY, and this machine's clock: AWS allows five "
                                "minutes."),
    (r"trust anchor", "Check AWS_ROLESANYWHERE_TRUST_ANCHOR_ARN: it has to exist and to be enabled."),
    (r"profile", "Check AWS_ROLESANYWHERE_PROFILE_ARN: the profile has to exist, to be enabled and to list the role."),
    (r"assume role", "Check AWS_ROLESANYWHERE_ROLE_ARN, and that role's trust policy."),
    (r"certificate", "Check AWS_ROLESANYWHERE_CERTIFICATE, AWS_ROLESANYWHERE_CHAIN, and which CA the trust anchor has."),
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
    def partition(self) -> str:
        """AWS's name for itself here."""
        return self.trust_anchor.split(":")[1]

    @property
    def region(self) -> str:
        """Where trust anchor and profile are."""
        return self.trust_anchor.split(":")[3]


def trust_policy(facts: Facts, grant: Grant) -> str:
    """Return the trust policy, in JSON, with which a role admits this certificate by this trust anchor alone."""
    names = {"aws:PrincipalTag/x509Subject/CN": facts.subject, "aws:PrincipalTag/x509Issuer/CN": facts.issuer}
    condition: dict[str, dict[str, str]] = {"ArnEquals": {"aws:SourceArn": grant.trust_anchor}}
    if any(names.values()):
        condition["StringEquals"] = {key: name for key, name in names.items() if name}
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": SERVICE},
        "Action": list(ACTIONS),
        "Condition": condition,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=2, ensure_ascii=False)


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


def all_to_check(facts: Facts, grant: Grant) -> tuple[str, ...]:
    """Return, line by line, the certificate beside all that must agree with it."""
    return (
        f"The certificate: subject CN “{facts.subject}”, issuer CN “{facts.issuer}”, serial number {facts.serial:x} "
        f"(hexadecimal), valid from {facts.since:%Y-%m-%d} to {facts.until:%Y-%m-%d}.",
        f"The trust anchor {grant.trust_anchor} has to be enabled and to have the CA “{facts.issuer}”, or the one that "
        "AWS_ROLESANYWHERE_CHAIN leads to; none of its CRLs may list the serial number.",
        f"The profile {grant.profile} has to be enabled and to list the role.",
        f"The role {grant.role} has to exist, with a trust policy such as:",
        *trust_policy(facts, grant).splitlines(),
    )
