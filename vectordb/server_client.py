"""The way to a Qdrant server, or to a cluster of them: one client.

``connect`` opens no socket; the first call does. So a client may be made anywhere, but its first call belongs after a
fork: gRPC's threads do not follow into a child.

``ask`` is the only way in which the other modules call a client. Reads and idempotent writes are tried three times
within a second where the server was away, which covers a server that is being moved; longer than that is for the
queue to wait. Of a cluster every try goes to one node after the other; see ``vectordb.server_cluster``.
"""

from __future__ import annotations

import re
import ssl
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import stamina
from qdrant_client import QdrantClient

from vectordb.server_addresses import GRPC_PORT, Address, BadAddress, addresses
from vectordb.server_cluster import Cluster, Node, NodeCall
from vectordb.server_errors import KeyRefused, ServerAway, ServerRefused, translated

__all__ = ["BadAddress", "KeyInTheClear", "KeyRefused", "ServerAway", "ServerRefused", "ask", "ask_once", "connect"]

P = ParamSpec("P")
T = TypeVar("T")

_HOST_AND_PORT = re.compile(r"(?:localhost|[^/]*:\d+)(?:/.*)?")


class KeyInTheClear(UserWarning):
    """The API key travels to another machine where everybody on the way can read it."""


def connect(
    url: str,
    *,
    api_key: str | None = None,
    grpc: bool = True,
    grpc_port: int | Sequence[int] = GRPC_PORT,
    timeout_s: float = 20.0,
    ca_file: Path | None = None,
    allow_plaintext: bool = False,
) -> QdrantClient:
    """A client of the server at ``url``, which may have a port (else 6333) and a path.

    Several addresses, separated by commas, are nodes of one cluster: a call goes on at the next one where a node is
    away. ``https`` is TLS on both ports, checked against ``ca_file`` where it is given. With ``grpc`` whatever can go
    by gRPC does, on ``grpc_port`` of the same host: one for all addresses, or one for each; 0 is REST. ``timeout_s``,
    in whole seconds, is for one answer.

    ``:memory:`` or a folder's path is a database in this process, exact and slow, for tests and notebooks; a folder
    has one owner, and ``IndexLocked`` says so. Warns with ``KeyInTheClear`` unless ``allow_plaintext``; raises
    ``BadAddress``.
    """
    if url == ":memory:":
        return QdrantClient(location=url)
    if url and "://" not in url and not _HOST_AND_PORT.fullmatch(url):
        with translated():
            return QdrantClient(path=url)
    there = addresses(url, [grpc_port] if isinstance(grpc_port, int) else grpc_port)
    exposed = sorted({address.host for address in there if address.exposed})
    if api_key and exposed and not allow_plaintext:
        said = f"the Qdrant API key travels unencrypted to {', '.join(exposed)}; use https:// addresses, or set"
        allow = "WILDTAG_QDRANT_ALLOW_PLAINTEXT=true where that network is private"
        warnings.warn(f"{said} {allow}", KeyInTheClear, stacklevel=2)
    options: dict[str, object] = {
        # a peer that is gone without a word is noticed while an answer is waited for
        "grpc.keepalive_time_ms": 60_000,
        "grpc.keepalive_timeout_ms": 10_000,
        # a server that was away for long is tried as often as any other: left alone, gRPC waits up to 2 minutes
        "grpc.initial_reconnect_backoff_ms": 200,
        "grpc.min_reconnect_backoff_ms": 2_000,
        "grpc.max_reconnect_backoff_ms": 1_000,
    }
    trust: ssl.SSLContext | None = None
    if ca_file is not None:
        try:
            options["root_certificates"] = ca_file.read_bytes()
            trust = ssl.create_default_context(cafile=str(ca_file))
        except OSError as exc:  # ssl's errors are among them
            raise BadAddress(f"{ca_file} is no file of certificates: {exc}") from exc

    def client(address: Address) -> QdrantClient:
        tls: dict[str, Any] = {} if trust is None else {"verify": trust}
        with warnings.catch_warnings():
            # ours is said above, and none is needed on the loopback interface
            warnings.filterwarnings("ignore", "Api key is used with an insecure connection")
            return QdrantClient(
                url=address.url,
                api_key=api_key,
                prefer_grpc=grpc and address.grpc_port > 0,
                grpc_port=address.grpc_port,
                grpc_options=dict(options),  # which it adds to
                timeout=timeout_s,  # type: ignore[arg-type]  # rounded up to whole seconds; only its annotation says int
                check_compatibility=False,  # it would ask the server at once, in a thread
                **tls,
            )

    if len(there) == 1:
        return client(there[0])
    nodes = [Node(address, client(address), api_key, trust) for address in there]
    # it has every method of a client, by name
    return cast("QdrantClient", Cluster(nodes))


def is_local(client: QdrantClient) -> bool:
    """Whether the client is the database itself: no graph, no payload index, nothing to wait for."""
    return client.init_options["location"] == ":memory:" or client.init_options["path"] is not None


def ask(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What a client's method answers, for calls that do no harm when they come twice.

    Raises ``ServerAway``, ``ServerRefused``, ``KeyRefused``, ``IndexMissing``, ``IndexExists``, ``IndexFault`` or
    ``WrongDimension``.
    """
    tried = cast("Callable[P, T]", call.anywhere) if isinstance(call, NodeCall) else call
    # a block and not a wrapped call: what is retried is logged with its arguments, and ours are whole matrices
    for attempt in stamina.retry_context(
        on=ServerAway, attempts=3, timeout=None, wait_initial=0.1, wait_max=0.5, wait_jitter=0.1
    ):
        with attempt:
            return ask_once(tried, *args, **kwargs)
    raise AssertionError  # the last attempt returns or raises


def ask_once(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same without another try, for calls whose second coming would be an error.

    Of a cluster a node is chosen that has just said that it is ready.
    """
    with translated():
        return call(*args, **kwargs)
