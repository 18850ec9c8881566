"""What AWS's refusals mean, and what mends them."""

from __future__ import annotations

import re
from datetime import timedelta

from pipe.clients.answer import known_words
from pipe.errors import (
    BadCredentials,
    Busy,
    Conflict,
    Denied,
    Invalid,
    KeyturnError,
    LimitReached,
    Mismatched,
    Missing,
    ServiceError,
    WrongState,
)
from pipe.redact import one_line

# What AWS says where it has not got the keys of a token's issuer.
NO_KEY = "retrieve verification key"

_THROTTLED = frozenset({
    "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
    "RequestLimitExceeded", "TooManyRequestsException", "SlowDown",
})  # fmt: skip
_BUSY = _THROTTLED | {
    "PriorRequestNotComplete", "IDPCommunicationError", "RequestTimeout", "InternalServiceError", "InternalFailure",
    "ServiceUnavailable",
}  # fmt: skip
_UNKNOWN_KEY = frozenset({"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"})
_WRONG_SECRET = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_KINDS: tuple[tuple[frozenset[str], type[ServiceError]], ...] = (
    (frozenset({"NoSuchEntity", "NoSuchEntityException", "ResourceNotFoundException"}), Missing),
    (frozenset({"ResourceExistsException", "EntityAlreadyExists", "EntityAlreadyExistsException",
                "ConcurrentModification"}), Conflict),
    (frozenset({"LimitExceeded", "LimitExceededException"}), LimitReached),
    # Secrets Manager says so of labels that are elsewhere, but also of replicas, of secrets that another service owns
    # or that wait for their deletion: only the message tells which.
    (frozenset({"InvalidParameterException", "InvalidRequestException"}), WrongState),
    (frozenset({"ValidationError", "ValidationException", "InvalidInput"}), Invalid),
)  # fmt: skip
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})
_POLICY = frozenset({"MalformedPolicyDocument", "MalformedPolicyDocumentException", "PackedPolicyTooLarge"})
_CLOCK = ("Signature expired", "Signature not yet current", "RequestTimeTooSkewed")

_POLICY_OF_A_KIND = (
    "(?:(?:identity-based|resource-based|role trust|session|service control|resource control|VPC endpoint) policy|"
    "permissions boundary)"
)
_CAUSE = rf"(?P<how>explicit deny in an?|because no) (?P<policy>{_POLICY_OF_A_KIND})"
_ORGANIZATION = (
    "the {policy} of the organization, which no policy in the account outdoes: ask who manages the organization in AWS"
)
# Where the policy is that has to be changed.
_WHERE = {
    "identity-based policy": "the policies of the identity itself",
    "resource-based policy": "the policy of what is asked for (the secret's, the topic's or the key's own)",
    "role trust policy": "the trust policy of the role",
    "session policy": "the policy of the session: AWS_SESSION_POLICY, or Roles Anywhere's profile",
    "permissions boundary": "the permissions boundary of the identity, which has to allow it beside its policies",
    "service control policy": _ORGANIZATION,
    "resource control policy": _ORGANIZATION,
    "VPC endpoint policy": "the policy of the VPC endpoint that the request goes through",
}
_KMS = (
    "The identity needs kms:Decrypt on the key that encrypts the secret, and kms:GenerateDataKey to write it; the "
    "key's own policy has to allow it, too."
)
# Requests that carry a secret, which the answer may repeat.
_SECRET = frozenset({
    "secretsmanager:PutSecretValue", "secretsmanager:CreateSecret", "sts:AssumeRoleWithWebIdentity",
})  # fmt: skip
# What of such an answer is told: AWS's own words for a cause, in which nothing of a request can be.
_KNOWN = (
    rf"(?:explicit deny in an?|because no) {_POLICY_OF_A_KIND}"
    r"(?: allows the [a-z]{2,20}:[A-Z][A-Za-z]{2,40} action)?|"
    r"not authorized to perform: [a-z]{2,20}:[A-Z][A-Za-z]{2,40}|Access to KMS is not allowed|KMS key|"
    r"customer master key|replica secret|(?:marked|scheduled) for deletion|managed by another service|owned by|"
    r"already exists|not in a valid state|(?:greater|less|longer|shorter) than or equal to [0-9]{1,6}|"
    r"exceed(?:s|ed)? the (?:limit|quota|maximum)|too (?:long|large|many)|"
    r"maximum (?:length|size|number)|Rate exceeded|staging labels?|[Ii]ncorrect token audience|"
    r"No OpenIDConnect provider found|retrieve verification key|[Tt]oken is expired|[Tt]oken has expired|"
    r"Signature expired|Signature not yet current|not activated in this region|[Pp]acked (?:policy )?size|"
    r"\b(?:[Ss]ecretString|[Ss]ecretBinary|[Cc]lientRequestToken|[Kk]msKeyId|[Dd]urationSeconds|[Rr]oleSessionName)\b"
)
# What AWS says, and what it advises to.
_ADVICE: tuple[tuple[str, str], ...] = (
    (r"Access to KMS is not allowed|perform: kms:|KMS ?key|customer master key", _KMS),
    (r"replica secret", "It is a replica, which takes no changes: name the secret in its primary region."),
    (r"marked for deletion|scheduled for deletion", "Restore it (aws secretsmanager restore-secret), or name another."),
    (r"managed by another service|owned by", "Another AWS service owns it: name a secret of your own."),
)


