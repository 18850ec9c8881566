"""Vault's API as hvac asks it: each request goes through the one door, once, and comes back as an answer of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from json import dumps
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlencode

import hvac
from hvac.adapters import RawAdapter

from pipe.clients.answer import About, Fields, fields
from pipe.clients.http import Answer as HttpAnswer
from pipe.clients.http import Door
from pipe.clients.vault_errors import OWN, Explain, held_back, problem_of, refusal_of
from pipe.errors import Invalid, KeyturnError
from pipe.redact import Secret
from pipe.retry import Deadline, Gate

# One of hvac's methods, which makes one request; it is given an hvac.Client, and returns an Answer.
Call = Callable[[Any], object]

Query = Mapping[str, str | int]


class Question(NamedTuple):
    """A request, as a call of hvac's.

    `absent` takes "nothing there" for an answer, not for an error; `explain` knows more about refusals. What is not
    `repeatable` is not asked again where it may have been carried out.
    """

    call: Call
    absent: bool = False
    repeatable: bool = True
    explain: Explain | None = None


@dataclass(frozen=True)
class Answer:
    """Vault's answer; `absent` where nothing is there, or no more."""

    whole: Fields = field(repr=False)
    absent: bool = False

    @property
    def data(self) -> Fields:
        """The answer proper; raises Unreadable where it has none."""
        return self.whole.object("data")

    @property
    def auth(self) -> Fields:
        """What a log-in gave; raises Unreadable where that is nothing."""
        return self.whole.object("auth")


def plain(verb: str, path: str, query: Query | None = None, body: Mapping[str, Any] | None = None) -> Call:
    """Return the call for a request that hvac has no method for; `path` is the API's below /v1/, as people write it."""
    return lambda vault: vault.adapter.request(verb, f"/v1/{quote(path)}", params=query, json=body)


class Api:
    """Vault's API at one address; `ca` (PEM) replaces the authorities that are trusted otherwise.

    Raises Invalid for an address that is none, and for authorities that are no certificates.
    """

    def __init__(self, address: str, namespace: str, ca: str, deadline: Deadline) -> None:
        self._address = address.rstrip("/")
        self._door = Door("Vault", f"{self._address}/v1/", "VAULT_ADDR and VAULT_CACERT", deadline, ca=ca)
        self._gate = Gate()
        self._headers = {"X-Vault-Request": "true"} | ({"X-Vault-Namespace": namespace} if namespace else {})

    def now(self) -> datetime:
        """Return Vault's present time; before the first answer, the machine's."""
        return self._door.now()

    def ask_once(self, question: Question, token: Secret | None = None) -> Answer:
        """Make one request, once; raises ServiceError, and Busy where asking again may help."""
        headers = self._headers | ({"X-Vault-Token": token.reveal()} if token else {})
        # A client for each request, so that threads share no token. What is not given here, hvac would take from the
        # environment and the home: address, token, certificates, even with none at all.
        client = hvac.Client(
            url=self._address, token="", cert="", verify=True, adapter=_Adapter,
            door=self._door, sent=headers, question=question,
        )  # fmt: skip
        with self._gate.one():
            try:
                answer = question.call(client)
            except KeyturnError:
                raise
            except Exception as error:  # noqa: BLE001 - hvac raises what it does not document
                raise _unaskable(f"hvac: {type(error).__name__}") from None
        if not isinstance(answer, Answer):
            raise _unaskable("hvac has made something else of its answer")
        return answer


class _Adapter(RawAdapter):  # type: ignore[misc] # hvac has no types
    """What all of hvac's requests go through; nothing else of its own way to the server is ever used."""

    def __init__(self, *, door: Door, sent: Mapping[str, str], question: Question, **given: Any) -> None:
        super().__init__(**given)
        self._door = door
        self._sent = sent
        self._question = question

    def request(
        self, method: str, url: str, params: Query | None = None, json: Mapping[str, Any] | None = None
    ) -> Answer:
        """Make a request; `url` is quoted and begins with /v1/."""
        verb, path = method.upper(), unquote(url).removeprefix("/v1/")
        _check(path)
        address = self.base_uri + url + (f"?{urlencode(params, quote_via=quote)}" if params else "")
        headers, body = dict(self._sent), None
        if json is not None:
            headers["Content-Type"], body = "application/json", dumps(json).encode()
        answer = self._door.ask(verb, address, f"{verb} {path}", headers=headers, body=body)
        return _read(self._question, verb, path, answer)


def _unaskable(why: str) -> Invalid:
    return Invalid(f"Vault cannot be asked ({why}).", "Check SECRETS, VAULT_AUTH_PATH and VAULT_USERNAME.")


def _check(path: str) -> None:
    """Raise Invalid for a path that a server would take for another one."""
    parts = path.split("/")
    if {"", ".", ".."} & set(parts[:-1]) or parts[-1] in {".", ".."}:
        raise Invalid(f"`{path}` is no path that Vault can have.", "Check SECRETS, VAULT_AUTH_PATH and VAULT_USERNAME.")


def _read(question: Question, verb: str, path: str, answer: HttpAnswer) -> Answer:
    about = About("Vault", f"{verb} {path}", "VAULT_ADDR")
    if answer.status == 204:
        return Answer(Fields({}, about))
    if 200 <= answer.status < 300:
        whole = fields(answer, about)
        if not OWN & whole.raw.keys():
            raise about.unreadable("it has none of the fields that Vault's answers have")
        if whole.optional_object("wrap_info") and "data" not in whole and "auth" not in whole:
            raise held_back(verb, path)
        return Answer(whole)
    refusal = refusal_of(verb, path, answer, about)
    if question.absent and refusal.absent:
        return Answer(fields(answer, about), absent=True)
    raise (question.explain and question.explain(refusal)) or problem_of(refusal, answer)
