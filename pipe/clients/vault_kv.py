"""What Vault's mounts hold: versions by one request where the server can, and what is in a secret."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pipe.clients.vault import Vault
from pipe.clients.vault_api import Json, Question
from pipe.clients.vault_errors import Refusal
from pipe.errors import Denied, KeyturnError, Missing, Unsupported
from pipe.material import Engine, Lease, Material, Mount, Tree, Version
from pipe.redact import learn_all

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
            if kind is None or "namespace" in refusal.said:
                return None
            return kind(
                f"Vault does not say what is mounted at `{path}` ({refusal.status}): {refusal.said}",
                "Check SECRETS: is there such a mount, and does the token's policy allow anything below it?",
            )

        data = self._vault.ask(Question("GET", f"sys/internal/ui/mounts/{path}", explain=explain)).data
        name, options = str(data.get("type", "")), data.get("options") or {}
        engine = Engine.KV1 if name in ("kv", "generic") else Engine.OTHER
        if engine is Engine.KV1 and options.get("version") == "2":
            engine = Engine.KV2
        return Mount(str(data.get("path", "")).strip("/"), engine, name)

    def tree(self, mount: Mount, folder: str, *, recursive: bool) -> Tree:
        """Return a folder's secrets and their versions, of a recursive one all below it, without reading any.

        A folder that is not there is empty. Raises Unsupported where the server has no such list.
        """
        if mount.engine is not Engine.KV2:
            raise Unsupported(f"The {mount.engine.value} mount `{mount.path}` has no versions.")
        path = _below(mount, "detailed-metadata", folder) + "/"
        versions: dict[str, Version] = {}
        folders: list[str] = []
        for page in [self._list("SCAN", path)] if recursive else self._pages(path):
            details = page.get("key_info") or {}
            for name in page.get("keys") or ():
                if name.endswith("/"):
                    folders.append(name.rstrip("/"))
                elif "current_version" not in (details.get(name) or {}):
                    raise Unsupported(f"Vault's list of `{path}` has no details of `{name}`.")
                else:
                    versions[name] = _current(details[name])
        return Tree(versions, tuple(folders))

    def names(self, mount: Mount, folder: str) -> tuple[str, ...]:
        """Return the names in a folder, those of folders with a slash at the end; none for one that is not there."""
        return tuple(self._list("LIST", _below(mount, "metadata", folder) + "/").get("keys") or ())

    def version(self, mount: Mount, path: str) -> Version:
        """Return a secret's current version, without reading it; raises Missing."""
        return _current(self._vault.ask(Question("GET", _below(mount, "metadata", path))).data)

    def read(self, mount: Mount, path: str, number: int | None = None) -> Material:
        """Return what is in a secret, in its current version or a given one; raises Missing.

        All of it is hidden from output from then on.
        """
        where = _below(mount, "data", path)
        if mount.engine is not Engine.KV2:
            answer = self._vault.ask(Question("GET", where))
            learn_all(answer.data)
            return Material(answer.data, lease=_lease(answer.body))
        query = {} if number is None else {"version": number}
        answer = self._vault.ask(Question("GET", where, query=query, absent=True))
        metadata, values = answer.data.get("metadata"), answer.data.get("data")
        if metadata is None:
            which = f" in version {number}" if number is not None else ""
            raise Missing(f"Vault has nothing at `{where}`{which} (404).", "Check SECRETS.")
        learn_all(values)
        return Material(values, _version(metadata["version"], metadata))

    def _pages(self, path: str) -> list[Json]:
        pages: list[Json] = []
        query: dict[str, str | int] = {"limit": self._page}
        while True:
            page = self._list("LIST", path, query)
            keys = page.get("keys") or []
            pages.append(page)
            if len(keys) < self._page or keys[-1] == query.get("after"):
                return pages
            query["after"] = keys[-1]

    def _list(self, verb: str, path: str, query: Mapping[str, str | int] | None = None) -> Json:
        return self._vault.ask(Question(verb, path, query=query or {}, absent=True)).data


def _below(mount: Mount, part: str, path: str) -> str:
    """Return the API's path of a secret or folder; only version 2 has parts."""
    return "/".join(filter(None, (mount.path, part if mount.engine is Engine.KV2 else "", path)))


def _current(metadata: Json) -> Version:
    number = int(metadata["current_version"])
    return _version(number, (metadata.get("versions") or {}).get(str(number), metadata))


def _version(number: int, metadata: Json) -> Version:
    deleted = metadata.get("deletion_time")
    return Version(
        int(number),
        str(metadata.get("created_time", "")),
        datetime.fromisoformat(deleted) if deleted else None,
        bool(metadata.get("destroyed")),
    )


def _lease(body: Json) -> Lease | None:
    if not body.get("lease_id"):
        return None
    return Lease(body["lease_id"], int(body.get("lease_duration") or 0), bool(body.get("renewable")))
