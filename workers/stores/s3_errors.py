"""Translates errors of an S3 server, and of the connection to it, to wildtag's errors.

=================================================  =====================================================
what happened                                      what is raised
=================================================  =====================================================
no such key, or a delete marker                    ``ObjectGone``
the configured bucket does not exist               ``BucketMissing``
another bucket does not exist                      ``ObjectError``: an event of a foreign bucket
access denied, to an object                        ``ObjectForbidden``
access denied, to the bucket                       ``BucketForbidden``, a ``StoreRefuses``
key pair, signature, token, clock, region          ``StoreRefuses``, which says what to check
a certificate that is not trusted                  ``StoreRefuses``
no connection, timeout, 5xx, slow down             ``StoreAway``
a response that is not S3's                        ``StoreAway``
a key that the server does not take                ``ObjectNameRefused``, an ``ObjectForbidden``
any other refusal, of an object                    ``ObjectError``
any other refusal, of the bucket                   ``BucketRefused``
=================================================  =====================================================
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from xml.etree.ElementTree import ParseError

from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3.exceptions import HTTPError, MaxRetryError, SSLError

from vectordb.errors import Permanent, WildtagError
from workers.stores.store import (
    BucketMissing,
    ObjectError,
    ObjectForbidden,
    ObjectGone,
    ObjectNameRefused,
    StoreAway,
    StoreRefuses,
)

MISSING = {"NoSuchKey", "NoSuchVersion", "NoSuchObject"}
DENIED = {"AccessDenied", "AllAccessDisabled", "Forbidden"}
CREDENTIALS = {
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "InvalidTokenId",
    "TokenRefreshRequired", "InvalidClientTokenId", "UnrecognizedClientException", "AccountProblem",
    "XMinioInvalidIAMCredentials",
}  # fmt: skip
NAMES = {
    "XMinioInvalidObjectName", "InvalidObjectName", "XMinioObjectNamePrefixSlash", "KeyTooLongError", "KeyTooLong",
    "InvalidURI", "XMinioInvalidResourceName", "InvalidKey",
}  # fmt: skip
CLOCK = {"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"}
REGION = {
    "AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "Redirect", "InvalidRegion",
    "IllegalLocationConstraintException",
}  # fmt: skip
PASSES = {
    "SlowDown", "SlowDownRead", "SlowDownWrite", "InternalError", "ServiceUnavailable", "RequestTimeout",
    "OperationAborted", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch", "XMinioServerNotInitialized",
}  # fmt: skip


class BucketForbidden(StoreRefuses):
    """The key pair is valid but has no permission for this on the bucket."""


class BucketRefused(Permanent):
    """The server does not support this for the bucket; retrying does not help. ``code`` is S3's."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class RequestContext:
    """The request that failed, for error messages. ``who`` returns the identity as text."""

    endpoint: str
    region: str
    who: Callable[[], str]
    bucket: str
    key: str | None = None
    followed: bool = True


@contextmanager
def translated(request: RequestContext) -> Iterator[None]:
    """Raise wildtag's errors instead of those of minio-py and urllib3."""
    try:
        yield
    except WildtagError:
        raise
    except S3Error as exc:
        raise (_of_code(exc, request) if exc.code else _of_no_s3(exc, request)) from exc
    except (ServerError, InvalidResponseError, ParseError, ValueError) as exc:  # ValueError: XML of something else
        raise _of_no_s3(exc, request) from exc
    except MinioException as exc:
        raise StoreAway(f"the S3 client failed: {exc}") from exc
    except HTTPError as exc:
        raise _of_transport(exc, request) from exc


def unnamed(exc: S3Error) -> bool:
    """Whether this refusal has no reason, as responses to HEAD have none. A GET would return one."""
    return exc.response.status in {400, 403} and not exc.response.data


def _of_code(exc: S3Error, request: RequestContext) -> WildtagError:
    code, reason, server = exc.code or "", f"{exc.code}: {exc.message}", f"the S3 server at {request.endpoint}"
    if code == "NoSuchBucket":
        return missing_bucket(request)
    refused = {
        **dict.fromkeys(CREDENTIALS, f"{server} refuses {request.who()}; check the credentials"),
        **dict.fromkeys(CLOCK, f"the clocks of this machine and of {server} differ too much; synchronise them"),
        **dict.fromkeys(
            REGION, f"the bucket {request.bucket} is not in the region {request.region}; set WILDTAG_S3_REGION"
        ),
    }
    if code in refused:
        return StoreRefuses(f"{refused[code]}: {reason}")
    status = exc.response.status
    if code in PASSES or status in {408, 429} or (status >= 500 and status != 501):
        return StoreAway(f"{server} cannot answer now: {reason}")
    return _of_bucket(code, reason, request) if request.key is None else _of_object(code, reason, request)


def _of_bucket(code: str, reason: str, request: RequestContext) -> WildtagError:
    if code in DENIED:
        return BucketForbidden(
            f"access denied: {request.who()} may not do this with the bucket {request.bucket}: {reason}"
        )
    return BucketRefused(code, f"the S3 server refuses this for the bucket {request.bucket}: {reason}")


def _of_object(code: str, reason: str, request: RequestContext) -> WildtagError:
    if code in MISSING:
        return ObjectGone("the object does not exist")
    if code in DENIED:
        return ObjectForbidden(f"access denied: {request.who()} may not read or change this object: {reason}")
    if code in NAMES:
        return ObjectNameRefused(f"the S3 server does not take this key: {reason}")
    if code == "InvalidObjectState":
        return ObjectError("the object is archived and must be restored before it can be read")
    return ObjectError(f"the S3 server refuses: {reason}")


def missing_bucket(request: RequestContext) -> WildtagError:
    """The error for a bucket that does not exist."""
    text = f"there is no bucket {request.bucket} at {request.endpoint}"
    if request.followed:
        return BucketMissing(f"{text}. Check WILDTAG_BUCKET, or create the bucket with: wildtag s3 setup --create")
    return ObjectError(text)


def _of_no_s3(exc: Exception, request: RequestContext) -> WildtagError:
    """The response of a proxy, a starting server, or something else that is not an S3 server."""
    return StoreAway(
        f"the response from {request.endpoint} is not that of an S3 server: {' '.join(str(exc).split())[:300]}"
    )


def _of_transport(exc: HTTPError, request: RequestContext) -> WildtagError:
    reason = exc.reason if isinstance(exc, MaxRetryError) and exc.reason is not None else exc
    if isinstance(reason, SSLError) and (
        isinstance(reason.args[0] if reason.args else None, ssl.SSLCertVerificationError)
        or "CERTIFICATE_VERIFY_FAILED" in str(reason)
    ):
        return StoreRefuses(
            f"the certificate of {request.endpoint} is not trusted; if it is yours, set WILDTAG_S3_CA_FILE"
            f" to its CA: {reason}"
        )
    return StoreAway(f"no answer from the S3 server at {request.endpoint}: {reason}")
