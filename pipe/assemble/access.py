"""Makes the client of Bitbucket."""

from __future__ import annotations

from pipe.assemble.stored import Fetcher
from pipe.clients.bitbucket import Bitbucket
from pipe.clients.bitbucket_auth import Authorization, basic, bearer, consumer
from pipe.patience import Patience
from pipe.settings.bitbucket import AccessToken, ApiToken, BitbucketAccess


def bitbucket_of(access: BitbucketAccess, fetcher: Fetcher, patience: Patience, *, writes: bool = True) -> Bitbucket:
    """Return the client for the credentials that were given; nothing has been asked or fetched yet."""
    authorization = _authorization(access, fetcher, patience)
    return Bitbucket(access.url, authorization, access.variables, patience, writes=writes)


def _authorization(access: BitbucketAccess, fetcher: Fetcher, patience: Patience) -> Authorization:
    match access.credential:
        case AccessToken(token):
            return bearer(fetcher.of(token))
        case ApiToken(email, token):
            return basic(email, fetcher.of(token))
        case credential:
            secret = fetcher.of(credential.secret)
            return consumer(access.url, credential.client_id, secret, access.variables, patience)
