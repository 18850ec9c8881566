"""Makes undone what has happened in OpenBao since it was seeded, which is faster than to seed it anew."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from sandbox.vault.access import Access
from sandbox.vault.engines import Engines

# To undo more than this takes longer than to seed.
_MOST = 40

# By the paths of requests that write. What leaves nothing but tokens needs no more than that those are revoked.
_TOKENS = re.compile(
    r"auth/(jwt|approle|userpass)/login(/.*)?|auth/token/(create|lookup|renew|revoke).*|sys/capabilities-self"
    r"|sys/wrapping/.*|auth/approle/role/keyturn/secret-id"
)
_SECRET = re.compile(r"(?:(secret)/(?:data|metadata|delete|undelete|destroy)|(legacy))/(.+)")
_POLICY = re.compile(r"sys/policies/acl/([^/]+)")
_ROLE = re.compile(r"auth/(?:jwt|approle)/role/keyturn")


class Undo(Engines, Access):
    """The seeded secrets, policies, role and tokens, each brought back if it was written to."""

    def undo(self, written: Collection[tuple[str, str]], secrets: Mapping[str, Mapping[str, Any]]) -> bool:
        """Bring back what was written to, by namespace and path; False where that is not worth while or not known."""
        paths = {path for _, path in written}
        known = {kind: {found for path in paths if (found := kind.fullmatch(path))} for kind in _KINDS}
        if any(namespace for namespace, _ in written) or sum(map(len, known.values())) < len(paths):
            return False
        touched = {f"{found[1] or found[2]}/{found[3]}" for found in known[_SECRET]}
        if len(touched) > _MOST:
            return False
        for path in touched:
            self.remove(path)
            if path in secrets:
                self.put(path, secrets[path])
        for found in known[_POLICY]:
            self.renew_policy(found[1])
        if known[_ROLE]:
            self.renew_role()
        self.revoke_all()
        return True


_KINDS = (_TOKENS, _SECRET, _POLICY, _ROLE)
