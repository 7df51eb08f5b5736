"""The messages between stages: frozen, versioned, and rejected if they contain unknown fields.

A message is a batch. Each stage takes one type and returns the next: ``Submitted → Embedded → Retrieved → Extracted →
Scored``. Position ``i`` of every per-object field belongs to ``objects[i]``. Vectors are sent as float32 bytes;
images are never sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from vectordb.decoders import from_msgpack
from vectordb.errors import Permanent

Floats = NDArray[np.float32]


class UnreadableMessage(Permanent):
    """The bytes are not a message of the expected type and version."""


class WrongSpace(Permanent):
    """The vectors belong to another space than the encoder."""

    code = "wrong-space"


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a message."""


class ObjectRef(_Part, frozen=True):
    """One version of one object in a bucket."""

    bucket: str
    key: str
    etag: str
    size: int | None = None
    version_id: str | None = None

    @property
    def id(self) -> str:
        """``bucket/key``: identifies the object in all its versions. Bucket names contain no slash."""
        return f"{self.bucket}/{self.key}"


class Revision(_Part, frozen=True):
    """What a result depends on besides the image: the vector space and the captions version."""

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
    """The parsed phrases of a caption, stored at import. ``by``: profile and model, as in the cache keys.

    ``phrases``: (label, whether it is the bare head of a longer one, whether it is the broader term of a definition).
    """

    by: str
    phrases: tuple[tuple[str, bool, bool], ...]


class Hit(_Part, frozen=True):
    """A retrieved caption. ``similarity`` is the cosine to the image's vector."""

    id: int
    caption: str
    similarity: float
    parsed: Parsed | None = None


class MediaWarning(msgspec.Struct, frozen=True):
    """What may be wrong with an image that was read. ``code`` is for machines, ``reason`` for people."""

    code: str
    reason: str


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """The file of an object. ``width`` and ``height``: of the upright image, in pixels. ``bytes``: of the file.

    ``taken_at``: RFC 3339; without a zone if the camera stored none, since its clock shows local time. ``preview``:
    what was tagged is the preview that a camera raw file contains. ``latitude`` and ``longitude``: degrees, only if
    ``media_gps`` is set. ``warnings``: what may be wrong with the image.
    """

    format: str
    width: int
    height: int
    bytes: int
    frames: int = 1
    taken_at: str | None = None
    camera: str | None = None
    preview: bool = False
    latitude: float | None = None
    longitude: float | None = None
    warnings: tuple[MediaWarning, ...] = ()


class Candidate(_Part, frozen=True):
    """A word or phrase found in the retrieved captions; ``evidence`` are positions in the object's hits."""

    label: str
    evidence: tuple[int, ...] = ()


class Background(_Part, frozen=True):
    """The similarities of an image to captions of all kinds: their mean and standard deviation."""

    mean: float
    spread: float


class DerivedThresholds(_Part, frozen=True):
    """Cosine thresholds that were derived for a caption version; ``None`` is off. See ``tasks.thresholds``.

    ``prompts``: digest of the prompts with which words were encoded; empty for the plain word.
    """

    unknown: float | None = None
    evidence: float | None = None
    synonym: float | None = None
    head: float | None = None
    prompts: str = ""


class Tag(_Part, frozen=True):
    """A scored candidate. ``score = alpha * image_score + (1 - alpha) * text_score``.

    ``confidence``: the probability that a person accepts the tag; ``None`` where the space has no model for it.
    """

    label: str
    score: float
    image_score: float
    text_score: float
    evidence: tuple[int, ...] = ()
    confidence: float | None = None

    @property
    def strength(self) -> float:
        """The confidence, or the score of a tag without one: what lists are ordered by."""
        return self.score if self.confidence is None else self.confidence


class Unknown(_Part, frozen=True):
    """Why an image has no tags.

    ``code``: ``featureless``: the image shows nothing; ``no-captions``: the caption database is empty;
    ``no-near-caption``: the nearest caption is not similar enough; ``low-score``, ``low-evidence``,
    ``low-confidence``: no candidate reaches the minimum. ``value``: the similarity of the nearest caption, or of the
    best candidate ``label`` the score, the similarity of its best caption, or the confidence. ``least``: the minimum
    that it misses.
    """

    code: str
    label: str | None = None
    value: float | None = None
    least: float | None = None


