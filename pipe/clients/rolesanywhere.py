"""IAM Roles Anywhere: a session of a role for who signs with a certificate's key."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from pipe.clients.answer import About, Fields, fields
from pipe.clients.aws_transport import BUNDLES
from pipe.clients.certificate import Grant, SigningCertificate, all_to_check, first_to_check
from pipe.clients.http import Answer, Door
from pipe.errors import Busy, Denied, KeyturnError, ServiceError, Unreadable
from pipe.redact import Secret, one_line
from pipe.retry import Deadline
from pipe.values import Identity, KeyPair

ACTION = "rolesanywhere:CreateSession"
ABOUT = About("IAM Roles Anywhere", ACTION, "AWS_ENDPOINT_URL and the trust anchor's region")

# AWS takes no signature that is five minutes off by its own clock.
TOO_LATE = timedelta(minutes=4)


class Given(NamedTuple):
    """The session that was given: what signs, and who it is."""

    pair: KeyPair
    token: Secret
    identity: Identity


class RolesAnywhere:
    """The service in the trust anchor's region, or at another address, asked by one certificate.

    Its `now` is AWS's own clock, which decides whether the certificate is valid.
    """

    def __init__(self, grant: Grant, papers: SigningCertificate, url: str | None, deadline: Deadline) -> None:
        self._grant = grant
        self._papers = papers
        self._url = (url or grant.address).rstrip("/") + "/sessions"
        self._door = Door(ABOUT.service, self._url, ABOUT.check, deadline, bundles=BUNDLES)
        self._deadline = deadline

    def now(self) -> datetime:
        """Return AWS's present time; before the first answer, the machine's."""
        return self._door.now()

    def create_session(self, seconds: int) -> Given:
        """Return a session of so many seconds, patiently; raises ServiceError."""
        return self._deadline.retry(lambda: self._ask(seconds))

    def _ask(self, seconds: int) -> Given:
        grant = self._grant
        arns = {"profileArn": grant.profile, "roleArn": grant.role, "trustAnchorArn": grant.trust_anchor}
        query = "&".join(f"{name}={quote(arn, safe='')}" for name, arn in arns.items())
        body = json.dumps({"durationSeconds": seconds})
        # Signed anew for each attempt: AWS takes no date that is older than five minutes.
        signed_at, started = self.now(), time.monotonic()
        headers = self._signed(query, body, signed_at)
        answer = self._door.ask("POST", f"{self._url}?{query}", ACTION, headers=headers, body=body.encode())
        if answer.status < 300:
            return _given(fields(answer, ABOUT))
        refusal = self._refusal(answer)
        late = abs(self.now() - signed_at) - timedelta(seconds=time.monotonic() - started)
        # By now AWS's time is known, and the next attempt is signed with it.
        raise Busy(refusal.what, "Check this machine's clock.", after=0) if late > TOO_LATE else refusal

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

    def _refusal(self, answer: Answer) -> KeyturnError:
        """Return what an answer that is no success means."""
        status = answer.status
        if status < 400:
            return ABOUT.unreadable(f"it leads to {answer.leads_to or 'elsewhere'} ({status}), and was not followed")
        try:
            told = fields(answer, ABOUT)
        except Unreadable as error:
            if status < 500:
                return error
            told = Fields({}, ABOUT)
        code = answer.headers.get("x-amzn-errortype", "").partition(":")[0] or _word(told, "__type") or str(status)
        said = _word(told, "message") or _word(told, "Message") or "no reason given"
        what = f"AWS: {ACTION} failed: {code}: {one_line(said.rstrip('.'), 900)}."
        if status == 429 or status >= 500:
            return Busy(
                what, "Try again later.", after=answer.pause, unclear=status >= 500, throttled=status == 429
            )  # fmt: skip
        facts, now = self._papers.facts, self.now()
        kind = Denied if status == 403 else ServiceError
        return kind(what, first_to_check(f"{code} {said}", facts, now), details=all_to_check(facts, self._grant))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _word(told: Fields, name: str) -> str:
    value = told.raw.get(name)
    return value if isinstance(value, str) else ""


def _given(answer: Fields) -> Given:
    sessions = answer.objects("credentialSet")
    if not sessions:
        raise answer.wrong("credentialSet", "empty")
    keys, arn = sessions[0].object("credentials"), sessions[0].object("assumedRoleUser").name("arn")
    parts = arn.split(":")
    if len(parts) < 6:
        raise answer.wrong("credentialSet[].assumedRoleUser.arn", "no ARN")
    return Given(
        KeyPair(keys.text("accessKeyId"), Secret(keys.text("secretAccessKey"))),
        Secret(keys.text("sessionToken")),
        Identity(arn, parts[4]),
    )
