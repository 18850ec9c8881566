"""The one way to every service that speaks plain HTTP: each request ends in time, in plain data or an error."""

from __future__ import annotations

import logging
import os
import re
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from urllib.parse import unquote, urlsplit

import certifi
import urllib3
from requests.utils import get_auth_from_url, get_environ_proxies, select_proxy
from urllib3.response import BaseHTTPResponse
from urllib3.util import Timeout, make_headers, parse_url

from pipe.audit import asked
from pipe.clients.connections import cause_of, pools
from pipe.errors import Busy, Invalid, KeyturnError, ServiceError, Unreadable
from pipe.retry import IN_FLIGHT, Deadline

log = logging.getLogger("keyturn.http")

# The files of authorities (PEM) that are trusted instead of the usual ones, as curl, OpenSSL and requests call them:
# where something between looks into TLS, its authority is in there. The first that is given counts.
BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")

# The longest answer that is read, in bytes as they are when unpacked: a hundred variables of 32 KiB are 3 MiB.
LARGEST = 8 * 2**20

# A host that has never answered is given up after so many seconds: its name may be wrong, and nobody wants to wait.
GIVEN_UP = 15.0

# A longer pause in seconds is not taken from a server, which may be asked again tomorrow.
LONGEST_PAUSE = 24 * 60 * 60.0

_CHUNK = 64 * 1024
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Answer:
    """A server's answer of whatever status; `headers` by their names in lower case, `body` unpacked."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def date(self) -> datetime | None:
        """The server's time in UTC, cut off to whole seconds; None where it tells none."""
        return _moment(self.headers.get("date", ""))

    @property
    def pause(self) -> float | None:
        """The seconds to wait that Retry-After asks for, a day at most; None where it asks for none that can be."""
        asked = self.headers.get("retry-after", "").strip()
        if re.fullmatch(r"[0-9]{1,9}", asked):
            return min(float(asked), LONGEST_PAUSE)
        until = _moment(asked)
        if until is None:
            return None
        return min(max(0.0, (until - (self.date or datetime.now(UTC))).total_seconds()), LONGEST_PAUSE)

    @property
    def leads_to(self) -> str:
        """The host that a redirect leads to; empty where it names none."""
        try:
            return urlsplit(self.headers.get("location", "")).hostname or ""
        except ValueError:
            return ""


