"""What its owner writes beside an object: the rules for it, and how S3's headers and a file hold it.

S3 keeps user metadata in headers, whose names have no case and whose values are ASCII, at most 2,048 bytes in all.
Names and values that fit are stored as they are (``x-amz-meta-title: Sunset``), values of other characters as RFC
2047 has it, which S3 itself returns. What fits neither is stored as JSON in one header; so is everything, compressed,
if it would otherwise be too long. The file name is in ``Content-Disposition``, by which browsers save the object.

Headers that others wrote are read leniently: raw UTF-8, RFC 2047 and percent-encoded UTF-8 are decoded, and
characters that no text has are replaced.
"""

from __future__ import annotations

import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from email.errors import HeaderParseError
from email.header import Header, decode_header, make_header
from email.message import Message
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from tasks.message_parts import UserMetadata
from vectordb.control_characters import is_control
from vectordb.decoders import from_json
from vectordb.errors import Permanent

LIMIT = 2048  # bytes: of names, values and the id in UTF-8, and of the headers that hold them
NAME_BYTES = 255  # of a file name, as file systems have it
KEY_BYTES = 128
READ_LIMIT = 8192  # characters that are read of what others wrote
PREFIX = "x-amz-meta-"
CLIENT_ID = "client-id"
PACKED = "wildtag"
_COMPRESSED = "zlib:"
# proxies drop names with underscores, and names have no case
_PLAIN_NAME = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")
# as a header, an RFC 2047 word or percent-encoded text is read as another one
_PLAIN_VALUE = re.compile(r"(?!.*(?:=\?|%|  ))[!-~](?:[ -~]*[!-~])?")
_PERCENT = re.compile(r"%[C-Fc-f][0-9A-Fa-f]%[89ABab][0-9A-Fa-f]")
_WORD = 75  # characters of an encoded word, RFC 2047


