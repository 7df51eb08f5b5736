"""The way to a Qdrant server: one client, and its errors in our words.

``connect`` opens no socket; the first call does. So a client may be made anywhere, but its first call belongs after a
fork: gRPC's threads do not follow into a child.

``ask`` is the only way in which the other modules call a client. Reads and idempotent writes are tried three times
within a second where the server was away, which covers a server that is being moved; longer than that is for the
queue to wait.
"""

from __future__ import annotations

import re
import sqlite3
import ssl
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

import grpc as rpc  # type: ignore[import-untyped]  # its types are another package, and this is the only use
import httpx
import stamina
from pydantic import ValidationError
from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from vectordb.errors import Permanent, Transient, WildtagError
from vectordb.index import IndexExists, IndexFault, IndexLocked, IndexMissing, WrongDimension

P = ParamSpec("P")
T = TypeVar("T")

_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_HOST_AND_PORT = re.compile(r"(?:localhost|[^/]*:\d+)(?:/.*)?")


class ServerAway(Transient):
    """The server is not reached, does not answer in time, has too much to do, or failed."""

    service = "captions"


class ServerRefused(Permanent):
    """The server answers, but not to this: no Qdrant, one that is too old, or a request that it will never take."""


class KeyRefused(Permanent):
    """The server wants another API key, or the key does not allow this."""


class BadAddress(Permanent):
    """No server's address, or a certificate file that cannot be read."""


class KeyInTheClear(UserWarning):
    """The API key travels to another machine where everybody on the way can read it."""


def connect(
    url: str,
    *,
    api_key: str | None = None,
    grpc: bool = True,
    grpc_port: int = 6334,
    timeout_s: float = 20.0,
    ca_file: Path | None = None,
) -> QdrantClient:
    """A client of the server at ``url``, which may have a port (else 6333) and a path.

    ``https`` is TLS on both ports, checked against ``ca_file`` where it is given. With ``grpc`` whatever can go by
    gRPC does, on ``grpc_port`` of the same host. ``timeout_s``, in whole seconds, is for one answer.

    ``:memory:`` or a folder's path is a database in this process, exact and slow, for tests and notebooks; a folder
    has one owner, and ``IndexLocked`` says so. Warns with ``KeyInTheClear``; raises ``BadAddress``.
    """
    if url == ":memory:":
        return QdrantClient(location=url)
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        if not url or "://" in url or _HOST_AND_PORT.fullmatch(url):
            raise BadAddress(f"{url!r} is no address of a Qdrant server; one looks like http://localhost:6333")
        with _translated():
            return QdrantClient(path=url)
    if api_key and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        said = f"the Qdrant API key travels unencrypted to {parts.hostname}; use an https:// address"
        warnings.warn(said, KeyInTheClear, stacklevel=2)
    options: dict[str, object] = {
        # a peer that is gone without a word is noticed while an answer is waited for
        "grpc.keepalive_time_ms": 60_000,
        "grpc.keepalive_timeout_ms": 10_000,
        # a server that was away for long is tried as often as any other: left alone, gRPC waits up to 2 minutes
        "grpc.initial_reconnect_backoff_ms": 200,
        "grpc.min_reconnect_backoff_ms": 2_000,
        "grpc.max_reconnect_backoff_ms": 1_000,
    }
    tls: dict[str, Any] = {}
    if ca_file is not None:
        try:
            options["root_certificates"] = ca_file.read_bytes()
            tls["verify"] = ssl.create_default_context(cafile=str(ca_file))
        except OSError as exc:  # ssl's errors are among them
            raise BadAddress(f"{ca_file} is no file of certificates: {exc}") from exc
    with warnings.catch_warnings():
        # ours is said above, and none is needed on the loopback interface
        warnings.filterwarnings("ignore", "Api key is used with an insecure connection")
        return QdrantClient(
            url=url,
            api_key=api_key,
            prefer_grpc=grpc,
            grpc_port=grpc_port,
            grpc_options=options,
            timeout=timeout_s,  # type: ignore[arg-type]  # rounded up to whole seconds; only its annotation says int
            check_compatibility=False,  # it would ask the server at once, in a thread
            **tls,
        )


def is_local(client: QdrantClient) -> bool:
    """Whether the client is the database itself: no graph, no payload index, nothing to wait for."""
    return client.init_options["location"] == ":memory:" or client.init_options["path"] is not None


def ask(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What a client's method answers, for calls that do no harm when they come twice.

    Raises ``ServerAway``, ``ServerRefused``, ``KeyRefused``, ``IndexMissing``, ``IndexExists``, ``IndexFault`` or
    ``WrongDimension``.
    """
    # a block and not a wrapped call: what is retried is logged with its arguments, and ours are whole matrices
    for attempt in stamina.retry_context(
        on=ServerAway, attempts=3, timeout=None, wait_initial=0.1, wait_max=0.5, wait_jitter=0.1
    ):
        with attempt:
            return ask_once(call, *args, **kwargs)
    raise AssertionError  # the last attempt returns or raises


def ask_once(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same without another try, for calls whose second coming would be an error."""
    with _translated():
        return call(*args, **kwargs)


@contextmanager
def _translated() -> Iterator[None]:
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
