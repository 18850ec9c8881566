"""What tells a replica from other secrets, and which version of which source it is: ids and tags; pure."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence

from pipe.secrets import Described, Version
from pipe.sources.source import FoundSecret

# The number of the rules by which a secret becomes a replica's body; with other rules, all is written again.
RULES = 1

# A version's id that begins like this was chosen by Keyturn; AWS's own are uuids. Behind it stands which secret of
# which Vault it is of, and then which version. Only who may write the replica can choose one.
OURS = "keyturn-"
_ID = re.compile(r"keyturn-(?P<source>[0-9a-f]{16})-[0-9a-f]{24}(-[0-9a-f]{12})?")

CURRENT, PREVIOUS = "AWSCURRENT", "AWSPREVIOUS"

# Tags: whose replica it is and by which selector, and for people, what of.
OWNER, SOURCE, VERSION = "keyturn:replica", "keyturn:source", "vault-version"


def token_of(found: FoundSecret, version: Version | None, keys: Iterable[str], origin: str, run: str = "") -> str:
    """Return the id that the version of a replica has, made from where the secret is and its version.

    Nothing that is in the secret goes into it. A source without versions gets another id in each run, from its id.
    """
    parts: Sequence[object] = (run,)
    if version is not None:
        parts = (found.mount, version.number, version.created, sorted(keys), RULES)
    return f"{OURS}{mark_of(source_tag(found.address), origin)}-{_hash(json.dumps(parts))[:24]}"


def mark_of(source: str, origin: str) -> str:
    """Return what the ids of all versions of a replica have in common, by the tag that names its secret."""
    return _hash(json.dumps([origin, source]))[:16]


def next_id(replica: Described, token: str) -> str:
    """Return the id of the version that is written over what was seen of a replica.

    A version without a stage is not shown, and to write its id again would do nothing. So the id is one that no version
    can have yet; but two runs that have seen the same choose the same.
    """
    changed = replica.changed.timestamp() if replica.changed else 0
    return f"{token}-{_hash(f'{replica.version(CURRENT)} {changed}')[:12]}"


def is_current(replica: Described, token: str) -> bool:
    """Tell whether a replica's current version is the one that a token stands for."""
    return _is_of(replica.version(CURRENT) or "", token)


def staged(replica: Described, token: str) -> str | None:
    """Return the id of a version that a token stands for and that has a stage, AWSCURRENT or another one."""
    return next((version for version in sorted(replica.stages) if _is_of(version, token)), None)


def mark_in(replica: Described) -> str:
    """Return whose replica a secret is, by the id of its current version or of the one before; empty for none."""
    ids = (_ID.fullmatch(replica.version(stage) or "") for stage in (CURRENT, PREVIOUS))
    return next((found["source"] for found in ids if found), "")


def holds_keys(replica: Described) -> bool:
    """Tell whether a secret is the one in which a rotation keeps its keys: the journal's labels begin so, too."""
    return any(label.startswith(OURS) for labels in replica.stages.values() for label in labels)


def owner(origin: str, selector: str = "") -> str:
    """Return the tag that says which source and which selector a replica is of; without one, how those tags begin."""
    return f"{_digest(origin)}/{_digest(selector) if selector else ''}"


def of_origin(replica: Described, origin: str) -> bool:
    """Tell whether a replica is one of this source."""
    return replica.tags.get(OWNER, "").startswith(owner(origin))


def tags_of(found: FoundSecret, version: Version | None, origin: str) -> Mapping[str, str]:
    """Return the tags that a replica has."""
    return {
        OWNER: owner(origin, found.selector.text),
        SOURCE: source_tag(found.address),
        VERSION: str(version.number) if version else "none",
    }


def source_tag(address: str) -> str:
    """Return the tag that says which secret a replica is of."""
    # AWS takes letters, digits, blanks and _.:/=+-@ in a tag, and 256 characters.
    return re.sub(r"[^\w .:/=+@-]", "_", address)[:256]


def _is_of(version: str, token: str) -> bool:
    return version == token or version.startswith(f"{token}-")


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:9]).decode()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
