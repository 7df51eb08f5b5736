"""Middleware: what reverse proxies add to requests, and the path below which one publishes the gateway.

Headers of a proxy are believed only from proxies that the settings name. From them: ``X-Forwarded-For`` (the address
of the client), ``X-Forwarded-Proto`` (whether it uses TLS) and ``X-Forwarded-Host`` (the host name that it knows).

The gateway serves ``/v1/images`` and, with the root path ``/tags``, also ``/tags/v1/images``: some proxies remove the
path that they match, others do not, and requests from this machine do not have it. The addresses that the gateway
hands out contain it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import quote

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

_PROXIED = "wildtag.proxied"  # in a scope: why the request came through a proxy, apart from its headers
_PUBLIC_PATH = "wildtag.public_path"  # in a scope: the root path, if the client of the request knows it
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?")
# set by proxies; also every header that begins with one of the prefixes
FORWARDED = frozenset({
    "forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "x-original-host", "x-original-for",
    "true-client-ip", "cf-connecting-ip", "fastly-client-ip", "fly-client-ip", "client-ip", "x-remote-ip",
    "x-remote-addr", "x-originating-ip", "x-proxyuser-ip", "x-real-port", "x-azure-clientip", "x-nginx-proxy",
    "x-original-url", "x-rewrite-url", "x-arr-log-id", "x-arr-ssl", "x-varnish", "cdn-loop",
    "remote-user", "x-remote-user", "forwarded-for", "x-scheme", "x-url-scheme", "x-script-name",
})  # fmt: skip
FORWARDED_PREFIXES = ("x-forwarded", "x-envoy-", "x-auth-request-", "x-vercel-", "cf-", "ngrok-", "tailscale-")


class BehindProxy:
    """The middleware, outside of all others.

    ``root_path``: such as ``/tags``; empty for none. ``proxies``: addresses and networks of the proxies whose headers
    are believed.
    """

    def __init__(self, app: Any, root_path: str, proxies: Sequence[str]) -> None:
        self._app: Any = ProxyHeadersMiddleware(app, list(proxies)) if proxies else app
        self._root_path = root_path
        self._networks = [ip_network(one) for one in proxies]

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = {**scope, "headers": list(scope["headers"])}
        path = below(self._root_path, scope["path"])
        if path == "":
            await _elsewhere(f"{self._root_path}/", scope)(send)
            return
        if path is not None:
            scope["path"] = path
            if scope.get("raw_path"):
                raw, prefix = scope["raw_path"], self._root_path.encode()
                scope["raw_path"] = raw[len(prefix) :] if raw.startswith(prefix) else quote(path).encode()
            scope[_PROXIED] = f"its path begins with {self._root_path}"
        if self._named(scope):
            scope[_PROXIED] = f"it came from the proxy {scope['client'][0]}"
            _rename(scope)
        if path is not None or forwarded(Headers(scope=scope)) is not None:
            scope[_PUBLIC_PATH] = self._root_path
        await self._app(scope, receive, self._published(send) if self._root_path else send)

    def _named(self, scope: Any) -> bool:
        """Whether the sender is one of the named proxies."""
        if not self._networks:
            return False
        try:
            address = ip_address((scope.get("client") or ("",))[0])
        except ValueError:  # a socket in the file system
            return False
        return any(address in network for network in self._networks)

    def _published(self, send: Send) -> Send:
        """Adds the root path to the addresses that a response hands out."""

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                place = headers.get("location", "")
                if place.startswith("/") and not place.startswith("//"):
                    headers["location"] = self._root_path + place
            await send(message)

        return sending


def below(root_path: str, path: str) -> str | None:
    """The rest of a path below the root path, empty for the root path itself; ``None`` if it is not below it."""
    if not root_path or not f"{path}/".startswith(f"{root_path}/"):
        return None
    return path[len(root_path) :]


def forwarded(headers: Headers) -> str | None:
    """The header by which a proxy says that it forwarded a request; ``None`` if there is none."""
    return next((name for name in headers if name in FORWARDED or name.startswith(FORWARDED_PREFIXES)), None)


def through_proxy(request: Request) -> str | None:
    """Why a request is taken to come through a proxy, and so from somebody else; ``None`` if nothing says so."""
    if (header := forwarded(request.headers)) is not None:
        return f"it has the header {header}"
    if (reason := request.scope.get(_PROXIED)) is not None:
        return str(reason)
    if request.scope.get("http_version") == "1.0":  # nginx's default, with the host name of the gateway and no header
        return "it is HTTP/1.0, as nginx forwards requests"
    return None


def public_path(request: Request) -> str:
    """The root path as the client of a request knows it: empty for a page that is opened without the proxy."""
    return str(request.scope.get(_PUBLIC_PATH, ""))


def _rename(scope: Any) -> None:
    """Put the host name that the client knows in place of the one in the proxy's request."""
    headers = MutableHeaders(scope=scope)
    named = headers.get("x-forwarded-host", "").rpartition(",")[2].strip()  # the last one is of the nearest proxy
    if _HOST.fullmatch(named):
        headers["host"] = named


def _elsewhere(place: str, scope: Any) -> Callable[[Send], Awaitable[None]]:
    """A redirect of the root path to the page below it: the page's addresses are relative."""
    query = scope.get("query_string", b"")

    async def respond(send: Send) -> None:
        location = place.encode() + (b"?" + query if query else b"")
        headers = [(b"location", location), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 308, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    return respond
