"""Decoders of msgspec types, made one at a time.

msgspec collects what it has to know of a type when the type is first decoded, and evaluates annotations meanwhile.
Until it has finished, a second thread that decodes the same type, or one that contains it, reads a null pointer: the
process ends with a segmentation fault (seen with 0.22.0). A test forbids typed decoding past this module.
"""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_lock = threading.Lock()
_json: dict[Any, msgspec.json.Decoder[Any]] = {}
_msgpack: dict[Any, msgspec.msgpack.Decoder[Any]] = {}


def from_json(data: bytes | str, kind: type[T]) -> T:
    """Decode JSON to a value of type ``kind``. Raises ``msgspec.DecodeError``, also for what is nested too deeply."""
    decoder = _json.get(kind)
    if decoder is None:
        with _lock:
            decoder = _json[kind] = msgspec.json.Decoder(kind)
    value: T = _decoded(decoder, data)
    return value


def from_msgpack(data: bytes, kind: type[T]) -> T:
    """Decode MessagePack to a value of type ``kind``. Raises ``msgspec.DecodeError``."""
    value: T = _decoded(_from_msgpack(kind), data)
    return value


def converted(value: Any, kind: type[T]) -> T:
    """Convert decoded data, such as dictionaries, to type ``kind``. Raises ``msgspec.ValidationError``."""
    _from_msgpack(kind)
    return msgspec.convert(value, kind)


def _decoded(decoder: Any, data: bytes | str) -> Any:
    try:
        return decoder.decode(data)
    except RecursionError as exc:
        raise msgspec.DecodeError("it is nested too deeply") from exc


def _from_msgpack(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    decoder = _msgpack.get(kind)
    if decoder is None:
        with _lock:
            decoder = _msgpack[kind] = msgspec.msgpack.Decoder(kind)
    return decoder