class Door:
    """The way to one service at `root`, below which every request stays; many threads may use it at the same time.

    `service` is its name and `check` names the variables to look at, both for errors. `ca` is PEM and replaces the
    authorities that are trusted otherwise, `proxy` those of the environment, which is asked for proxies and for the
    files that `bundles` name, never for credentials. Raises Invalid where `root` is no address or what is to be
    trusted no certificates.
    """

    def __init__(
        self,
        service: str,
        root: str,
        check: str,
        deadline: Deadline,
        *,
        ca: str = "",
        proxy: str = "",
        bundles: Sequence[str] = BUNDLES,
    ) -> None:
        self._service = service
        self._root = root.rstrip("/")
        self._check = check
        self._deadline = deadline
        self._place = self._placed(root)
        self._proxy = ""
        # The variable that decides who is trusted; none where the service has authorities of its own.
        self._bundle = "" if ca else next((each for each in bundles if os.environ.get(each)), BUNDLES[0])
        self._connections = self._connected(self._trusted(ca), proxy)
        self._clock: tuple[datetime, float] | None = None
        self._answered = False
        self._failing_since: float | None = None
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the server's present time in UTC as its last answer had it; before the first one, the machine's."""
        if self._clock is None:
            return datetime.now(UTC)
        moment, heard = self._clock
        return moment + timedelta(seconds=time.monotonic() - heard)

    def ask(
        self, method: str, url: str, what: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """Make one request, once, and return the answer, whatever its status; redirects are not followed.

        `url` is below the root, `what` is what the request is about, for errors. Raises Busy where asking again may
        help, `unclear` where the request may have been carried out, and ServiceError for anything else: no other
        exception leaves.
        """
        connect, whole = self._deadline.request_times(f"{self._service} was not asked for {what}")
        sent = self._headers(headers or {}, what)
        self._see_below_root(url, what)
        started = time.monotonic()
        asked(self._service)
        try:
            answer = self._answer(method, url, sent, body, Timeout(connect=connect, total=whole))
        except Exception as error:  # noqa: BLE001 - libraries raise what they do not document
            raise self._failure(error, what) from None
        took = 1000 * (time.monotonic() - started)
        log.debug("%s %s: %s in %.0f ms", method, urlsplit(url).path, answer.status, took)
        self._answered = True
        if answer.date is not None:
            # The header is cut off to whole seconds; what has happened by now must not lie in the future.
            self._clock = (answer.date + timedelta(seconds=1), time.monotonic())
        if len(answer.body) > LARGEST:
            raise Unreadable(
                f"The answer about {what} is not {self._service}'s: it is larger than {LARGEST // 2**20} MiB.",
                f"Something between, such as a proxy, may have answered; check {self._check}.",
            )
        if answer.status == 407:
            raise ServiceError(
                f"The proxy before {self._service} wants credentials (407) for {what}.",
                "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY.",
            )
        return answer

    def _answer(
        self, method: str, url: str, headers: Mapping[str, bytes], body: bytes | None, timeout: Timeout
    ) -> Answer:
        response = self._connections.urlopen(
            method, url, headers=headers, body=body, timeout=timeout,
            retries=False, redirect=False, preload_content=False,
        )  # fmt: skip
        try:
            read = _read(response)
            told = response.headers
            return Answer(response.status, {name.lower(): told[name] for name in told}, read)
        except BaseException:
            response.close()
            raise

    def _headers(self, headers: Mapping[str, str], what: str) -> Mapping[str, bytes]:
        """Return headers as UTF-8: text that Latin-1 lacks would end in an error of the library that shows it."""
        sent = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate", "User-Agent": "keyturn", **headers}
        try:
            encoded = {name: value.encode() for name, value in sent.items()}
        except UnicodeError:
            encoded = {"": b"\n"}
        for name, value in encoded.items():
            if _CONTROL.search(value):
                raise Invalid(
                    f"{self._service} cannot be asked for {what}: what goes into the header {name or 'of a request'} "
                    "has line breaks or other characters that no header may have.", f"Check {self._check}.",
                )  # fmt: skip
        return encoded

    def _see_below_root(self, url: str, what: str) -> None:
        rest = url.removeprefix(self._root)
        path = unquote(re.split("[?#]", rest)[0])
        if not url.startswith(self._root) or rest[:1] not in ("", "/", "?") or {".", ".."} & set(path.split("/")):
            raise Invalid(
                f"The address for {what} is not below {self._service}'s at {self._place}; it was not asked.",
                f"Check {self._check}.",
            )

    def _failure(self, error: Exception, what: str) -> KeyturnError:
        """Return the error for a request without a whole answer; the library's own words repeat what was sent."""
        cause = cause_of(error, self._place, self._proxy)
        check = f"Check the network, any proxy, and {self._check}."
        if cause.untrusted and self._bundle:
            check = f"If a proxy looks into TLS, name the file of its authority in {self._bundle}; check {self._check}."
        if cause.sent:
            said = f"{self._service} gave no good answer about {what}: {cause.words}."
            return Busy(said, check, unclear=True) if cause.passing else Unreadable(said, check)
        said = f"{self._service} cannot be reached for {what}: {cause.words}."
        if not cause.passing:
            return ServiceError(said, check)
        with self._lock:
            self._failing_since = self._failing_since or time.monotonic()
        return Busy(said, check, until=None if self._answered else self._failing_since + GIVEN_UP)

    def _placed(self, root: str) -> str:
        """Return the host and the port of an address."""
        try:
            parts = parse_url(root)
            secure = {"http": 80, "https": 443}[parts.scheme or ""]
            if parts.host and not re.search(r"[\s\x00-\x1f\x7f]", root):
                return f"{parts.host}:{parts.port or secure}"
        except Exception:  # noqa: BLE001, S110 - whatever it is, it is no address
            pass
        raise Invalid(f"{self._service}'s address is none that can be asked.", f"Check {self._check}.")

    def _trusted(self, ca: str) -> ssl.SSLContext | None:
        """Return what a server's certificate is verified by; None where no connection needs it."""
        if not ca and urlsplit(self._root).scheme == "http":
            return None
        name = self._bundle if os.environ.get(self._bundle) else ""
        try:
            return _trusting(ca, os.environ[name] if name else certifi.where())
        except (ssl.SSLError, ValueError, TypeError, OSError):
            what = f"The file that {name} names holds" if name else f"The authorities to trust for {self._service} are"
            raise Invalid(f"{what} no certificates as PEM.", f"Check {name or self._check}.") from None

    def _connected(self, trust: ssl.SSLContext | None, proxy: str) -> urllib3.PoolManager:
        """Return the connections, through the proxy, or one that the environment has for this address."""
        given: dict[str, object] = {"ssl_context": trust, "maxsize": IN_FLIGHT}
        proxy = proxy or select_proxy(self._root, get_environ_proxies(self._root)) or ""
        try:
            if not proxy:
                return pools(urllib3.PoolManager(**given))  # type: ignore[arg-type]
            proxy = proxy if "://" in proxy else f"http://{proxy}"
            at, (user, password) = parse_url(proxy), get_auth_from_url(proxy)
            self._proxy = f"{at.host}:{at.port or 80}"
            credentials = make_headers(proxy_basic_auth=f"{user}:{password}") if user else None
            address = at._replace(auth=None).url
            return pools(urllib3.ProxyManager(address, proxy_headers=credentials, **given))  # type: ignore[arg-type]
        except Exception:  # noqa: BLE001 - libraries raise what they do not document
            raise Invalid(f"The proxy before {self._service} has an address that cannot be asked.",
                          "Check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY.") from None  # fmt: skip


@cache
def _trusting(ca: str, known: str) -> ssl.SSLContext:
    """Return what verifies certificates: by authorities as PEM, or by those in a file; it is dear to make."""
    trust = ssl.create_default_context(cadata=ca) if ca else ssl.create_default_context(cafile=known)
    trust.minimum_version = ssl.TLSVersion.TLSv1_2
    return trust


def _read(response: BaseHTTPResponse) -> bytes:
    """Return an answer's body unpacked, or more of it than may be."""
    parts: list[bytes] = []
    size = 0
    while size <= LARGEST and (chunk := response.read(_CHUNK)):
        parts.append(chunk)
        size += len(chunk)
    if size > LARGEST:
        response.close()
    return b"".join(parts)


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
