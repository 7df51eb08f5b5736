"""The errors of a Qdrant server and of its client in our words, by REST and by gRPC."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import grpc as rpc  # type: ignore[import-untyped]  # its types are another package, and this is the only use
import httpx
from pydantic import ValidationError
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from vectordb.errors import Permanent, Transient, WildtagError
from vectordb.index import IndexExists, IndexFault, IndexLocked, IndexMissing, WrongDimension

_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"


class ServerAway(Transient):
    """The server is not reached, does not answer in time, has too much to do, or failed."""

    service = "captions"


class ServerRefused(Permanent):
    """The server answers, but not to this: no Qdrant, one that is too old, or a request that it will never take."""


class KeyRefused(Permanent):
    """The server wants another API key, or the key does not allow this."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise ours for what a client's call raises; bugs pass unchanged."""
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
        raise ServerAway(f"the Qdrant server has too much to do: {exc}") from exc
    except ResponseHandlingException as exc:
        raise _of_transport(exc.source) from exc
    except ValidationError as exc:  # a ValueError, of what gRPC brought
        raise _of_transport(exc) from exc
    except (ValueError, RuntimeError) as exc:
        ours = _of_client(str(exc))
        if ours is None:  # a wrong argument, and so a fault of ours
            raise
        raise ours from exc
    except (sqlite3.Error, OSError) as exc:
        raise IndexFault(f"the database in this process failed: {exc}") from exc


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


def _of_status(status: int, text: str) -> WildtagError:
    """Ours for a status of HTTP, which gRPC's are brought to."""
    if status in {401, 403}:
        return KeyRefused(f"the Qdrant server refuses the API key, or the key does not allow this: {text}")
    if status == 404:
        return IndexMissing(f"the Qdrant server does not have it: {text}")
    if "dimension error" in text:
        return WrongDimension(text)
    if status == 409 or "already exists" in text:
        return IndexExists(text)
    if status in {408, 425, 429} or (status >= 500 and status != 501):
        return ServerAway(f"the Qdrant server is not able to answer now: {text}")
    return ServerRefused(f"the Qdrant server refuses the request: {text}")


def _of_transport(source: Exception) -> WildtagError:
    """Ours for what went wrong on the way to a REST answer or back."""
    if isinstance(source, httpx.UnsupportedProtocol | ValidationError):
        return ServerRefused(f"what answers is no Qdrant server that we understand: {source}")
    if _UNTRUSTED in str(source):
        return _untrusted(str(source))
    if isinstance(source, httpx.TransportError):
        return ServerAway(f"no answer from the Qdrant server at {source.request.url.netloc.decode()}: {source!r}")
    return _of_client(str(source)) or ServerRefused(f"the Qdrant client failed: {source!r}")


def _untrusted(text: str) -> WildtagError:
    return ServerRefused(
        f"the Qdrant server's certificate is not trusted; if it is yours, name its authority: {text}"
    )


def _of_client(text: str) -> WildtagError | None:
    """Ours for bare errors of the client and of its database in this process, which only their text tells apart."""
    if "already accessed" in text:
        return IndexLocked(f"{text.partition(' is already')[0]} is open already, here or in another process")
    if "not found" in text:
        return IndexMissing(text)
    if "already exists" in text:
        return IndexExists(text)
    if "closed" in text:
        return IndexFault(f"the connection to the Qdrant server is closed: {text}")
    return None
