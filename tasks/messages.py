"""What travels between the stages: frozen, versioned, and refused when anything in it is unknown.

A message is a batch. Each stage takes one kind and gives the next:
``Submitted → Embedded → Retrieved → Extracted → Scored``. Position ``i`` of every per-object field belongs
to ``objects[i]``. Vectors travel as float32 bytes, images never travel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from vectordb.errors import Permanent

Floats = NDArray[np.float32]


class UnreadableMessage(Permanent):
    """The bytes are not a message of the kind and version that was expected."""


class WrongSpace(Permanent):
    """The batch's vectors, or those asked for, are of another space than the encoder's at hand."""

    code = "wrong-space"


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A piece of a message."""


class ObjectRef(_Part, frozen=True):
    """One version of one object in a bucket."""

    bucket: str
    key: str
    etag: str
    size: int | None = None
    version_id: str | None = None

    @property
    def id(self) -> str:
        """``bucket/key``: names the object whatever its version. Bucket names hold no slash."""
        return f"{self.bucket}/{self.key}"


class Revision(_Part, frozen=True):
    """What a result depends on besides the image: the vector space and the version of the captions."""

    space_id: str
    captions_version: str


class Vectors(_Part, frozen=True):
    """A float32 matrix of shape (n, dimension) in C order, as bytes."""

    dimension: int
    data: bytes

    @classmethod
    def of(cls, matrix: Floats) -> Vectors:
        """Pack a matrix of shape (n, d)."""
        return cls(matrix.shape[1], np.ascontiguousarray(matrix, dtype=np.float32).tobytes())

    def array(self) -> Floats:
        """The matrix, read-only, without a copy. Shape (n, dimension)."""
        return np.frombuffer(self.data, dtype=np.float32).reshape(-1, self.dimension)


class Parsed(_Part, frozen=True):
    """What a profile found in a caption when it was imported. ``by``: the profile and its model, as the cache's keys.

    ``phrases``: (label, whether it is the bare head of a longer one, whether a definition leads to it).
    """

    by: str
    phrases: tuple[tuple[str, bool, bool], ...]


class Hit(_Part, frozen=True):
    """A retrieved caption. ``similarity`` is the cosine to the image's vector."""

    id: int
    caption: str
    similarity: float
    parsed: Parsed | None = None


class Candidate(_Part, frozen=True):
    """A word or phrase found in the retrieved captions; ``evidence`` are positions in the object's hits."""

    label: str
    evidence: tuple[int, ...] = ()


class Tag(_Part, frozen=True):
    """A scored candidate. ``score = alpha * image_score + (1 - alpha) * text_score``."""

    label: str
    score: float
    image_score: float
    text_score: float
    evidence: tuple[int, ...] = ()


class Fault(_Part, frozen=True):
    """Why one object of a batch cannot go on; ``code`` for machines, ``reason`` for people."""

    object: ObjectRef
    code: str
    reason: str


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What can be put on a queue."""

    def encode(self) -> bytes:
        """The message as msgpack bytes."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a message of exactly this kind and version, or raise ``UnreadableMessage``."""
        try:
            return msgspec.msgpack.decode(data, type=cls)
        except msgspec.DecodeError as exc:
            raise UnreadableMessage(f"not a {cls.__name__} message: {exc}") from exc


class Batch(Message, frozen=True, kw_only=True):
    """Objects that travel together. ``timings_ms``: stage → wall milliseconds the whole batch spent in it."""

    objects: tuple[ObjectRef, ...]
    revision: Revision
    timings_ms: dict[str, float] = {}

    def timed(self, stage: str, milliseconds: float) -> Self:
        """The same message with the time that a stage took."""
        return msgspec.structs.replace(self, timings_ms={**self.timings_ms, stage: milliseconds})


class Submitted(Batch, frozen=True, kw_only=True, tag_field="kind", tag="submitted/1"):
    """Objects to be tagged."""


class Embedded(Batch, frozen=True, kw_only=True, tag_field="kind", tag="embedded/1"):
    """``vectors``: one unit image vector an object."""

    vectors: Vectors


class Retrieved(Batch, frozen=True, kw_only=True, tag_field="kind", tag="retrieved/2"):
    """``centroids``: per object the unit mean of its hits' vectors, scoring's text side; zeros without hits."""

    vectors: Vectors
    centroids: Vectors
    hits: tuple[tuple[Hit, ...], ...]


class Extracted(Batch, frozen=True, kw_only=True, tag_field="kind", tag="extracted/2"):
    """``candidates``: per object, never empty."""

    vectors: Vectors
    centroids: Vectors
    hits: tuple[tuple[Hit, ...], ...]
    candidates: tuple[tuple[Candidate, ...], ...]


class Scored(Batch, frozen=True, kw_only=True, tag_field="kind", tag="scored/2"):
    """``tags``: per object, best first; empty when what the image shows is unknown."""

    hits: tuple[tuple[Hit, ...], ...]
    tags: tuple[tuple[Tag, ...], ...]

    def only(self, places: Sequence[int]) -> Self:
        """The same with these of its objects, each with its share of the times."""
        if len(places) == len(self.objects):
            return self
        share = len(places) / len(self.objects)
        return msgspec.structs.replace(
            self, objects=tuple(self.objects[i] for i in places), hits=tuple(self.hits[i] for i in places),
            tags=tuple(self.tags[i] for i in places),
            timings_ms={stage: ms * share for stage, ms in self.timings_ms.items()},
        )  # fmt: skip
