"""A company's own machines: an authority, certificates by it, and the role that IAM Roles Anywhere gives for them."""

from __future__ import annotations

import json
from typing import Any

from pipe.clients.certificate import Grant
from sandbox.world import Company, World
from test.authority import Authority, Issued

PREFIX = "AWS_ROLESANYWHERE_"
ACTIONS = ("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity")


class Works:
    """The authority of the company's machines is below its root, which is the trust anchor."""

    def __init__(self, world: World, company: Company) -> None:
        self.aws, self.company, self.clock = world.aws, company, world.clock
        self.root = Authority("Acme Root", world.clock.now(), "p384")
        self.machines = self.root.below("Acme Machines", "rsa")
        self.anchor = world.aws.anywhere.add_anchor(self.root.pem)
        self.profile = world.aws.anywhere.add_profile([company.role_arn])
        self.grant = Grant(self.anchor.arn, self.profile.arn, company.role_arn)
        self.trust()

    def trust(self, condition: dict[str, Any] | None = None, *, principal: Any = None, actions: Any = ACTIONS) -> None:
        """Let the role be had on these conditions alone."""
        statement = {
            "Effect": "Allow",
            "Principal": principal or {"Service": "rolesanywhere.amazonaws.com"},
            "Action": actions,
            **({"Condition": condition} if condition else {}),
        }
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        self.aws.set_trust(self.company.role_arn, json.dumps(policy))

    def variables(self, issued: Issued, **changes: str | None) -> dict[str, str | None]:
        """Return the pipe's variables to sign in by a certificate, and none for other ways."""
        return {
            "AWS_ACCESS_KEY_ID": None,
            "AWS_SECRET_ACCESS_KEY": None,
            PREFIX + "TRUST_ANCHOR_ARN": self.anchor.arn,
            PREFIX + "PROFILE_ARN": self.profile.arn,
            PREFIX + "ROLE_ARN": self.company.role_arn,
            PREFIX + "CERTIFICATE": issued.certificate,
            PREFIX + "PRIVATE_KEY": issued.key,
            PREFIX + "CHAIN": self.machines.pem,
            **changes,
        }