def is_busy(code: str, message: str) -> bool:
    """Tell whether an error's code and message say that asking again may help."""
    # An issuer of tokens that AWS could not ask in five seconds comes under the code of tokens that are wrong.
    return code in _BUSY or (code == "InvalidIdentityToken" and NO_KEY in message)


def said_of(action: str, message: str, request_id: str = "") -> str:
    """Return what AWS says, as it may be told: of a request that carries a secret, the known words for a cause."""
    if action not in _SECRET:
        return one_line(message, 900)
    traced = f"request id {request_id}" if re.fullmatch(r"[\w-]{1,64}", request_id, re.ASCII) else ""
    return "; ".join(filter(None, (known_words(_KNOWN, message), traced))) or "no known reason"


def is_throttled(code: str) -> bool:
    """Tell whether an error's code says that AWS wants fewer requests."""
    return code in _THROTTLED


def meaning_of(
    code: str, message: str, action: str, check: str, *, ahead: timedelta | None = None, request_id: str = ""
) -> KeyturnError:
    """Return what an error's code and message mean for us, wherever in an answer they stand.

    `check` is what to look at where AWS's own words do not tell it; `ahead` is by how much AWS's clock is ahead of
    the machine's, if that is known.
    """
    what = f"AWS: {action} failed: {code}: {said_of(action, message, request_id)}"
    if is_busy(code, message):
        return Busy(what, "Try again later.", throttled=is_throttled(code))
    error = _refusal(code, message, action, check, what=what, ahead=ahead)
    error.code = code
    return error


def _refusal(code: str, message: str, action: str, check: str, *, what: str, ahead: timedelta | None) -> ServiceError:
    if any(words in message or words == code for words in _CLOCK):
        return ServiceError(what, _clock(ahead))
    if code in _UNKNOWN_KEY:
        return BadCredentials(f"AWS does not know the access key ({code}, {action}).", check)
    if code in _WRONG_SECRET:
        return Mismatched(f"The access key and its secret do not fit together ({code}, {action}).", check)
    if code in _EXPIRED:
        return BadCredentials(f"The credentials have expired ({code}, {action}).", check)
    if code == "RegionDisabledException":
        return ServiceError(
            what,
            "Activate STS in that region (IAM, Account settings) and the region itself in the account, or name another "
            f"in AWS_DEFAULT_REGION. {check}",
        )
    if code in _POLICY:
        # AWS packs a policy, so that one of fewer characters than it takes can be too large all the same.
        return Invalid(what, "Check AWS_SESSION_POLICY; for a smaller one, name beginnings of names, not each secret.")
    advice = next((advice for words, advice in _ADVICE if re.search(words, message)), "")
    if code in _DENIED or "AccessDenied" in code:
        needs = "" if action in check else f"The identity needs the permission {action}."
        return Denied(what, f"{_denied(message) or advice or needs} {check}")
    kind = next((kind for codes, kind in _KINDS if code in codes), ServiceError)
    return kind(what, advice or check)


def _denied(message: str) -> str:
    """Return what mends a denial, if AWS tells the policy that is the cause."""
    told, cause = re.search(r"not authorized to perform: ([\w-]+:\w+)", message), re.search(_CAUSE, message)
    if cause is None:
        return ""
    permission = told[1] if told else "it"
    if cause["how"] == "because no" and cause["policy"] == "identity-based policy":
        return f"The identity needs the permission {permission}."
    where = _WHERE[cause["policy"]].format(policy=cause["policy"])
    if cause["how"] == "because no":
        return f"What does not allow {permission} is {where}."
    return f"What denies {permission} is {where}. To allow it elsewhere does not help: a denial outdoes that."


def _clock(ahead: timedelta | None) -> str:
    """Return what to do about a clock that is wrong."""
    if ahead is None:
        return "This machine's clock is wrong: set it by a time server (NTP)."
    minutes = round(abs(ahead.total_seconds()) / 60)
    which = "behind" if ahead > timedelta(0) else "ahead of"
    return f"This machine's clock is off by {minutes} min, {which} AWS's: set it by a time server (NTP)."
