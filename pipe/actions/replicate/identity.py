"""What tells a replica from other secrets, and which version of which source it is: ids and tags; pure."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from uuid import uuid4

from pipe.actions.sources.source import Found
from pipe.material import Version
from pipe.values import Described

# The number of the rules by which a secret becomes a replica's body; with other rules, all is written anew.
RULES = 1

# A version's id that begins like this was chosen by Keyturn; AWS's own are uuids.
OURS = "keyturn-"

CURRENT, PREVIOUS = "AWSCURRENT", "AWSPREVIOUS"

# Tags: whose replica it is and by which selector, and for people, what of.
OWNER, SOURCE, VERSION = "keyturn:replica", "keyturn:source", "vault-version"


def token_of(found: Found, version: Version | None, keys: Iterable[str], origin: str) -> str:
    """Return the id that the version of a replica has, made from where the secret is and its version.

    Nothing that is in the secret goes into it. A source without versions gets another id in each run.
    """
    if version is None:
        return f"{OURS}{uuid4().hex}"
    parts = (origin, found.mount, found.address, version.number, version.created, sorted(keys), RULES)
    return _id(json.dumps(parts))


def salted(token: str, overwritten: str) -> str:
    """Return the id for a write over a version that is not ours: AWSPREVIOUS then names that version, and proves it.

    The token itself may be there already, as a version without a stage; writing it again would do nothing.
    """
    return _id(f"{token} {overwritten}")


def is_current(replica: Described, token: str) -> bool:
    """Tell whether a replica's current version is the one that a token stands for."""
    current, previous = replica.version(CURRENT), replica.version(PREVIOUS)
    return current == token or (previous is not None and current == salted(token, previous))


def is_ours(replica: Described) -> bool:
    """Tell whether a secret is a replica that Keyturn has made or taken over."""
    return OWNER in replica.tags


def owner(origin: str, selector: str) -> str:
    """Return the tag that says which source and which selector a replica is of."""
    return f"{_digest(origin)}/{_digest(selector)}"


def of_origin(replica: Described, origin: str) -> bool:
    """Tell whether a replica is one of this source."""
    return replica.tags.get(OWNER, "").startswith(f"{_digest(origin)}/")


def tags_of(found: Found, version: Version | None, origin: str) -> Mapping[str, str]:
    """Return the tags that a replica has."""
    return {
        OWNER: owner(origin, found.selector.text),
        # AWS takes letters, digits, blanks and _.:/=+-@ in a tag, and 256 characters.
        SOURCE: re.sub(r"[^\w .:/=+@-]", "_", found.address)[:256],
        VERSION: str(version.number) if version else "none",
    }


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:9]).decode()


def _id(text: str) -> str:
    return f"{OURS}{hashlib.sha256(text.encode()).hexdigest()[:48]}"
