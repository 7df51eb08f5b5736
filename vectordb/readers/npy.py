"""Rows of floats in a ``.npy`` file, with a header that is checked against the file.

``numpy.load`` parses the header as Python and multiplies its numbers without a limit. Here a header is one that
``numpy.save`` writes for a matrix of floats, and nothing is read but the bytes that it describes.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import numpy as np

from vectordb.index import Floats
from vectordb.readers.rows import DIMENSION_MAX, BadSource

_MAGIC = b"\x93NUMPY"
_HEADER_MAX = 1 << 12
_HEADER = re.compile(
    rb"\s*\{\s*'descr':\s*'(?P<type>[<>|=][a-zV]\d{1,2})',\s*'fortran_order':\s*(?P<order>True|False),"
    rb"\s*'shape':\s*\((?P<shape>[\d,\sL]{0,60})\),?\s*\}\s*"
)


def rows_of(path: Path) -> Floats:
    """The (n, d) matrix of a file, mapped into memory, with its own type. Raises ``BadSource``.

    bfloat16, which NumPy does not know and writes as ``V2``, comes as uint16; ``as_floats`` converts it.
    """
    try:
        with path.open("rb") as file:
            head = file.read(len(_MAGIC) + 2)
            wide = head[6:7] != b"\1"
            size = file.read(4 if wide else 2)
            length = struct.unpack("<I" if wide else "<H", size)[0] if len(size) == (4 if wide else 2) else -1
            text = file.read(length) if 0 <= length <= _HEADER_MAX else b""
            start, end = file.tell(), file.seek(0, 2)
    except OSError as exc:
        raise BadSource(path, f"the file cannot be read: {exc.strerror}") from exc
    if head[:6] != _MAGIC or head[6:7] not in {b"\1", b"\2", b"\3"}:
        raise BadSource(
            path, "the file is damaged, truncated, or of another format: it is not a NumPy array", "byte 0"
        )
    found = _HEADER.fullmatch(text) if len(text) == length else None
    if found is None:
        raise BadSource(path, "the file is damaged or truncated: its header is not that of an array", "byte 8")
    shape = [int(part.rstrip(b"L ")) for part in found["shape"].replace(b"\n", b" ").split(b",") if part.strip(b" L")]
    name = found["type"].decode()
    if name[1:] == "V2":
        name = "<u2"
    elif len(shape) == 2 and name[1:] not in {"f2", "f4", "f8"}:
        raise BadSource(path, f"it holds {name} of shape {tuple(shape)}, not rows of floats")
    if len(shape) != 2:
        raise BadSource(path, f"it holds {name} of shape {tuple(shape)}, not rows of floats")
    if shape[1] > DIMENSION_MAX:
        raise BadSource(path, f"its vectors have {shape[1]:,} dimensions, more than {DIMENSION_MAX:,}", "byte 8")
    kind = np.dtype(name)
    if end - start < shape[0] * shape[1] * kind.itemsize:
        raise BadSource(
            path, f"the file is truncated: its header says {shape[0]:,} rows of {shape[1]:,}", f"byte {end}"
        )
    if not shape[0] * shape[1]:
        return np.empty(shape, kind)
    order = "F" if found["order"] == b"True" else "C"
    return np.memmap(path, dtype=kind, mode="r", offset=start, shape=(shape[0], shape[1]), order=order)  # type: ignore[call-overload, no-any-return]  # the order is not literal


def as_floats(rows: Any) -> Floats:
    """Rows of a matrix from ``rows_of`` as float32, a copy."""
    if rows.dtype == np.uint16:
        return (rows.astype(np.uint32) << 16).view(np.float32)  # type: ignore[no-any-return]  # rows have any type
    with np.errstate(over="ignore"):  # too large for float32: infinite, and left out later
        return np.array(rows, dtype=np.float32)
