"""Reads JSON bodies within limits, before they are parsed: bytes, seconds, nesting and number of values.

Parsing happens in the event loop, so a body must not cost much more than its bytes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException

from workers.gateway.body_memory import Lease
from workers.gateway.problems import Problem

DEPTH = 32  # nested arrays and objects
VALUES = 25_000  # arrays, objects and their elements; a batch of 10,000 keys has 10,003
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{},]', re.DOTALL)
_QUOTE, _COMMA = b'",'
_STRINGS = 2 * VALUES  # each value may have a name
_OTHER = (b"\xff\xfe", b"\xfe\xff")  # how UTF-16 and UTF-32 begin, unless with a zero among the first four bytes
Receive = Callable[[], Awaitable[Any]]


async def read(receive: Receive, lease: Lease, limit: int, seconds: float) -> bytes | None:
    """The whole body; ``None`` if the client is gone. ``limit``: bytes. Counts the bytes on the lease.

    Raises ``Problem``, and ``HTTPException`` for a body that is too slow.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                piece = message.get("body", b"")
                if len(body) + len(piece) > limit:
                    raise Problem("too-large", f"the body has more than {limit:,} bytes")
                lease.grow(len(piece))
                body += piece
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise HTTPException(408, f"the body took longer than {seconds:g} s", {"Connection": "close"}) from None


def check(body: bytes) -> None:
    """Raises ``Problem`` for JSON that is nested too deep or has too many values. Does not check the syntax.

    JSON is UTF-8 (RFC 8259). The parser would read UTF-16, too, in which brackets can be hidden from this check.
    """
    if body.startswith(_OTHER) or b"\0" in body[:4]:
        raise Problem("bad-request", "the JSON body is not UTF-8")
    openings = body.count(b"[") + body.count(b"{")
    if openings <= DEPTH and openings + body.count(b",") <= VALUES:  # also counts what is in strings
        return
    values = depth = strings = 0
    for found in _TOKEN.finditer(body):
        token = body[found.start()]
        if token == _QUOTE:
            strings += 1
            if strings > _STRINGS:
                raise Problem("too-large", f"the JSON body has more than {_STRINGS:,} texts")
            continue
        if token in b"]}":
            depth -= 1
            continue
        values += 1
        depth += token != _COMMA
        if values > VALUES:
            raise Problem("too-large", f"the JSON body has more than {VALUES:,} values")
        if depth > DEPTH:
            raise Problem("bad-request", f"the JSON body is nested more than {DEPTH} levels deep")


def replayed(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives this body at once, then what else comes."""
    waiting = True

    async def given() -> Any:
        nonlocal waiting
        if waiting:
            waiting = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return given
