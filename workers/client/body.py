"""What is uploaded, as bytes that can be sent more than once and are never whole in memory."""

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

PIECE = 2**18
NEAR = 2**20  # bytes of a stream that are kept in memory, where it has to be kept
UNKNOWN = "application/octet-stream"


@dataclass(frozen=True)
class Body:
    """A file from ``start`` on, ``size`` bytes."""

    file: BinaryIO
    start: int
    size: int
    content_type: str

    @property
    def headers(self) -> dict[str, str]:
        """What is said of it beforehand."""
        return {"Content-Type": self.content_type, "Content-Length": str(self.size)}

    def pieces(self) -> Iterator[bytes]:
        """All of it, from its beginning."""
        self.file.seek(self.start)
        while piece := self.file.read(PIECE):
            yield piece


@contextmanager
def opened(source: str | os.PathLike[str] | bytes | BinaryIO, content_type: str | None) -> Iterator[Body]:
    """The bytes of a path, of bytes, or of a stream from where it is; a stream is left open. Raises ``OSError``."""
    if isinstance(source, bytes):
        yield _body(io.BytesIO(source), content_type)
    elif isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as file:
            yield _body(file, content_type)
    elif source.seekable():
        yield _body(source, content_type)
    else:
        with tempfile.SpooledTemporaryFile(NEAR) as kept:  # a pipe, say, which cannot be read twice
            shutil.copyfileobj(source, kept)
            kept.seek(0)
            yield _body(kept, content_type)  # type: ignore[arg-type]  # typed as IO[bytes], which it is


def _body(file: BinaryIO, content_type: str | None) -> Body:
    start = file.tell()
    size = file.seek(0, io.SEEK_END) - start
    name = getattr(file, "name", None)  # a number, where the file was opened by its descriptor
    guessed = mimetypes.guess_type(name)[0] if isinstance(name, str) else None
    return Body(file, start, size, content_type or guessed or UNKNOWN)
