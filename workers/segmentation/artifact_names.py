"""The keys of artifacts, and what a label map says of itself.

Keys are derived from the object's key: it with a suffix, or a digest if that would not be a valid key. The label map
also has the object's key and the method as text, so both are known when Redis has lost its data.
"""

from __future__ import annotations

import hashlib
import re
import struct

from workers.lifecycle.record import ArtifactKeys

FOLDER = "segments/"  # below the output prefix
LABELS, OVERLAY = ".labels.png", ".overlay.jpg"
KEY, METHOD = "wildtag:key", "wildtag:method"
"""The names of the texts in a label map."""
_LONGEST = 900  # maximum bytes of a key: stores allow 1,024
_LONGEST_PART = 200  # maximum bytes between two slashes: file systems allow 255
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def keys_of(output: str, key: str) -> ArtifactKeys:
    """The keys of an object's artifacts. ``output``: the prefix of all keys that wildtag writes."""
    parts = key.split("/")
    odd = (
        len(key.encode()) > _LONGEST
        or _DIGEST.fullmatch(key)
        or any(part.endswith((LABELS, OVERLAY)) or len(part.encode()) > _LONGEST_PART for part in parts)
    )
    name = f"{output}{FOLDER}{hashlib.sha256(key.encode()).hexdigest() if odd else key}"
    return ArtifactKeys(label_map=f"{name}{LABELS}", overlay=f"{name}{OVERLAY}")


def name_in(output: str, key: str) -> str | None:
    """What stands for the object in the key of an artifact: its key or a digest. ``None`` for any other key."""
    name = key.removeprefix(f"{output}{FOLDER}")
    for suffix in (LABELS, OVERLAY):
        if name != key and name.endswith(suffix) and len(name) > len(suffix):
            return name.removesuffix(suffix)
    return None


def is_digest(name: str) -> bool:
    """Whether this stands for an object whose key does not follow from it."""
    return _DIGEST.fullmatch(name) is not None


def texts_of(png: bytes) -> dict[str, str]:
    """The uncompressed international texts of a PNG, by name. What cannot be read is left out; decodes no pixels."""
    found: dict[str, str] = {}
    at = len(_SIGNATURE) if png.startswith(_SIGNATURE) else len(png)
    while at + 8 <= len(png):
        size, kind = struct.unpack_from(">I4s", png, at)
        if kind == b"IDAT":
            break
        if kind == b"iTXt":
            name, _, rest = png[at + 8 : at + 8 + size].partition(b"\0")
            if rest[:1] == b"\0":  # not compressed; then the method of compression, the language, the name in it
                *_, value = rest[2:].split(b"\0", 2)
                found[name.decode("latin-1")] = value.decode(errors="replace")
        at += 12 + size
    return found
