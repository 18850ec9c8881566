"""Variables that look like Keyturn's but are not, and which of them were probably meant."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable, Mapping

from pipe.settings.variables import BY_NAME

# What else people call them.
_ALSO = {
    "TARGET": "TARGETS",
    "ENVIRONMENT": "TARGETS",
    "BITBUCKET_TOKEN": "BITBUCKET_ACCESS_TOKEN",
    "BITBUCKET_API_TOKEN": "ATLASSIAN_API_TOKEN",
    "ATLASSIAN_EMAIL": "ATLASSIAN_ACCOUNT_EMAIL",
    "BITBUCKET_EMAIL": "ATLASSIAN_ACCOUNT_EMAIL",
    "SNS_TOPIC": "SNS_TOPIC_ARN",
    "AWS_REGION": "AWS_DEFAULT_REGION",
    "AWS_ROLE": "AWS_OIDC_ROLE_ARN",
    "OIDC_ROLE_ARN": "AWS_OIDC_ROLE_ARN",
    "IAM_USER": "IAM_USER_NAME",
    "IAM_USERNAME": "IAM_USER_NAME",
    "SECRET_NAME": "SECRET_ID",
    "SECRET_ARN": "SECRET_ID",
    "KMS_KEY": "KMS_KEY_ID",
    "KMS_KEY_ARN": "KMS_KEY_ID",
    "VAULT_URL": "VAULT_ADDR",
    "VAULT_ADDRESS": "VAULT_ADDR",
}
# Shorter names differ by one letter from too much.
_SHORTEST = 5
_ITEM = re.compile(r"(\w+)_(COUNT|\d+)")


def misnamed(environ: Mapping[str, str]) -> dict[str, str]:
    """Return variables that are given, by which of Keyturn's, which is not given, each of them is probably meant."""
    found = {}
    for name in _others(environ):
        own = meant(name)
        if own and not _is_given(environ, own):
            found[own] = name
    return found


def meant(name: str) -> str:
    """Return which of Keyturn's variables is probably meant by another name; an empty text where none is."""
    return _ALSO.get(name) or next((own for own in BY_NAME if _is_a_slip(name, own)), "")


def nearest(environ: Mapping[str, str], name: str) -> str:
    """Return a variable that is given and that is called nearly as one that is not; an empty text where none is."""
    return next(iter(difflib.get_close_matches(name, list(_others(environ)), 1, 0.8)), "")


def _others(environ: Mapping[str, str]) -> Iterable[str]:
    """Return the names that are given and not Keyturn's."""
    for name, value in environ.items():
        item = _ITEM.fullmatch(name)
        if value.strip() and name not in BY_NAME and not (item and item[1] in BY_NAME):
            yield name


def _is_given(environ: Mapping[str, str], name: str) -> bool:
    return any(environ.get(each, "").strip() for each in (name, f"{name}_COUNT"))


def _is_a_slip(name: str, own: str) -> bool:
    """Tell whether two names differ by one character that is wrong, missing or too much, or by two that are swapped."""
    if abs(len(name) - len(own)) > 1 or min(len(name), len(own)) < _SHORTEST:
        return False
    alike = _in_common(name, own) + _in_common(name[::-1], own[::-1])
    longest = max(len(name), len(own))
    return alike >= longest - 1 or (alike == longest - 2 and sorted(name) == sorted(own))


def _in_common(name: str, own: str) -> int:
    """Return how many characters two names begin with that are the same."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(name, own, strict=False)))
