"""What is to be said of a Vault; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipe.actions.doctor.aws import check_source
from pipe.actions.doctor.check import Check, bad, failed, good, note, unknown
from pipe.actions.doctor.vault import FOREIGN, REVOKE, VaultFacts
from pipe.actions.sources.source import Way
from pipe.errors import KeyturnError
from pipe.values import ClientToken

AREA = "Vault"

# A token that lives for longer than this outlives every run for no use, in seconds.
LONG = 60 * 60

_READ = frozenset({"read", "root"})
May = Mapping[str, frozenset[str]]

_MORE = frozenset({"create", "update", "patch", "delete", "sudo", "root"})

_NARROW = "Narrow its paths to those of SECRETS; `ACTION: setup` prints a policy that is enough."


def check_vault(facts: VaultFacts, *, fail_on_missing: bool) -> Iterator[Check]:
    """Yield what is to be said of a Vault."""
    if facts.signed_in is not None:
        yield failed(AREA, "log-in", facts.signed_in)
        return
    yield good(AREA, "log-in", f"{facts.address}: it takes it")
    yield from _token(facts)
    if facts.source:
        yield from check_source(AREA, facts.source, fail_on_missing=fail_on_missing)
        yield from _ways(facts)
    if isinstance(facts.may, KeyturnError):
        yield unknown(AREA, "policy", f"not told: {facts.may.what}", "Grant `update` on sys/capabilities-self.")
        return
    yield from _reads(facts, facts.may)
    yield from _excess(facts, facts.may)


def _token(facts: VaultFacts) -> Iterator[Check]:
    token = facts.token
    if not isinstance(token, ClientToken):
        yield unknown(AREA, "token", "it may not look at itself", "Grant `read` on auth/token/lookup-self.")
        return
    life = f"{_time(token.seconds)}, by the policies {', '.join(token.policies)}"
    if "root" in token.policies:
        yield bad(AREA, "token", "it is root's, which may do everything", "Sign in by a role with a policy of its own.")
    elif not token.seconds or token.seconds > LONG:
        yield note(AREA, "token", f"it lives for {life}", "Set the role's token_ttl and token_max_ttl to 15m.")
    else:
        yield good(AREA, "token", f"it lives for {life}")
    if token.batch or isinstance(facts.may, KeyturnError) or not facts.may:
        return
    if not facts.may.get(REVOKE, frozenset()) & {"update", "root"}:
        yield note(AREA, "token", "it may not revoke itself, and lives on after the run",
                   f"Grant `update` on {REVOKE}, as the policy `default` does.")  # fmt: skip


def _ways(facts: VaultFacts) -> Iterator[Check]:
    """Yield where versions are learned in a dearer way than could be granted."""
    if facts.source is None or isinstance(facts.source.survey, KeyturnError):
        return
    # Of what is not there, nothing else could have told.
    if not all(looked.found for looked in facts.source.survey.looked):
        return
    for mount, ability in facts.source.survey.memory.items():
        if ability.way is Way.DATA and ability.engine == "KV version 2":
            yield note(
                AREA, f"versions on {mount}", "they can be learned by reading the secrets alone, in each run",
                f"Grant `scan` on {mount}/detailed-metadata/… (OpenBao), or `read` and `list` on {mount}/metadata/….",
            )  # fmt: skip


def _reads(facts: VaultFacts, may: May) -> Iterator[Check]:
    denied = [each.path for each in facts.wanted if not may[each.path] & _READ]
    if denied:
        yield bad(AREA, "policy lacks", f"`read` on {_some(denied)}", "Grant it to the role's policy.")
    allowed = [each.path for each in facts.wanted if each.path not in denied]
    if allowed:
        yield good(AREA, "policy", f"`read` on {_some(allowed)}")


def _excess(facts: VaultFacts, may: May) -> Iterator[Check]:
    theirs = [path for path in facts.theirs if _is_use(may[path], path)]
    for path in theirs:
        yield bad(AREA, "too broad", f"{_words(may[path])} on {path}, which no selector needs", _NARROW)
    more = {each.path: may[each.path] & _MORE for each in facts.wanted if may[each.path] & _MORE}
    for path, capabilities in list(more.items())[:1]:
        others = f" and {len(more) - 1} more" if len(more) > 1 else ""
        yield bad(AREA, "too broad", f"{_words(capabilities)} on {path}{others}", "A pull and a replication only read.")
    if not theirs and not more:
        yield good(AREA, "not too broad", f"it writes nothing, and may do nothing on {_some(facts.theirs)}")


def _is_use(capabilities: frozenset[str], path: str) -> bool:
    """Tell whether capabilities on a path that nobody needs are more than to see names."""
    return bool(capabilities - {"deny"} if path in FOREIGN else capabilities & (_READ | _MORE))


def _words(capabilities: frozenset[str]) -> str:
    return ", ".join(f"`{capability}`" for capability in sorted(capabilities - {"deny"}))


def _some(paths: list[str] | tuple[str, ...]) -> str:
    unique = list(dict.fromkeys(paths))
    return ", ".join(unique[:3]) + (f" and {len(unique) - 3} more" if len(unique) > 3 else "")


def _time(seconds: int) -> str:
    if not seconds:
        return "ever"
    return f"{seconds // 60} minutes" if seconds >= 120 else f"{seconds} seconds"
