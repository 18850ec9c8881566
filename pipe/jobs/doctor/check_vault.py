"""Says of a Vault what was found; pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipe.errors import KeyturnError
from pipe.jobs.doctor.check_source import check_source
from pipe.jobs.doctor.diagnosis import Check, bad, failed, good, note, unknown
from pipe.jobs.doctor.observe_source import SourceFacts
from pipe.jobs.doctor.observe_vault import REVOKE, VaultFacts
from pipe.secrets import Engine
from pipe.values import ClientToken

AREA = "Vault"

# A token that lives for longer than this outlives every run for no use, in seconds.
LONG = 60 * 60

_READ = frozenset({"read", "root"})


def check_vault(facts: VaultFacts, *, fail_on_missing: bool) -> Iterator[Check]:
    """Yield what is to be said of a Vault."""
    if facts.refused is not None:
        yield failed(AREA, "log-in", facts.refused)
        return
    yield good(AREA, "log-in", f"{facts.address}: it takes it")
    yield from _token(facts)
    if facts.source:
        yield from check_source(AREA, facts.source, fail_on_missing=fail_on_missing)
        yield from _versions(facts.source)
    if isinstance(facts.may, KeyturnError):
        yield unknown(AREA, "policy", f"not told: {facts.may.what}", "Grant `update` on sys/capabilities-self.")
        return
    denied = [path for path in facts.paths if not facts.may[path] & _READ]
    allowed = [path for path in facts.paths if path not in denied]
    if denied:
        yield bad(AREA, "policy lacks", f"`read` on {_some(denied)}", "Grant it to the role's policy.")
    if allowed:
        yield good(AREA, "policy", f"`read` on {_some(allowed)}")


def _token(facts: VaultFacts) -> Iterator[Check]:
    token = facts.token
    if not isinstance(token, ClientToken):
        yield unknown(AREA, "token", "it may not look at itself", "Grant `read` on auth/token/lookup-self.")
        return
    life = f"it lives for {_time(token.seconds)}, by the policies {', '.join(token.policies)}"
    if "root" in token.policies:
        yield bad(AREA, "token", "it is root's, which may do everything", "Sign in by a role with a policy of its own.")
    elif not token.seconds or token.seconds > LONG:
        yield note(AREA, "token", life, "Set the role's token_ttl and token_max_ttl to 15m.")
    else:
        yield good(AREA, "token", life)
    if not (token.batch or isinstance(facts.may, KeyturnError) or facts.may[REVOKE] & {"update", "root"}):
        yield note(AREA, "token", "it may not revoke itself, and lives on after the run",
                   f"Grant `update` on {REVOKE}, as the policy `default` does.")  # fmt: skip


def _versions(facts: SourceFacts) -> Iterator[Check]:
    """Yield the mounts on which the version of a secret is learned by reading it."""
    looked = [] if isinstance(facts.looked, KeyturnError) else facts.looked
    read = [found for each in looked for found in each.found if found.engine is Engine.KV2 and found.content]
    for mount in dict.fromkeys(found.mount for found in read):
        yield note(
            AREA, f"versions on {mount}", "each run reads the secrets to learn their versions",
            f"Grant `scan` on {mount}/detailed-metadata/… (OpenBao), or `read` and `list` on {mount}/metadata/….",
        )  # fmt: skip


def _some(paths: Sequence[str]) -> str:
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def _time(seconds: int) -> str:
    if not seconds:
        return "ever"
    return f"{seconds // 60} minutes" if seconds >= 120 else f"{seconds} seconds"
