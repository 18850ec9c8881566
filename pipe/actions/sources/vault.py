"""Vault, or OpenBao, as a source of secrets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial

from pipe.actions.sources.abilities import merged
from pipe.actions.sources.kv import Kv, Session
from pipe.actions.sources.look import Look
from pipe.actions.sources.mounts import Mounts, mounts_of
from pipe.actions.sources.source import Found, Looked, Memory, Survey
from pipe.errors import Denied, Invalid, KeyturnError, Missing, ServiceError, Unsupported
from pipe.material import Material, Mount
from pipe.patience import side_by_side
from pipe.selectors import Selector

# What a mount may answer that is another one by now than was remembered.
_STRANGE = (Denied, Missing, Unsupported, Invalid)


class VaultSource:
    """The secrets of one Vault, seen through one sign-in.

    With `force` nothing remembered is believed. In a dry run dynamic secrets are found, but not read.
    """

    def __init__(self, kv: Kv, session: Session, *, force: bool = False, dry_run: bool = False) -> None:
        self._kv = kv
        self._session = session
        self._force = force
        self._dry_run = dry_run

    @property
    def origin(self) -> str:
        """The server's address and the namespace."""
        return self._session.origin

    def open(self) -> datetime:
        """Sign in, and return the server's present time; raises ServiceError."""
        self._session.sign_in()
        return self._session.now()

    def survey(self, selectors: Sequence[Selector], memory: Memory, known: Callable[[Selector, str], bool]) -> Survey:
        """Learn which secrets there are and in which version, with the fewest requests; see Source.survey."""
        now = self._session.now()
        believed = {} if self._force else memory
        remembered = [Mount(path, ability.engine, ability.engine) for path, ability in believed.items()]
        mounts = self._mounts(selectors, remembered)

        first = Look(self._kv, believed, now, known, dry_run=self._dry_run)
        looked = first.at(mounts)
        moved = self._moved({selector: mount for selector, mount in mounts.items() if mount in remembered}, looked)
        second = Look(self._kv, believed, now, known, dry_run=self._dry_run)
        looked |= second.at(moved)

        left = {mounts[selector] for selector in moved}
        learned = [*(each for each in first.learned if each.mount not in left), *second.learned]
        abilities = ((each.mount, each.ability(now)) for each in learned)
        return Survey(tuple(looked[selector] for selector in selectors), merged(memory, abilities))

    def read_all(self, found: Sequence[Found]) -> list[Material | KeyturnError]:
        """Return what is in each secret, or why that cannot be told; see Source.read_all."""
        return side_by_side([partial(self.read, each) for each in found])

    def read(self, found: Found) -> Material:
        """Return what is in a secret: in the version that was found, or in the present one where that is gone.

        Raises ServiceError.
        """
        if found.material is not None:
            return found.material
        mount = Mount(found.mount, found.engine)
        path = found.address.removeprefix(f"{found.mount}/")
        if found.version is not None:
            try:
                material = self._kv.read(mount, path, found.version.number)
            except Missing:
                pass
            else:
                if material.values is not None:
                    return material
        return self._kv.read(mount, path)

    def close(self, *, leased: bool) -> None:
        """Sign out; raises ServiceError."""
        self._session.sign_out(leased=leased)

    def _mounts(self, selectors: Iterable[Selector], known: Collection[Mount] = ()) -> Mounts:
        wanted = tuple(selectors)
        answers = mounts_of(self._kv, [selector.path for selector in wanted], known)
        return {selector: answers[selector.path] for selector in wanted}

    def _moved(self, remembered: Mounts, looked: Mapping[Selector, Looked]) -> Mounts:
        """Return the selectors whose mounts are no longer those that were remembered, and what they are on now.

        The server is asked only about mounts on which something is not as expected. Where it cannot tell, nothing can
        be said about that which is not as expected.
        """
        suspects = {remembered[selector] for selector in remembered if _strange(looked[selector])}
        answers = self._mounts(selector for selector, mount in remembered.items() if mount in suspects)
        moved: dict[Selector, Mount | ServiceError] = {}
        for selector, answer in answers.items():
            unknown = isinstance(answer, ServiceError)
            if _strange(looked[selector]) if unknown else not _same(answer, remembered[selector]):
                moved[selector] = answer
        return moved


def _same(one: Mount | ServiceError, other: Mount | ServiceError) -> bool:
    """Tell whether two mounts are one; the engine's own name for its type is not remembered."""
    if isinstance(one, ServiceError) or isinstance(other, ServiceError):
        return False
    return (one.path, one.engine) == (other.path, other.engine)


def _strange(looked: Looked) -> bool:
    """Tell whether something is not there or not allowed, as it would be on another mount."""
    errors = [*looked.failed.values(), *([looked.problem] if looked.problem else [])]
    return any(isinstance(error, _STRANGE) for error in errors) or not (errors or looked.found)
