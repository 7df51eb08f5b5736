"""Request bodies for uploads, which can be sent again and are read in chunks."""

from __future__ import annotations

import io
import mimetypes
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from tasks.message_parts import UserMetadata
from workers.stores.user_metadata import from_name, to_json

PIECE = 2**18
NEAR = 2**20  # maximum bytes of a non-seekable stream in memory; the rest goes to a temporary file
UNKNOWN = "application/octet-stream"


@dataclass(frozen=True)
class Body:
    """``size`` bytes of a file, from ``start``. ``file_name``: its name, if it has one."""

    file: BinaryIO
    start: int
    size: int
    content_type: str
    file_name: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The request headers of the body."""
        return {"Content-Type": self.content_type, "Content-Length": str(self.size)}

    def pieces(self) -> Iterator[bytes]:
        """The whole body in chunks, from its beginning."""
        self.file.seek(self.start)
        while piece := self.file.read(PIECE):
            yield piece


@contextmanager
def opened(source: str | os.PathLike[str] | bytes | BinaryIO, content_type: str | None) -> Iterator[Body]:
    """The body of a path, bytes, or a stream from its position, which is not closed. Raises ``OSError``."""
    if isinstance(source, bytes):
        yield _body(io.BytesIO(source), content_type)
    elif isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as file:
            yield _body(file, content_type)
    elif source.seekable():
        yield _body(source, content_type)
    else:
        with tempfile.SpooledTemporaryFile(NEAR) as kept:  # such as a pipe, which cannot be read twice
            shutil.copyfileobj(source, kept)
            kept.seek(0)
            yield _body(kept, content_type)  # type: ignore[arg-type]  # it is an IO[bytes]


def _body(file: BinaryIO, content_type: str | None) -> Body:
    start = file.tell()
    size = file.seek(0, io.SEEK_END) - start
    name = getattr(file, "name", None)  # a number for a file opened by descriptor
    guessed = mimetypes.guess_type(name)[0] if isinstance(name, str) else None
    called = from_name(os.fsencode(name).decode(errors="replace")) if isinstance(name, str) else None
    return Body(file, start, size, content_type or guessed or UNKNOWN, called)


def parameters(user: UserMetadata | None) -> dict[str, str]:
    """The query parameters of an upload that describe it."""
    fields = {} if user is None else to_json(user)
    return {name: one if isinstance(one, str) else msgspec.json.encode(one).decode() for name, one in fields.items()}