class BadMetadata(Permanent):
    """It cannot be stored. ``field``: ``file_name``, ``client_id`` or ``metadata``."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


class _Packed(msgspec.Struct, omit_defaults=True):
    client_id: str | None = None
    metadata: dict[str, str] = {}


def checked(
    file_name: str | None = None, client_id: str | None = None, metadata: Mapping[Any, object] | None = None
) -> UserMetadata | None:
    """What is given, ready to be stored; ``None`` if nothing is. Raises ``BadMetadata``.

    ``file_name``: a path is reduced to its last part, without blanks at its ends.
    """
    name = None if file_name is None else _base(file_name).strip()
    if name:
        _check("file_name", "the file name", name, NAME_BYTES)
    if client_id is not None:
        _check("client_id", "the id", client_id, LIMIT)
        if not client_id.strip():
            raise BadMetadata("client_id", "the id is empty")
    values: list[tuple[str, str]] = []
    for key, value in (metadata or {}).items():
        if not isinstance(key, str) or not key.strip():
            raise BadMetadata("metadata", f"{_shown(key)} is no name: names are texts that are not empty")
        _check("metadata", f"the name {_shown(key)}", key, KEY_BYTES)
        if not isinstance(value, str):
            raise BadMetadata("metadata", f"the value of {_shown(key)} is {_kind(value)}, not a text")
        _check("metadata", f"the value of {_shown(key)}", value, LIMIT)
        values.append((key, value))
    found = UserMetadata(name or None, client_id, tuple(sorted(values)))
    size = sum(len(text.encode()) for text in (client_id or "", *(text for pair in values for text in pair)))
    if size > LIMIT:
        raise BadMetadata("metadata", f"the metadata and the id have {size:,} bytes; the limit is {LIMIT:,}")
    if _size(headers_of(found)) > LIMIT:
        raise BadMetadata(
            "metadata", f"the metadata and the id have {size:,} bytes and cannot be compressed to the {LIMIT:,} of S3"
        )
    return None if found == UserMetadata() else found


def from_name(name: str) -> str | None:
    """A file name as it can be stored, of one that a program sends: ``None`` if nothing is left of it."""
    text = _cleaned(_base(name))
    stem, dot, suffix = text.rpartition(".")
    end = f"{dot}{suffix}" if stem and len(suffix) <= 10 else ""
    while len(text.encode()) > NAME_BYTES:
        text = f"{text.removesuffix(end)[:-1]}{end}"
    return text or None


def headers_of(user: UserMetadata) -> dict[str, str]:
    """The S3 headers that hold it, as ASCII."""
    headers: dict[str, str] = {}
    rest: dict[str, str] = {}
    for key, value in user.values:
        if _PLAIN_NAME.fullmatch(key) and key not in {CLIENT_ID, PACKED} and value:
            headers[PREFIX + key] = _encoded(value)
        else:
            rest[key] = value
    if user.client_id is not None:
        headers[PREFIX + CLIENT_ID] = _encoded(user.client_id)
    if rest:
        headers[PREFIX + PACKED] = _encoded(msgspec.json.encode(_Packed(metadata=rest)).decode())
    if _size(headers) > LIMIT:
        everything = msgspec.json.encode(_Packed(user.client_id, dict(user.values)))
        headers = {PREFIX + PACKED: _COMPRESSED + b64encode(zlib.compress(everything, 9)).decode()}
    if user.file_name is not None:
        headers["Content-Disposition"] = f"inline; filename*=UTF-8''{quote(user.file_name, safe='')}"
    return headers


def from_headers(headers: Mapping[str, str]) -> UserMetadata | None:
    """What the headers of an object hold; ``None`` if there is nothing. Never fails."""
    found: dict[str, str] = {}
    packed = _Packed()
    client_id: str | None = None
    for header, value in headers.items():
        name = header.lower().removeprefix(PREFIX)
        if name == header.lower() or not name:
            continue
        text = _decoded(value)
        if name == PACKED and (read := _unpacked(value, text)) is not None:
            packed = read
            found |= {_cleaned(key, strip=False): _cleaned(one, strip=False) for key, one in read.metadata.items()}
        elif name == CLIENT_ID:
            client_id = text or None
        else:
            found.setdefault(_cleaned(_raw(name)), text)
    client_id = client_id or (_cleaned(packed.client_id, strip=False) if packed.client_id else None)
    user = UserMetadata(_file_name(headers), client_id, _bounded(sorted(found.items())))
    return None if user == UserMetadata() else user


def to_json(user: UserMetadata) -> dict[str, object]:
    """The fields for JSON, without those that are not set."""
    fields = {"file_name": user.file_name, "client_id": user.client_id, "metadata": dict(user.values) or None}
    return {name: value for name, value in fields.items() if value is not None}


def _base(name: str) -> str:
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2]


def _check(field: str, what: str, text: str, limit: int) -> None:
    for char in text:
        if is_control(char):
            raise BadMetadata(field, f"{what} has the character U+{ord(char):04X}, which is not allowed")
    if (size := len(text.encode())) > limit:
        raise BadMetadata(field, f"{what} has {size:,} bytes; the limit is {limit:,}")


def _shown(key: object) -> str:
    text = ascii(key)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _kind(value: object) -> str:
    kinds: tuple[tuple[type, str], ...] = ((bool, "true or false"), (int, "a number"), (float, "a number"),
                                           (list, "a list"), (dict, "an object"))  # fmt: skip
    return "null" if value is None else next((name for kind, name in kinds if isinstance(value, kind)), "no text")


def _size(headers: Mapping[str, str]) -> int:
    """Bytes of user metadata as S3 servers count them."""
    return sum(len(name) + len(value) for name, value in headers.items() if name.startswith(PREFIX))


def _encoded(text: str) -> str:
    if _PLAIN_VALUE.fullmatch(text):
        return text
    return Header(text, "utf-8", maxlinelen=_WORD).encode(linesep="")


def _raw(value: str) -> str:
    """A header as UTF-8: HTTP libraries decode headers as Latin-1."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _decoded(value: str) -> str:
    text = _raw(value)
    if "=?" in text:
        try:
            return _cleaned(str(make_header(decode_header(text))), strip=False)
        except (HeaderParseError, LookupError, ValueError):  # not encoded, after all
            return _cleaned(text)
    if _PERCENT.search(text):
        try:
            return _cleaned(unquote(text, errors="strict"))
        except UnicodeDecodeError:
            return _cleaned(text)
    return _cleaned(text)


def _cleaned(text: str, *, strip: bool = True) -> str:
    found = "".join("\N{REPLACEMENT CHARACTER}" if is_control(c) else c for c in text)
    return found.strip() if strip else found


def _unpacked(value: str, text: str) -> _Packed | None:
    """What the header of wildtag holds; ``None`` if somebody else wrote it."""
    try:
        if value.startswith(_COMPRESSED):
            data = zlib.decompressobj().decompress(b64decode(value.removeprefix(_COMPRESSED)), 8 * READ_LIMIT)
            return from_json(data, _Packed)
        return from_json(text.encode(), _Packed)
    except (ValueError, zlib.error, msgspec.DecodeError):
        return None


def _bounded(values: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    kept, left = [], READ_LIMIT
    for name, value in values:
        if (left := left - len(name) - len(value)) >= 0:
            kept.append((name, value))
    return tuple(kept)


def _file_name(headers: Mapping[str, str]) -> str | None:
    disposition = next((value for name, value in headers.items() if name.lower() == "content-disposition"), None)
    if disposition is None:
        return None
    message = Message()
    try:
        message["Content-Disposition"] = _raw(disposition)
        name = message.get_filename()
    except (HeaderParseError, LookupError, ValueError):
        return None
    return from_name(_decoded(name)) if name else None
