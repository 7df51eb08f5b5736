"""Sends requests to addresses that were checked, and reads a bounded part of the answer.

The host name is resolved once for each connection, the addresses are checked, and the connection goes to one of those
that passed: a name that is resolved differently a moment later (DNS rebinding) changes nothing. TLS still verifies
the name. Redirects are not followed. Proxies of the environment are not used: they would resolve the name again.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import httpcore
import httpx

from vectordb.errors import Permanent
from workers.outgoing.address_policy import AddressPolicy

READ_MOST = 4096  # bytes of an answer that are read

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Host and port to addresses, in the order of preference."""


class BadCertificates(Permanent):
    """The certificate file cannot be read."""


@dataclass(frozen=True)
class Received:
    """An answer. ``beginning``: the first ``READ_MOST`` bytes of the body or fewer, not decompressed."""

    status: int
    headers: Mapping[str, str]
    beginning: bytes


async def resolve(host: str, port: int) -> list[str]:
    """Ask the system's resolver. Raises ``OSError``."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to checked addresses only. See httpcore for the methods."""

    def __init__(self, policy: AddressPolicy, resolve: Resolve) -> None:
        self._policy = policy
        self._resolve = resolve
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises ``OutgoingRefused`` if no address of the host may be reached, or the error of the last one."""
        try:
            addresses = await self._resolve(host, port)
        except OSError as exc:
            raise httpcore.ConnectError(f"{host} cannot be resolved: {exc}") from exc
        failed: Exception | None = None
        for address in self._policy.allowed(host, addresses):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failed = exc
        assert failed is not None  # noqa: S101 -- ``allowed`` never returns an empty list
        raise failed

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002 -- httpcore's interface
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 -- as above
    ) -> httpcore.AsyncNetworkStream:
        """Refused: nothing outside is reached by a socket of this machine."""
        raise httpcore.ConnectError(f"unix sockets are not used: {path}")

    async def sleep(self, seconds: float) -> None:
        """See httpcore."""
        await self._inner.sleep(seconds)


class _Transport(httpx.AsyncHTTPTransport):
    """httpx's transport over a ``CheckedNetwork``, for which httpx has no public argument."""

    def __init__(self, tls: ssl.SSLContext, network: CheckedNetwork) -> None:
        super().__init__(verify=tls, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(ssl_context=tls, network_backend=network, max_connections=100)


class OutgoingClient:
    """The client for all requests to receivers. An asynchronous context manager; one for each event loop.

    ``timeout_s``: for a whole request, however slowly the answer arrives.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        timeout_s: float,
        ca_file: Path | None = None,
        *,
        resolve: Resolve = resolve,
    ) -> None:
        """Raises ``BadCertificates``."""
        try:
            tls = ssl.create_default_context(cafile=ca_file)
        except OSError as exc:
            raise BadCertificates(f"the certificates in {ca_file} cannot be read: {exc}") from exc
        self.timeout_s = timeout_s
        self._client = httpx.AsyncClient(
            transport=_Transport(tls, CheckedNetwork(policy, resolve)), trust_env=False, follow_redirects=False,
            timeout=timeout_s, headers={"user-agent": "wildtag", "accept-encoding": "identity"},
        )  # fmt: skip

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Received:
        """Send a POST. Raises ``OutgoingRefused``, ``TimeoutError``, ``httpx.HTTPError``."""
        with anyio.fail_after(self.timeout_s):
            async with self._client.stream("POST", url, content=content, headers=dict(headers)) as answer:
                found = b""
                async for part in answer.aiter_raw(READ_MOST):
                    found += part
                    if len(found) >= READ_MOST:
                        break
                return Received(answer.status_code, dict(answer.headers), found[:READ_MOST])
