"""The headers that every response has, also those that are made outside of the application: see ``secured``.

Pages have policies of their own (``PAGE``, ``DOCS``). All else gets ``STRICT``: load nothing, be in no frame.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.datastructures import MutableHeaders

Send = Callable[[Any], Awaitable[None]]

STRICT = "default-src 'none'; frame-ancestors 'none'"
# The page's scripts have one policy of Trusted Types, which makes the address of the shared worker
PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types wildtag"
)
# Swagger UI uses inline styles, data URLs in its style sheet, and innerHTML
DOCS = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PRIVATE = "no-store"  # of answers that do not say how they may be stored
COMMON: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def add(headers: MutableHeaders, policy: str | None = None) -> None:
    """Add what is missing. ``policy``: of a page's content; ``None`` for data and errors, which nobody may store."""
    headers.setdefault("Content-Security-Policy", policy or STRICT)
    for name, value in COMMON.items():
        headers.setdefault(name, value)
    if policy is None:
        headers.setdefault("Cache-Control", PRIVATE)


def secured(send: Send) -> Send:
    """A ``send`` that adds the strict headers where the application has not added its own."""

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            message.setdefault("headers", [])
            add(MutableHeaders(scope=message))
        await send(message)

    return sending
