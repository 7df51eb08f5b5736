"""Reads a multipart form as a stream: the bytes of its files one after the other, and the fields that are asked for.

A part is a file if it has a file name, if it declares a type that is no text, or if its name is one of
``FILE_NAMES``: RFC 7578 does not demand a file name, and some clients send none. An input of a page that was left
empty is sent without a name and without a byte; it is ignored. No image is dropped in silence: a field that is no
text is refused, because it is probably a file that was sent without its name.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from workers.gateway.problems import Problem

FIELDS = 2**16  # maximum bytes of a form besides its files
PER_FILE = 2**10  # and for the headers of each file
PARTS = 32  # maximum number of parts that are no files
FILES = 100  # maximum number of files
FILE_NAMES = frozenset({"image", "images", "file", "files"})  # "[]" may follow
_EXTENDED = re.compile(rb";\s*filename\*\s*=\s*utf-8'[^';]*'([^\s;]*)", re.IGNORECASE)  # RFC 8187


@dataclass(frozen=True)
class FileBegins:
    """A file begins; its bytes follow. ``number``: from 1. ``file_name``: empty if it has none."""

    number: int
    file_name: str

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"file {self.number} ({self.file_name[:100]})" if self.file_name else f"file {self.number}"


Event = FileBegins | bytes


class Form:
    """A form that is being read.

    ``fields``: the texts of those of ``names`` that come before the first file, as bytes. ``files``: the number of
    files so far. ``file_name``: that of the first.
    """

    def __init__(self, names: frozenset[str] = frozenset(), *, most: int = FILES) -> None:
        """``most``: number of files."""
        self.fields: dict[str, bytes] = {}
        self.files = 0
        self.file_name = ""
        self._names = names
        self._most = most
        self._parts = 0
        self._headers: dict[bytes, bytes] = {}
        self._header = self._value = b""
        self._field = ""
        self._text = bytearray()
        self._file: FileBegins | None = None  # the part is a file
        self._sent = False  # its beginning was told
        self._events: list[Event] = []
        self._ended = False

    async def events(self, pieces: AsyncIterator[bytes], boundary: bytes) -> AsyncIterator[Event]:
        """What is in the form, to its end: each file begins, then its bytes follow. Raises ``Problem``."""
        besides = 0
        try:
            parser = MultipartParser(boundary, self._callbacks())
            async for piece in pieces:
                if self._ended:  # an epilogue, which RFC 2046 lets one ignore
                    continue
                parser.write(piece)
                events, self._events = self._events, []
                besides += len(piece) - sum(len(one) for one in events if isinstance(one, bytes))
                if besides > FIELDS + PER_FILE * self.files:
                    raise Problem("bad-request", f"the form has more than {FIELDS:,} bytes besides its files")
                for event in events:
                    yield event
        except FormParserError as exc:
            raise Problem("bad-request", f"the form cannot be read: {exc}") from exc
        if not self.files and not self._file:
            raise Problem("bad-request", "the form has no file")
        if not self._ended:
            raise Problem("bad-request", "the form is truncated")

    def _callbacks(self) -> Any:
        return {
            "on_part_begin": self._part_begins,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
            "on_part_end": self._part_ends,
            "on_end": self._ends,
        }

    def _part_begins(self) -> None:
        self._headers.clear()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_ends(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _headers_end(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"")
        _, options = parse_options_header(disposition)
        name, file_name = options.get(b"name", b"").decode(errors="replace"), options.get(b"filename")
        if file_name is None:
            file_name = _extended_name(disposition)
        self._file, self._sent, self._field, self._text = None, False, name, bytearray()
        if file_name is not None or (name not in self._names and self._looks_like_a_file(name)):
            self._file = FileBegins(self.files + 1, (file_name or b"").decode(errors="replace"))
            self._check_encoding(self._file)
        elif name in self._names and self.files:
            raise Problem("bad-request", f"the field {name} comes after the file: send it before the first file")
        elif name in self.fields:
            raise Problem("bad-request", f"the form has the field {name} twice")

    def _looks_like_a_file(self, name: str) -> bool:
        kind, _ = parse_options_header(self._headers.get(b"content-type", b""))
        if kind.startswith(b"multipart/"):  # curl -F image=@A,B; RFC 7578 ended it
            detail = f"the files of {name[:100]!r} are in one part: send one each, curl -F image=@A -F image=@B"
            raise Problem("not-an-image", detail)
        text = kind.startswith(b"text/") or kind in {b"", b"application/json"}
        return not text or name.removesuffix("[]") in FILE_NAMES

    def _check_encoding(self, file: FileBegins) -> None:
        encoding = self._headers.get(b"content-transfer-encoding", b"binary").strip().lower()
        if encoding not in {b"binary", b"8bit", b"7bit", b""}:
            named = encoding[:40].decode(errors="replace")
            raise Problem("unsupported-encoding", f"{file.label} is encoded as {named}: send its bytes as they are")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is None:
            self._text += data[start:end]
            return
        if not self._sent:
            self._tell(self._file)
        self._events.append(data[start:end])

    def _tell(self, file: FileBegins) -> None:
        if self.files == self._most:
            one = "one image" if self._most == 1 else f"at most {self._most} files"
            raise Problem("bad-request", f"the form has more than {self._most} file(s): send {one} with a request")
        if not self.files:
            self.file_name = file.file_name
        self.files, self._sent = file.number, True
        self._events.append(file)

    def _part_ends(self) -> None:
        if self._file is None:
            self._field_ends()
        elif not self._sent and self._file.file_name:
            raise Problem("bad-request", f"{self._file.label} is empty")
        if self._file is None or not self._sent:
            self._parts += 1
            if self._parts > PARTS:
                raise Problem("bad-request", f"the form has more than {PARTS} parts besides its files")

    def _field_ends(self) -> None:
        if self._field in self._names:
            self.fields[self._field] = bytes(self._text)
            return
        try:
            self._text.decode()
        except UnicodeDecodeError as exc:
            detail = f"the field {self._field[:100]!r} is no text: if it is a file, send it with a file name"
            raise Problem("bad-request", detail) from exc

    def _ends(self) -> None:
        self._ended = True


def _extended_name(disposition: bytes) -> bytes | None:
    """The name of a file that is given as ``filename*`` only, which some clients send, as UTF-8."""
    found = _EXTENDED.search(disposition)
    return None if found is None else unquote_to_bytes(found[1])
