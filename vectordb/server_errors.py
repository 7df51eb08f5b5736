"""Translates errors of a Qdrant server and of its client, for REST and gRPC."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import grpc as rpc  # type: ignore[import-untyped] # its types are another package, and this is the only use
import httpx
from pydantic import ValidationError
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from vectordb.errors import Permanent, Transient, WildtagError
from vectordb.index import IndexExists, IndexFault, IndexLocked, IndexMissing, WrongDimension
from vectordb.resources import lacks_resources

_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"


class ServerAway(Transient):
    """The server cannot be reached, does not answer in time, is overloaded, or failed."""

    service = "captions"


class ServerRefused(Permanent):
    """The server rejects the request: it is not Qdrant, too old, or the request is invalid."""


class KeyRefused(Permanent):
    """The server rejects the API key, or the key does not allow this."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise wildtag's errors instead of those of a client's call; bugs pass unchanged."""
    try:
        yield
    except WildtagError:
        raise
    except rpc.RpcError as exc:
        raise _of_grpc(exc) from exc
    except UnexpectedResponse as exc:
        text = f"{exc.status_code} {exc.reason_phrase}: {exc.content.decode(errors='replace')[:300]}"
        raise _of_status(exc.status_code or 0, text) from exc
    except ResourceExhaustedResponse as exc:
        raise ServerAway(f"the Qdrant server is overloaded: {exc}") from exc
    except ResponseHandlingException as exc:
        raise _of_transport(exc.source) from exc
    except ValidationError as exc:  # a ValueError, for a gRPC response
        raise _of_transport(exc) from exc
    except (ValueError, RuntimeError) as exc:
        ours = _of_client(str(exc))
        if ours is None:  # a wrong argument: a bug here
            raise
        raise ours from exc
    except (sqlite3.Error, OSError) as exc:
        raise IndexFault(f"the local Qdrant database failed: {exc}") from exc


def _of_grpc(exc: rpc.RpcError) -> WildtagError:
    code, text = exc.code(), str(exc.details())
    if _UNTRUSTED in text:
        return _untrusted(text)
    same = {
        rpc.StatusCode.UNAUTHENTICATED: 401,
        rpc.StatusCode.PERMISSION_DENIED: 403,
        rpc.StatusCode.NOT_FOUND: 404,
        rpc.StatusCode.ALREADY_EXISTS: 409,
        rpc.StatusCode.INVALID_ARGUMENT: 400,
        rpc.StatusCode.OUT_OF_RANGE: 400,
        rpc.StatusCode.UNIMPLEMENTED: 501,
    }
    return _of_status(same.get(code, 503), f"{code.name}: {text}")


def _of_status(status: int, text: str) -> WildtagError:  # noqa: PLR0911 -- a table
    """The error for an HTTP status, to which gRPC's are mapped."""
    if status in {401, 403}:
        return KeyRefused(f"the Qdrant server refuses the API key, or the key does not allow this: {text}")
    if status == 404:
        return IndexMissing(f"the Qdrant server does not have it: {text}")
    if lacks_resources(text):  # whatever its status: what it could not do now says nothing about its data
        return ServerAway(f"the Qdrant server lacks resources: {text}")
    if "dimension error" in text:
        return WrongDimension(text)
    if status == 409 or "already exists" in text:
        return IndexExists(text)
    if status in {408, 425, 429} or (status >= 500 and status != 501):
        return ServerAway(f"the Qdrant server cannot answer now: {text}")
    return ServerRefused(f"the Qdrant server refuses the request: {text}")


def _of_transport(source: Exception) -> WildtagError:
    """The error for a failed REST connection or an unreadable response."""
    if isinstance(source, httpx.UnsupportedProtocol | ValidationError):
        return ServerRefused(f"the response is not from a supported Qdrant server: {source}")
    if _UNTRUSTED in str(source):
        return _untrusted(str(source))
    if isinstance(source, httpx.TransportError):
        return ServerAway(f"no answer from the Qdrant server at {source.request.url.netloc.decode()}: {source!r}")
    return _of_client(str(source)) or ServerRefused(f"the Qdrant client failed: {source!r}")


def _untrusted(text: str) -> WildtagError:
    return ServerRefused(
        "the Qdrant server's certificate is not trusted; if it is yours, set WILDTAG_QDRANT_CA_FILE to"
        f" its CA: {text}"
    )


def _of_client(text: str) -> WildtagError | None:
    """Translates bare errors of the client and of its local database, which only differ in their text."""
    if lacks_resources(text):
        return IndexFault(f"the Qdrant client lacks resources: {text}")
    if "already accessed" in text:
        return IndexLocked(f"{text.partition(' is already')[0]} is already open, here or in another process")
    if "not found" in text:
        return IndexMissing(text)
    if "already exists" in text:
        return IndexExists(text)
    if "closed" in text:
        return IndexFault(f"the connection to the Qdrant server is closed: {text}")
    return None
