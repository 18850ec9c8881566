"""IAM Roles Anywhere: a session of a role for who signs with a certificate's key."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from pipe.clients.anywhere_facts import Grant, all_to_check, first_to_check
from pipe.clients.x509 import Papers
from pipe.errors import Busy, Denied, KeyturnError, ServiceError
from pipe.patience import Patience
from pipe.redact import Secret
from pipe.values import Identity, KeyPair

log = logging.getLogger("keyturn.aws")

ACTION = "rolesanywhere:CreateSession"

# AWS takes no signature that is five minutes off by its own clock.
TOO_LATE = timedelta(minutes=4)


@dataclass(frozen=True)
class Given:
    """The session that was given: what signs, and who it is."""

    pair: KeyPair = field(repr=False)
    token: Secret
    identity: Identity


class RolesAnywhere:
    """The service in the trust anchor's region, or at another address, asked by one certificate.

    Its `now` is AWS's own clock, which decides whether the certificate is valid.
    """

    def __init__(self, grant: Grant, papers: Papers, url: str | None, patience: Patience) -> None:
        self._grant = grant
        self._papers = papers
        self._url = (url or grant.address).rstrip("/") + "/sessions"
        self._patience = patience
        self._http = requests.Session()
        # The environment is asked for proxies alone: not for ~/.netrc, nor for another file of authorities.
        self._http.trust_env = False
        self._http.proxies = requests.utils.get_environ_proxies(self._url)
        self._http.headers["User-Agent"] = "keyturn"
        self._server_time: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """Return AWS's present time; before the first answer, the machine's."""
        if self._server_time is None:
            return datetime.now(UTC)
        moment, heard = self._server_time
        return moment + timedelta(seconds=time.monotonic() - heard)

    def create_session(self, seconds: int) -> Given:
        """Return a session of so many seconds, patiently; raises ServiceError."""
        return self._patience.insist(lambda: self._ask(seconds))

    def _ask(self, seconds: int) -> Given:
        grant = self._grant
        arns = {"profileArn": grant.profile, "roleArn": grant.role, "trustAnchorArn": grant.trust_anchor}
        query = "&".join(f"{name}={quote(arn, safe='')}" for name, arn in arns.items())
        body = json.dumps({"durationSeconds": seconds})
        signed_at, started = self.now(), time.monotonic()
        try:
            # Signed anew for each attempt: AWS takes no date that is older than five minutes.
            response = self._http.post(
                f"{self._url}?{query}", data=body, headers=self._signed(query, body, signed_at),
                timeout=self._patience.timeouts, allow_redirects=False,
            )  # fmt: skip
        except requests.RequestException as error:
            raise _unreachable(error) from None
        log.debug("%s: %s in %.0f ms", ACTION, response.status_code, 1000 * (time.monotonic() - started))
        with contextlib.suppress(KeyError, ValueError):
            self._server_time = (parsedate_to_datetime(response.headers["Date"]).astimezone(UTC), time.monotonic())
        answer: Any = None
        with contextlib.suppress(ValueError):
            answer = response.json()
        if response.status_code >= 300:
            refusal = self._refusal(response, answer if isinstance(answer, dict) else {})
            late = abs(self.now() - signed_at) - timedelta(seconds=time.monotonic() - started)
            # By now AWS's time is known, and the next attempt is signed with it.
            raise Busy(refusal.what, "Check this machine's clock.", after=0) if late > TOO_LATE else refusal
        return _given(answer)

    def _signed(self, query: str, body: str, now: datetime) -> dict[str, str]:
        """Return the headers of a request, the signature among them: AWS's version 4 with a certificate's key."""
        papers, place = self._papers, urlsplit(self._url)
        moment = now.strftime("%Y%m%dT%H%M%SZ")
        scope = f"{moment[:8]}/{self._grant.region}/rolesanywhere/aws4_request"
        headers = {
            "content-type": "application/json",
            "host": place.netloc,
            "x-amz-date": moment,
            "x-amz-x509": papers.certificate,
            **({"x-amz-x509-chain": papers.chain} if papers.chain else {}),
        }
        names = ";".join(headers)
        canonical = ["POST", place.path, query, *(f"{name}:{value}" for name, value in headers.items()), "", names,
                     _digest(body)]  # fmt: skip
        to_sign = "\n".join((papers.algorithm, moment, scope, _digest("\n".join(canonical))))
        return headers | {
            "authorization": f"{papers.algorithm} Credential={papers.facts.serial}/{scope}, SignedHeaders={names}, "
            f"Signature={papers.sign(to_sign)}"
        }

    def _refusal(self, response: requests.Response, answer: dict[str, Any]) -> KeyturnError:
        """Return what an answer that is no success means."""
        status = response.status_code
        code = response.headers.get("x-amzn-ErrorType", "").partition(":")[0] or str(answer.get("__type", status))
        said = str(answer.get("message") or answer.get("Message") or "no reason given")
        what = f"AWS: {ACTION} failed: {code}: {said.rstrip('.')}."
        if status == 429 or status >= 500:
            after = response.headers.get("Retry-After", "")
            return Busy(
                what, "Try again later.", after=float(after) if after.isdecimal() else None, unclear=status >= 500,
                throttled=status == 429,
            )  # fmt: skip
        if status < 400 or not answer:
            return ServiceError(
                f"The answer of {urlsplit(self._url).hostname} ({status}) is not IAM Roles Anywhere's.",
                "Check AWS_ENDPOINT_URL, the trust anchor's region, and any proxy.",
            )
        facts, now = self._papers.facts, self.now()
        kind = Denied if status == 403 else ServiceError
        return kind(what, first_to_check(f"{code} {said}", facts, now), details=all_to_check(facts, self._grant))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _given(answer: Any) -> Given:
    try:
        (first, *_) = answer["credentialSet"]
        keys, arn = first["credentials"], first["assumedRoleUser"]["arn"]
        return Given(
            KeyPair(keys["accessKeyId"], Secret(keys["secretAccessKey"])),
            Secret(keys["sessionToken"]),
            Identity(arn, arn.split(":")[4]),
        )
    except (KeyError, TypeError, ValueError, IndexError):
        raise ServiceError(f"AWS: the answer to {ACTION} is not as expected.", "Check AWS_ENDPOINT_URL.") from None


def _unreachable(error: requests.RequestException) -> KeyturnError:
    """Return the error for a request that got no answer, without the library's words: they repeat what was sent."""
    if isinstance(error, requests.exceptions.SSLError):
        return ServiceError(f"The server's certificate could not be verified for {ACTION}.", "Check the network.")
    if isinstance(error, ValueError):
        return ServiceError(f"{ACTION} cannot be asked.", "Check AWS_ENDPOINT_URL and the trust anchor's ARN.")
    kind = "no answer in time" if isinstance(error, requests.exceptions.Timeout) else "the connection failed"
    return Busy(f"AWS: {kind} for {ACTION}.", "Check the network and the trust anchor's region.", unclear=True)
