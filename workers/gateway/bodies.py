"""Reads the images in the body of a request: the raw body, or the files of a form.

The type is recognised by the first bytes; the Content-Type header is ignored. A raw body and the first file of a form
are streamed. Its last bytes are given out only when the rest of the form has been read, so the store completes no
image of a form that is refused. The fields of a form that describe the images come before the files, since a
streamed image is stored together with them.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio.from_thread
from fastapi import Request
from python_multipart.multipart import parse_options_header

from tasks.images import HEAD as RECOGNISED
from workers.gateway.body_memory import Lease, lease_of
from workers.gateway.form_files import FormFile, FormFiles
from workers.gateway.forms import FIELDS, Event, FileBegins, Form
from workers.gateway.image_types import check_not_stripped, named_type
from workers.gateway.problems import Problem

HEAD = 2**18  # bytes that are read first; smaller images are kept in memory


class Body:
    """An image that is being received. ``head``: its first bytes. ``whole``: whether these are all.

    ``content_type``: recognised from the head. ``form``: the form in which it is, if any. ``further``: its other
    files, once ``complete`` has returned. ``on_complete``: is called then, before the last byte is given out.
    """

    def __init__(
        self,
        head: bytes,
        rest: AsyncIterator[bytes] | None,
        content_type: str,
        limit: int,
        *,
        form: Form | None = None,
        parts: _Parts | None = None,
        further: FormFiles | None = None,
        least: int = 0,
    ) -> None:
        self.head = head
        self.form = form
        self.whole = rest is None
        self.content_type = content_type
        self.on_complete: Callable[[], Awaitable[None]] | None = None
        self._rest = rest
        self._parts = parts
        self._further = further
        self._limit = limit
        self._least = least
        self._hash: Any = None
        self._size = len(head)

    @property
    def further(self) -> list[FormFile]:
        """The other files of the form."""
        return [] if self._further is None else self._further.all

    def hashed(self) -> None:
        """Compute the digest while the image is read."""
        self._hash = hashlib.sha256(self.head)

    @property
    def digests(self) -> list[str]:
        """SHA-256 of each image, which has been read to its end; call ``hashed`` first."""
        return [self._hash.hexdigest(), *(file.digest for file in self.further)]

    async def next(self) -> bytes:
        """The next chunk after the head; empty at the end. Raises ``Problem``, ``ClientDisconnect``."""
        piece = b"" if self._rest is None else await anext(self._rest, b"")
        self._size += len(piece)
        if self._size > self._limit:
            raise too_large(self._limit)
        if not piece and self._size < self._least:
            raise too_small(self._least)
        if self._hash is not None:
            self._hash.update(piece)
        if not piece:
            await self.complete()
        return piece

    async def complete(self) -> None:
        """Read the rest of the form behind the image. Raises ``Problem``."""
        if self._parts is not None:
            parts, self._parts = self._parts, None
            await parts.rest()
        if self.on_complete is not None:
            on_complete, self.on_complete = self.on_complete, None
            await on_complete()

    async def whole_within(self, lease: Lease) -> bytes:
        """All bytes, which are counted on a lease; the head is already. Raises as ``next``."""
        pieces = [self.head]
        while piece := await self.next():
            lease.grow(len(piece))
            pieces.append(piece)
        return b"".join(pieces)

    async def drain(self) -> None:
        """Read and discard the rest."""
        while await self.next():
            pass

    def file(self) -> io.RawIOBase | io.BytesIO:
        """A file for a worker thread of the event loop. Reading blocks until data arrives."""
        return io.BytesIO(self.head) if self.whole else _Piped(self)


class _Piped(io.RawIOBase):
    """A body as a file, read in a worker thread."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._left = memoryview(body.head)

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any, /) -> int:
        if not self._left:
            self._left = memoryview(anyio.from_thread.run(self._body.next))
        size = min(len(into), len(self._left))
        into[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


async def received(
    request: Request,
    limit: int,
    *,
    least: int = 0,
    video: bool = False,
    fields: frozenset[str] = frozenset(),
    further: FormFiles | None = None,
) -> Body:
    """The image of a request, recognised by its first bytes. Raises ``Problem``, ``ClientDisconnect``.

    ``least`` and ``limit``: bytes of the image. ``video``: whether videos are accepted, too. ``fields``: of a form
    that are kept. ``further``: takes the other files of a form; without it a form may have one file.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    multipart = kind == b"multipart/form-data"
    most = limit if further is None or not multipart else further.most_bytes
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most + (FIELDS if multipart else 0):
        raise _form_too_large(most) if multipart else too_large(limit)
    pieces: AsyncIterator[bytes] = request.stream()
    read, parts = None, None
    if multipart:
        read = Form(fields) if further is not None else Form(fields, most=1)
        parts = _Parts(read.events(pieces, options.get(b"boundary", b"")), further)
        pieces = parts.first()
    head = bytearray()
    ended = False
    lease = lease_of(request)
    while len(head) < HEAD and not ended:
        piece = await anext(pieces, b"")
        lease.grow(len(piece))
        head += piece
        ended = not piece
    if not head:
        raise Problem("bad-request", "the file is empty: the request has no image")
    if len(head) > limit:
        raise too_large(limit)
    content_type = _recognised(bytes(head), kind, parts, video=video)
    if ended and len(head) < least:
        raise too_small(least)
    rest = None if ended else pieces
    body = Body(bytes(head), rest, content_type, limit, form=read, parts=parts, further=further, least=least)
    if ended:
        await body.complete()
    return body


def _recognised(head: bytes, declared: bytes, parts: _Parts | None, *, video: bool) -> str:
    if parts is None:
        content_type = named_type(head[:RECOGNISED], video=video, declared=declared)
        check_not_stripped(head, declared)
        return content_type
    return parts.named_type(head, video=video)


class _Parts:
    """The events of a form: those of its first file, then the others, which ``further`` takes."""

    def __init__(self, events: AsyncIterator[Event], further: FormFiles | None) -> None:
        self._events = events
        self._further = further
        self._first: FileBegins | None = None
        self._next: FileBegins | None = None

    async def first(self) -> AsyncIterator[bytes]:
        """The bytes of the first file."""
        async for event in self._events:
            if isinstance(event, bytes):
                yield event
            elif self._first is None:
                self._first = event
            else:
                self._next = event
                return

    async def rest(self) -> None:
        """Read the form to its end. Raises ``Problem``."""
        if self._further is None:
            async for _ in self._events:  # a second file is an error
                pass
            return
        if self._next is not None:
            self._further.begin(self._next)
        async for event in self._events:
            if isinstance(event, bytes):
                await self._further.add(event)
            else:
                self._further.begin(event)
        await self._further.end()

    def named_type(self, head: bytes, *, video: bool) -> str:
        """As the function of this name, for the first file."""
        try:
            return named_type(head[:RECOGNISED], video=video)
        except Problem as problem:
            label = self._first.label if self._first else "the file"
            raise Problem(problem.name, f"{label}: {problem.detail}") from problem


def too_large(limit: int) -> Problem:
    """The error for an image with more than ``limit`` bytes."""
    return Problem("too-large", f"the image has more than {limit:,} bytes")


def too_small(least: int) -> Problem:
    """The error for an image with fewer than ``least`` bytes."""
    return Problem("bad-request", f"the image has fewer than {least:,} bytes")


def _form_too_large(most: int) -> Problem:
    return Problem("too-large", f"the form has more than {most:,} bytes: send fewer or smaller files")