class Fault(_Part, frozen=True):
    """Why an object of a batch failed; ``code`` for machines, ``reason`` for people."""

    object: ObjectRef
    code: str
    reason: str


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A message for a queue."""

    def encode(self) -> bytes:
        """The message as msgpack bytes."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode a message of exactly this type and version. Raises ``UnreadableMessage``."""
        try:
            return from_msgpack(data, cls)
        except msgspec.DecodeError as exc:
            raise UnreadableMessage(f"the message is not a {cls.__name__}: {exc}") from exc


class Batch(Message, frozen=True, kw_only=True):
    """A batch of objects. ``timings_ms``: stage → wall milliseconds the whole batch spent in it."""

    objects: tuple[ObjectRef, ...]
    revision: Revision
    timings_ms: dict[str, float] = {}

    def timed(self, stage: str, milliseconds: float) -> Self:
        """A copy with the time that a stage took."""
        return msgspec.structs.replace(self, timings_ms={**self.timings_ms, stage: milliseconds})


class Submitted(Batch, frozen=True, kw_only=True, tag_field="kind", tag="submitted/1"):
    """Objects to be tagged."""


class Embedded(Batch, frozen=True, kw_only=True, tag_field="kind", tag="embedded/1"):
    """``vectors``: one unit image vector per object. ``media``: the file of each; empty in older messages.

    ``featureless``: whether each image shows nothing, such as one colour or noise; empty if that was not tested.
    """

    vectors: Vectors
    media: tuple[Media, ...] = ()
    featureless: tuple[bool, ...] = ()


class Retrieved(Batch, frozen=True, kw_only=True, tag_field="kind", tag="retrieved/2"):
    """``centroids``: per object the unit mean of its hits' vectors, scoring's text vector; zeros without hits.

    ``backgrounds``: one per object; empty if retrieval had no background captions. ``thresholds``: those derived for
    the captions, if any.
    """

    vectors: Vectors
    centroids: Vectors
    hits: tuple[tuple[Hit, ...], ...]
    media: tuple[Media, ...] = ()
    featureless: tuple[bool, ...] = ()
    backgrounds: tuple[Background, ...] = ()
    thresholds: DerivedThresholds | None = None


class Extracted(Batch, frozen=True, kw_only=True, tag_field="kind", tag="extracted/2"):
    """``candidates``: per object, never empty."""

    vectors: Vectors
    centroids: Vectors
    hits: tuple[tuple[Hit, ...], ...]
    candidates: tuple[tuple[Candidate, ...], ...]
    media: tuple[Media, ...] = ()
    featureless: tuple[bool, ...] = ()
    backgrounds: tuple[Background, ...] = ()
    thresholds: DerivedThresholds | None = None


class Scored(Batch, frozen=True, kw_only=True, tag_field="kind", tag="scored/2"):
    """``tags``: per object, best first; empty if the image is unknown.

    ``unknown``: per object why it has no tags, ``None`` if it has some; empty in older messages.
    """

    hits: tuple[tuple[Hit, ...], ...]
    tags: tuple[tuple[Tag, ...], ...]
    media: tuple[Media, ...] = ()
    unknown: tuple[Unknown | None, ...] = ()

    def only(self, places: Sequence[int]) -> Self:
        """A copy with some of its objects, each with its share of the times."""
        if len(places) == len(self.objects):
            return self
        share = len(places) / len(self.objects)
        return msgspec.structs.replace(
            self, objects=tuple(self.objects[i] for i in places), hits=tuple(self.hits[i] for i in places),
            tags=tuple(self.tags[i] for i in places), media=tuple(self.media[i] for i in places if self.media),
            unknown=tuple(self.unknown[i] for i in places if self.unknown),
            timings_ms={stage: ms * share for stage, ms in self.timings_ms.items()},
        )  # fmt: skip
