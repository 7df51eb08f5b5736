"""Reads the image in the body of a request: the raw body, or the first file of a form. Large images are streamed.

The type is recognised by the first bytes; the Content-Type header is ignored. Of the other fields of a form, those
that describe the image are read; they come before the file, since a streamed image is stored together with them.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote_to_bytes

import anyio.from_thread
from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from tasks.images import HEAD as RECOGNISED
from tasks.images import recognised, refusal
from workers.gateway.body_memory import Lease, lease_of
from workers.gateway.problems import Problem

HEAD = 2**18  # bytes that are read first; smaller images are kept in memory
FIELDS = 2**16  # maximum bytes of a form besides its file
PARTS = 32  # maximum number of fields before its file
_EXTENDED = re.compile(rb";\s*filename\*\s*=\s*utf-8'[^';]*'([^\s;]*)", re.IGNORECASE)  # RFC 8187


class Body:
    """An image that is being received. ``head``: its first bytes. ``whole``: whether these are all.

    ``content_type``: recognised from the head. ``digest``: SHA-256 of the bytes read so far; call ``hashed`` first.
    ``form``: the form in which it is, if any.
    """

    def __init__(
        self,
        head: bytes,
        rest: AsyncIterator[bytes] | None,
        content_type: str,
        limit: int,
        form: Form | None = None,
        least: int = 0,
    ) -> None:
        self.head = head
        self.form = form
        self.whole = rest is None
        self.content_type = content_type
        self._rest = rest
        self._limit = limit
        self._least = least
        self._hash: Any = None
        self._size = len(head)

    def hashed(self) -> None:
        """Compute the digest while the image is read."""
        self._hash = hashlib.sha256(self.head)

    @property
    def digest(self) -> str:
        return str(self._hash.hexdigest())

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
        return piece

    async def whole_within(self, lease: Lease) -> bytes:
        """All bytes, which are counted on a lease; the head is already. Raises as ``next``."""
        pieces = [self.head]
        while piece := await self.next():
            lease.grow(len(piece))
            pieces.append(piece)
        return b"".join(pieces)

    async def drain(self) -> str:
        """Read and discard the rest. Returns the digest."""
        while await self.next():
            pass
        return self.digest

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
) -> Body:
    """The image of a request, recognised by its first bytes. Raises ``Problem``, ``ClientDisconnect``.

    ``least`` and ``limit``: bytes of the image. ``video``: whether videos are accepted, too. ``fields``: of a form
    that are kept.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    form = kind == b"multipart/form-data"
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit + (FIELDS if form else 0):
        raise too_large(limit)
    pieces: AsyncIterator[bytes] = request.stream()
    read = Form(fields) if form else None
    if read is not None:
        pieces = _first_file(pieces, options.get(b"boundary", b""), read)
    head = bytearray()
    ended = False
    lease = lease_of(request)
    while len(head) < HEAD and not ended:
        piece = await anext(pieces, b"")
        lease.grow(len(piece))
        head += piece
        ended = not piece
    if not head:
        raise Problem("bad-request", "the request has no image")
    if len(head) > limit:
        raise too_large(limit)
    content_type = recognised(bytes(head[:RECOGNISED]), video=video)
    if content_type is None:
        raise Problem("not-an-image", str(refusal(bytes(head[:RECOGNISED]), video=video)))
    if ended and len(head) < least:
        raise too_small(least)
    return Body(bytes(head), None if ended else pieces, content_type, limit, read, least)


def too_large(limit: int) -> Problem:
    """The error for an image with more than ``limit`` bytes."""
    return Problem("too-large", f"the image has more than {limit:,} bytes")


def too_small(least: int) -> Problem:
    """The error for an image with fewer than ``least`` bytes."""
    return Problem("bad-request", f"the image has fewer than {least:,} bytes")


async def _first_file(pieces: AsyncIterator[bytes], boundary: bytes, form: Form) -> AsyncIterator[bytes]:
    """The bytes of a form's first file. Later files are ignored."""
    try:
        parser = MultipartParser(boundary, form.callbacks())
        besides = 0
        async for piece in pieces:
            behind = form.ended  # read to the end, so that the connection can be reused
            with contextlib.suppress(*([FormParserError] if behind else [])):
                parser.write(piece)
            if form.parts > PARTS:
                raise Problem("bad-request", f"the form has more than {PARTS} parts before its file")
            if form.late:
                raise Problem("bad-request", f"the field {form.late} comes after the file: send it before the file")
            for data in form.taken():
                yield data
            if behind or not form.begun:
                besides += len(piece)
                if besides > FIELDS:
                    where = "after its file" if behind else "before its file"
                    raise Problem("bad-request", f"the form has more than {FIELDS:,} bytes {where}")
        if form.ended:
            return
    except FormParserError as exc:
        raise Problem("bad-request", f"the form cannot be read: {exc}") from exc
    if form.begun:
        raise Problem("bad-request", "the form is truncated")
    raise Problem("bad-request", "the form has no file")


class Form:
    """Callbacks of a multipart parser that keep only the first file, its name, and the fields of these names.

    ``fields``: their texts as bytes. ``late``: one of them that came after the file.
    """

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self.begun = False
        self.ended = False
        self.parts = 0
        self.file_name = ""
        self.fields: dict[str, bytes] = {}
        self.late = ""
        self._field_name = ""
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._data: list[bytes] = []

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._part_begin,
            "on_header_field": self._field,
            "on_header_value": self._of_field,
            "on_header_end": self._header,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
        }

    def taken(self) -> list[bytes]:
        taken, self._data = self._data, []
        return taken

    def _part_begin(self) -> None:
        self.parts += not self.begun
        self._headers.clear()

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _of_field(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name, file_name = options.get(b"name", b"").decode(errors="replace"), options.get(b"filename")
        if file_name is None:
            file_name = _extended_name(self._headers.get(b"content-disposition", b""))
        self._field_name = ""
        if file_name is not None:
            if not self.begun:
                self.file_name = file_name.decode(errors="replace")
            self.begun = True
        elif name in self._names and self.begun:
            self.late = name
        elif name in self._names:
            if name in self.fields:
                raise Problem("bad-request", f"the form has the field {name} twice")
            self._field_name, self.fields[name] = name, b""

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self.begun and not self.ended:
            self._data.append(data[start:end])
        elif self._field_name:
            self.fields[self._field_name] += data[start:end]

    def _part_end(self) -> None:
        self.ended = self.begun


def _extended_name(disposition: bytes) -> bytes | None:
    """The name of a file that is given as ``filename*`` only, which some clients send, as UTF-8."""
    found = _EXTENDED.search(disposition)
    return None if found is None else unquote_to_bytes(found[1])
