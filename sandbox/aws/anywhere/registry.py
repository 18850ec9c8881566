"""The trust anchors, profiles and lists of revoked certificates of the pretend IAM Roles Anywhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from cryptography import x509

from sandbox.aws.keys import ACCOUNT


@dataclass
class Anchor:
    """A trust anchor: certificates of authorities, and lists of what they have revoked, as PEM."""

    arn: str
    bundle: str
    crls: list[str] = field(default_factory=list)
    enabled: bool = True


@dataclass
class Profile:
    """A profile: the roles that it may give, for how many seconds, narrowed by which policy."""

    arn: str
    roles: list[str]
    policy: str | None = None
    seconds: int = 3600
    enabled: bool = True
    accepts_names: bool = False


class Registry:
    """What an administrator has set up; without a region it is `region`."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.anchors: dict[str, Anchor] = {}
        self.profiles: dict[str, Profile] = {}

    @property
    def collections(self) -> list[Any]:
        """The collections that all this is kept in."""
        return [self.anchors, self.profiles]

    def reset(self) -> None:
        """Forget everything."""
        self.anchors.clear()
        self.profiles.clear()

    def add_anchor(self, *bundle: str, region: str = "") -> Anchor:
        """Trust the authorities whose certificates these are, as PEM."""
        for pem in bundle:
            if (
                not x509.load_pem_x509_certificate(pem.encode())
                .extensions.get_extension_for_class(x509.BasicConstraints)
                .value.ca
            ):
                raise ValueError("a trust anchor is an authority's certificate")
        anchor = Anchor(self._arn("trust-anchor", region), "\n".join(bundle))
        return self.anchors.setdefault(anchor.arn, anchor)

    def add_profile(
        self, roles: Iterable[str], *, policy: str | None = None, seconds: int = 3600, region: str = ""
    ) -> Profile:
        """Let the holders of certificates have these roles, by their ARNs."""
        profile = Profile(self._arn("profile", region), list(roles), policy, seconds)
        return self.profiles.setdefault(profile.arn, profile)

    def _arn(self, kind: str, region: str) -> str:
        return f"arn:aws:rolesanywhere:{region or self.region}:{ACCOUNT}:{kind}/{uuid4()}"
