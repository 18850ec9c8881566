"""Looks at sources of secrets: what selectors find; and of Vault the log-in, and what the token may do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pipe.access.vault import VaultSession
from pipe.errors import Denied, KeyturnError
from pipe.jobs.doctor.diagnosis import Check, bad, failed, good, note, unknown
from pipe.retry import side_by_side
from pipe.secrets import Engine
from pipe.selectors import Selector
from pipe.sources.source import FoundSecret, Reads, SelectorResult, Source
from pipe.sources.vault import VaultSource
from pipe.values import ClientToken, count, named

AREA = "Vault"

# A token that lives for longer than this outlives every run for no use, in seconds.
LONG = 60 * 60
# Secrets of one selector that are asked about.
MOST = 100

REVOKE = "auth/token/revoke-self"


Looked = tuple[SelectorResult, ...] | KeyturnError


def survey(source: Source, *, reads: bool) -> Looked:
    """Return what selectors find; with `reads`, the first secret of each is read to see whether that is allowed."""
    try:
        source.open()
        # What may be unchanged is not read where its version can be had otherwise.
        looked = source.survey(lambda *_: True)
        some = [each for each in looked if each.found] if reads else []
        answers = zip(some, source.read_all([each.found[0] for each in some]), strict=True)
    except KeyturnError as error:
        return error
    refused = {each.selector: answer for each, answer in answers if isinstance(answer, KeyturnError)}
    return tuple(replace(each, problem=each.problem or refused.get(each.selector)) for each in looked)


def check_selectors(area: str, looked: Looked, *, fail_on_missing: bool) -> Iterator[Check]:
    """Yield what each selector finds; that one finds nothing is bad where `fail_on_missing`."""
    if isinstance(looked, KeyturnError):
        yield failed(area, "secrets", looked)
        return
    for each in looked:
        text, found = each.selector.text, len(each.found)
        if each.errors:
            yield failed(area, text, next(iter(each.errors.values())))
        elif not found:
            todo = f"Check SECRETS: is there anything at {each.selector.path}, and may it be listed?"
            yield (bad if fail_on_missing else note)(area, text, "it finds nothing", todo)
        elif each.selector.recursive:
            yield good(area, text, f"it finds {count(found, 'secret')}")
        else:
            yield good(area, text, "it is there")


def check_vault(session: VaultSession, selectors: Sequence[Selector], *, fail_on_missing: bool) -> Iterator[Check]:
    """Yield what is to be said of a Vault; one stays signed in, and nothing is written."""
    source, vault = VaultSource(session, selectors, Reads.KEPT), session.vault
    try:
        source.open()
    except KeyturnError as error:
        yield failed(AREA, "log-in", error)
        return
    looks: list[Any] = [vault.own_token, partial(survey, source, reads=False)]
    answers: list[Any] = side_by_side(looks)
    token, looked = answers
    if isinstance(token, KeyturnError) and not isinstance(token, Denied):
        # A token that is given is not tried by signing in.
        yield failed(AREA, "log-in", token)
        return
    yield good(AREA, "log-in", f"{session.access.address} accepts it")
    paths = list(dict.fromkeys(map(_path, _found(looked))))
    may: Mapping[str, frozenset[str]] | KeyturnError
    try:
        may = vault.capabilities([*paths, REVOKE])
    except KeyturnError as error:
        may = error
    yield from _token(token)
    ends_alone = isinstance(token, Denied) or token.batch
    if not (ends_alone or isinstance(may, KeyturnError) or may[REVOKE] & {"update", "root"}):
        yield note(AREA, "token", "it may not revoke itself, and lives on after the run",
                   f"Grant `update` on {REVOKE}, as the policy `default` does.")  # fmt: skip
    yield from check_selectors(AREA, looked, fail_on_missing=fail_on_missing)
    yield from _versions(looked)
    if isinstance(may, KeyturnError):
        yield unknown(AREA, "policy", f"not told: {may.what}", "Grant `update` on sys/capabilities-self.")
        return
    allowed = [path for path in paths if may[path] & {"read", "root"}]
    denied = [path for path in paths if path not in allowed]
    if denied:
        yield bad(AREA, "policy lacks", f"`read` on {named(denied)}", "Grant it to the role's policy.")
    if allowed:
        yield good(AREA, "policy", f"`read` on {named(allowed)}")


def _token(token: ClientToken | KeyturnError) -> Iterator[Check]:
    if isinstance(token, KeyturnError):
        yield unknown(AREA, "token", "it may not look at itself", "Grant `read` on auth/token/lookup-self.")
        return
    minutes = count(*((token.seconds // 60, "minute") if token.seconds >= 120 else (token.seconds, "second")))
    life = f"it lives for {minutes if token.seconds else 'ever'}, by the policies {', '.join(token.policies)}"
    if "root" in token.policies:
        yield bad(AREA, "token", "it is root's, which may do everything", "Sign in by a role with a policy of its own.")
    elif not token.seconds or token.seconds > LONG:
        yield note(AREA, "token", life, "Set the role's token_ttl and token_max_ttl to 15m.")
    else:
        yield good(AREA, "token", life)


def _versions(looked: Looked) -> Iterator[Check]:
    """Yield the mounts on which the version of a secret is learned by reading it."""
    read = [found for found in _found(looked) if found.engine is Engine.KV2 and found.content]
    for mount in dict.fromkeys(found.mount for found in read):
        yield note(
            AREA, f"versions on {mount}", "each run reads the secrets to learn their versions",
            f"Grant `scan` on {mount}/detailed-metadata/… (OpenBao), or `read` and `list` on {mount}/metadata/….",
        )  # fmt: skip


def _found(looked: Looked) -> list[FoundSecret]:
    return [] if isinstance(looked, KeyturnError) else [found for each in looked for found in each.found[:MOST]]


def _path(found: FoundSecret) -> str:
    """Return the path at which the API reads a secret."""
    below = found.address.removeprefix(f"{found.mount}/")
    return f"{found.mount}/data/{below}" if found.engine is Engine.KV2 else f"{found.mount}/{below}"
