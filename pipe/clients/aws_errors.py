"""What AWS's refusals mean."""

from __future__ import annotations

import botocore.exceptions as trouble

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
_MISSING = frozenset({"NoSuchEntity", "NoSuchEntityException", "ResourceNotFoundException"})
_CONFLICT = frozenset({
    "ResourceExistsException", "EntityAlreadyExists", "EntityAlreadyExistsException", "ConcurrentModification",
})  # fmt: skip
# Secrets Manager says so of labels that are elsewhere, but also of replicas, of secrets that another service owns or
# that wait for their deletion: only the message tells which.
_WRONG_STATE = frozenset({"InvalidParameterException", "InvalidRequestException"})
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"})
_POLICY = frozenset({"MalformedPolicyDocument", "MalformedPolicyDocumentException", "PackedPolicyTooLarge"})
_LIMIT = frozenset({"LimitExceeded", "LimitExceededException"})


def meaning(error: trouble.ClientError, action: str, check: str) -> KeyturnError:
    """Return what an error answer of AWS means for us."""
    said = error.response.get("Error", {})
    code, message = str(said.get("Code", "")), str(said.get("Message", ""))
    metadata = error.response.get("ResponseMetadata", {})
    status = int(metadata.get("HTTPStatusCode", 0))
    if _is_busy(code, message) or status == 429 or status >= 500:
        after = str(metadata.get("HTTPHeaders", {}).get("retry-after", ""))
        return Busy(
            f"AWS: {action} failed: {code}: {message}",
            "Try again later.",
            after=float(after) if after.isdecimal() else None,
            # A throttled request was not carried out; one that ended in a server's error may have been.
            unclear=status >= 500,
            throttled=code in _THROTTLED or status == 429,
        )
    return meaning_of(code, message, action, check, forbidden=status == 403)


def meaning_of(code: str, message: str, action: str, check: str, *, forbidden: bool = False) -> KeyturnError:
    """Return what an error's code and message mean for us, wherever in an answer they stand."""
    if _is_busy(code, message):
        what = f"AWS: {action} failed: {code}: {message}"
        return Busy(what, "Try again later.", throttled=code in _THROTTLED)
    error = _refusal(code, message, action, check, forbidden=forbidden)
    error.code = code
    return error


def _is_busy(code: str, message: str) -> bool:
    # An issuer of tokens that AWS could not ask in five seconds comes under the code of tokens that are wrong.
    return code in _BUSY or (code == "InvalidIdentityToken" and NO_KEY in message)


def _refusal(code: str, message: str, action: str, check: str, *, forbidden: bool) -> ServiceError:
    what = f"AWS: {action} failed: {code}: {message}"
    if code in _UNKNOWN_KEY:
        return BadCredentials(f"AWS does not know the access key ({code}, {action}).", check)
    if code in _WRONG_SECRET:
        return Mismatched(f"The access key and its secret do not fit together ({code}, {action}).", check)
    if code in _EXPIRED:
        return BadCredentials(f"The credentials have expired ({code}, {action}).", check)
    for codes, kind in ((_MISSING, Missing), (_CONFLICT, Conflict), (_WRONG_STATE, WrongState), (_LIMIT, LimitReached)):
        if code in codes:
            return kind(what, check)
    if code in _POLICY:
        # AWS packs a policy, so that one of fewer characters than it takes can be too large all the same.
        return Invalid(what, "Check AWS_SESSION_POLICY; for a smaller one, name beginnings of names, not each secret.")
    if code in _DENIED or forbidden:
        return Denied(what, check or f"The identity needs the permission {action}.")
    return ServiceError(what, check)


def no_answer(error: trouble.BotoCoreError, action: str) -> KeyturnError:
    """Return the error for a request that got no answer, without the library's words."""
    if isinstance(error, (trouble.ConnectTimeoutError, trouble.ProxyConnectionError)):
        return Busy(f"AWS cannot be reached for {action}.", "Check the network and the region.")
    if isinstance(error, (trouble.HTTPClientError, trouble.ConnectionError)) and not isinstance(
        error, trouble.SSLError
    ):
        return Busy(f"AWS: the connection failed during {action}.", "Check the network and the region.", unclear=True)
    return ServiceError(f"AWS: {action} could not be asked ({type(error).__name__}).", "Check the AWS settings.")
