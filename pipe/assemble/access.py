"""Makes the client of Bitbucket."""

from __future__ import annotations

from pipe.clients.bitbucket import Bitbucket, basic, bearer
from pipe.patience import Patience
from pipe.settings.bitbucket import BitbucketAccess


def bitbucket_of(access: BitbucketAccess, patience: Patience) -> Bitbucket:
    """Return the client for the credentials that were given."""
    header = basic(access.email, access.token) if access.email else bearer(access.token)
    return Bitbucket(access.url, header, access.variables, patience)
