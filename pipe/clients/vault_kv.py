"""What Vault's mounts hold: versions by one request where the server can, and what is in a secret."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from pipe.clients.answer import Fields
from pipe.clients.vault import Vault
from pipe.clients.vault_api import Answer, Call, Question, plain
from pipe.clients.vault_errors import Refusal
from pipe.errors import BadCredentials, Denied, KeyturnError, Missing, Unsupported
from pipe.redact import learn_all, show
from pipe.secrets import Content, Engine, Lease, Mount, Tree, Version

# Entries of a folder that are asked for at a time.
PAGE = 1000


class Kv:
    """The secrets that who is signed in may see; paths are below their mount, without slashes at their ends.

    Every method raises ServiceError: Denied with the path and the capability that its policy lacks, Unsupported where
    the server does not know such a request.
    """

    def __init__(self, vault: Vault, *, page: int = PAGE) -> None:
        self._vault = vault
        self._page = page

    def mount(self, path: str) -> Mount:
        """Return the mount that a path belongs to; raises Denied and Missing with what to check."""

        def explain(refusal: Refusal) -> KeyturnError | None:
            kind = {403: Denied, 404: Missing}.get(refusal.status)
            if kind is None or refusal.foreign or "namespace" in refusal.said:
                return None
            if kind is Denied and "preflight" not in refusal.said:
                # It is not asked what the token may do where nobody knows the token.
                return BadCredentials(
                    f"Vault does not take the token ({refusal.status}): {refusal.said.rstrip('.')}.",
                    f"It has expired or been revoked, or is for another namespace. Check {self._vault.signs_with} and "
                    "VAULT_NAMESPACE.",
                )
            return kind(
                f"Vault does not say what is mounted at `{path}` ({refusal.status}): {refusal.said.rstrip('.')}.",
                "Is there such a mount, and does the token's policy allow anything below it?",
            )

        data = self._vault.ask(Question(plain("GET", f"sys/internal/ui/mounts/{path}"), explain=explain)).data
        name, options = data.text("type"), data.optional_object("options")
        engine = Engine.KV1 if name in ("kv", "generic") else Engine.OTHER
        if engine is Engine.KV1 and options and options.optional_text("version") == "2":
            engine = Engine.KV2
        return Mount(data.name("path").strip("/"), engine, name)

    def tree(self, mount: Mount, folder: str, *, recursive: bool) -> Tree:
        """Return a folder's secrets and their versions, of a recursive one all below it, without reading any.

        A folder that is not there is empty. Raises Unsupported where the server has no such list.
        """
        if mount.engine is not Engine.KV2:
            raise Unsupported(f"The {mount.engine.value} mount `{mount.path}` has no versions.", "Check SECRETS.")
        path = f"{mount.path}/detailed-metadata/{folder}/" if folder else f"{mount.path}/detailed-metadata/"
        versions: dict[str, Version] = {}
        folders: list[str] = []
        for page in [self._list(plain("SCAN", path))] if recursive else self._pages(path):
            for name in page.names:
                if name.endswith("/"):
                    folders.append(name.rstrip("/"))
                    continue
                details = page.details.optional_object(name) if page.details else None
                if details is None or "current_version" not in details:
                    raise Unsupported(f"Vault's list of `{path}` has no details of `{name}`.", "Check SECRETS.")
                versions[name] = _current(details)
        return Tree(versions, tuple(folders))

    def names(self, mount: Mount, folder: str) -> tuple[str, ...]:
        """Return the names in a folder, those of folders with a slash at the end; none for one that is not there."""
        path, methods = f"{folder}/" if folder else "", _two if mount.engine is Engine.KV2 else _one
        return self._list(lambda vault: methods(vault).list_secrets(path, mount_point=mount.path)).names

    def version(self, mount: Mount, path: str) -> Version:
        """Return a secret's current version, without reading it; raises Missing."""
        return _current(self._ask(lambda vault: _two(vault).read_secret_metadata(path, mount_point=mount.path)).data)

    def read(self, mount: Mount, path: str, number: int | None = None) -> Content:
        """Return what is in a secret, in its current version or a given one; raises Missing.

        All of it is hidden from output from then on.
        """
        if mount.engine is not Engine.KV2:
            answer = self._ask(lambda vault: _one(vault).read_secret(path, mount_point=mount.path))
            values = answer.data.raw
            if not values and "request_id" not in answer.whole:
                raise answer.whole.wrong("data", "empty")
            learn_all(values)
            return Content(values, lease=_lease(answer.whole))
        answer = self._ask(
            lambda vault: _two(vault).read_secret_version(
                path, number, mount_point=mount.path, raise_on_deleted_version=True
            ),
            absent=True,
        )
        if answer.absent and "data" not in answer.whole:
            which = f" in version {number}" if number is not None else ""
            raise Missing(f"Vault has nothing at `{mount.path}/data/{path}`{which} (404).", "Check SECRETS.")
        inner, metadata = answer.data.optional_object("data"), answer.data.object("metadata")
        if inner is None and not answer.absent:
            raise answer.data.wrong("data", "null")
        learn_all(inner.raw if inner else None)
        return Content(inner.raw if inner else None, _version(metadata.number("version"), metadata))

    def _pages(self, path: str) -> list[_Page]:
        pages: list[_Page] = []
        query: dict[str, str | int] = {"limit": self._page}
        while True:
            page = self._list(plain("LIST", path, dict(query)))
            pages.append(page)
            if len(page.names) < self._page or page.names[-1] == query.get("after"):
                return pages
            query["after"] = page.names[-1]

    def _list(self, call: Call) -> _Page:
        """Return what is in a folder; raises Unreadable for what does not prove that nothing is in there."""
        answer = self._ask(call, absent=True)
        if answer.absent:
            return _Page()
        names = answer.data.optional_texts("keys")
        if names is None and "request_id" not in answer.whole:
            raise answer.data.wrong("keys", "missing")
        show(*names or ())
        return _Page(names or (), answer.data.optional_object("key_info"))

    def _ask(self, call: Call, *, absent: bool = False) -> Answer:
        return self._vault.ask(Question(call, absent=absent))


class _Page(NamedTuple):
    """What a list shows: names, and where it has them, details by name."""

    names: tuple[str, ...] = ()
    details: Fields | None = None


def _one(vault: Any) -> Any:
    """Return hvac's methods for version 1, by which whatever has no versions is asked."""
    return vault.secrets.kv.v1


def _two(vault: Any) -> Any:
    """Return hvac's methods for version 2."""
    return vault.secrets.kv.v2


def _current(metadata: Fields) -> Version:
    number = metadata.number("current_version")
    return _version(number, metadata.object("versions").object(str(number)) if number else metadata)


def _version(number: int, metadata: Fields) -> Version:
    return Version(
        number,
        metadata.optional_text("created_time") or "",
        _moment(metadata, "deletion_time"),
        metadata.optional_flag("destroyed") or False,
    )


def _moment(metadata: Fields, name: str) -> datetime | None:
    text = metadata.optional_text(name)
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise metadata.wrong(name, "no time") from None
    if moment is not None and moment.tzinfo is None:
        raise metadata.wrong(name, "a time without a zone")
    return moment


def _lease(whole: Fields) -> Lease | None:
    name = whole.optional_text("lease_id")
    if not name:
        return None
    return Lease(name, whole.optional_number("lease_duration") or 0, whole.optional_flag("renewable") or False)
