"""Connects to a Qdrant server, or to a cluster: one client.

``connect`` opens no socket; the first call does. A client may be created anywhere, but its first call must come after
a fork: gRPC's threads do not exist in a child process.

Other modules call a client only through ``ask``. Reads and idempotent writes are tried three times within a second if
the server is unavailable, which covers a server that is being moved. For longer outages the queue waits. In a cluster
every attempt tries one node after the other; see ``vectordb.server_cluster``.
"""

from __future__ import annotations

import re
import ssl
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import stamina
from qdrant_client import QdrantClient

from vectordb.proxies import httpx_options, this_machine
from vectordb.server_addresses import GRPC_PORT, Address, BadAddress, addresses
from vectordb.server_cluster import Cluster, Node, NodeCall
from vectordb.server_errors import KeyRefused, ServerAway, ServerRefused, translated

__all__ = ["BadAddress", "KeyInTheClear", "KeyRefused", "ServerAway", "ServerRefused", "ask", "ask_once", "connect"]

P = ParamSpec("P")
T = TypeVar("T")

_HOST_AND_PORT = re.compile(r"(?:localhost|[^/]*:\d+)(?:/.*)?")


class KeyInTheClear(UserWarning):
    """The API key is sent unencrypted to another machine."""


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
    """Create a client of the server at ``url``, which may have a port (default 6333) and a path.

    Several comma-separated URLs are nodes of one cluster: if a node is unavailable, a call continues at the next.
    ``https`` is TLS on both ports, verified with ``ca_file`` if given. With ``grpc``, gRPC is used if possible, on
    ``grpc_port`` of the same host: one for all URLs, or one for each; 0 is REST. ``timeout_s``, in whole seconds,
    applies to one response.

    ``:memory:`` or a folder's path is a local database in this process, exact and slow, for tests and notebooks; a
    folder has one owner, otherwise raises ``IndexLocked``. Warns with ``KeyInTheClear`` unless ``allow_plaintext``;
    raises ``BadAddress``, ``UnusableProxy``.
    """
    if url == ":memory:":
        return QdrantClient(location=url)
    if url and "://" not in url and not _HOST_AND_PORT.fullmatch(url):
        with translated():
            return QdrantClient(path=url)
    there = addresses(url, [grpc_port] if isinstance(grpc_port, int) else grpc_port)
    exposed = sorted({address.host for address in there if address.exposed})
    if api_key and exposed and not allow_plaintext:
        warning = f"the Qdrant API key is sent unencrypted to {', '.join(exposed)}; use https:// URLs, or set"
        allow = "WILDTAG_QDRANT_ALLOW_PLAINTEXT=true if that network is private"
        warnings.warn(f"{warning} {allow}", KeyInTheClear, stacklevel=2)
    options: dict[str, object] = {
        # detects a peer that has disappeared while a response is pending
        "grpc.keepalive_time_ms": 60_000,
        "grpc.keepalive_timeout_ms": 10_000,
        # limits the reconnect backoff: by default gRPC waits up to 2 minutes
        "grpc.initial_reconnect_backoff_ms": 200,
        "grpc.min_reconnect_backoff_ms": 2_000,
        "grpc.max_reconnect_backoff_ms": 1_000,
    }
    trust: ssl.SSLContext | None = None
    if ca_file is not None:
        try:
            options["root_certificates"] = ca_file.read_bytes()
            trust = ssl.create_default_context(cafile=str(ca_file))
        except OSError as exc:  # includes ssl's errors
            raise BadAddress(f"{ca_file} is not a certificate file: {exc}") from exc

    def client(address: Address) -> QdrantClient:
        to_host = httpx_options(address.url, trust)
        # gRPC reads the proxies of the environment by itself
        directly = {"grpc.enable_http_proxy": 0} if this_machine(address.host) else {}
        with warnings.catch_warnings():
            # our own warning is given above, and the loopback interface needs none
            warnings.filterwarnings("ignore", "Api key is used with an insecure connection")
            return QdrantClient(
                url=address.url,
                api_key=api_key,
                prefer_grpc=grpc and address.grpc_port > 0,
                grpc_port=address.grpc_port,
                grpc_options=options | directly,  # the client extends it
                timeout=timeout_s,  # type: ignore[arg-type] # rounded up to whole seconds; only its annotation says int
                check_compatibility=False,  # otherwise it would call the server at once, in a thread
                **to_host,
            )

    if len(there) == 1:
        return client(there[0])
    nodes = [Node(address, client(address), api_key, trust) for address in there]
    # it has every method of a client, by name
    return cast("QdrantClient", Cluster(nodes))


def is_local(client: QdrantClient) -> bool:
    """Whether the client is a local database: no graph, no payload index, nothing to wait for."""
    return client.init_options["location"] == ":memory:" or client.init_options["path"] is not None


def ask(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a client's method and retry; for calls that may be repeated.

    Raises ``ServerAway``, ``ServerRefused``, ``KeyRefused``, ``IndexMissing``, ``IndexExists``, ``IndexFault`` or
    ``WrongDimension``.
    """
    tried = cast("Callable[P, T]", call.anywhere) if isinstance(call, NodeCall) else call
    # a block and not a wrapped call: the library logs the arguments of retried calls, which are whole matrices
    for attempt in stamina.retry_context(
        on=ServerAway, attempts=3, timeout=None, wait_initial=0.1, wait_max=0.5, wait_jitter=0.1
    ):
        with attempt:
            return ask_once(tried, *args, **kwargs)
    raise AssertionError  # the last attempt returns or raises


def ask_once(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same without retries, for calls that must not be repeated.

    In a cluster it uses a node that has just reported to be ready.
    """
    with translated():
        return call(*args, **kwargs)
