"""The messages between stages: frozen, versioned, and rejected if they contain unknown fields.

A message is a batch. Each stage takes one type and returns the next: ``Submitted → Embedded → Retrieved → Extracted →
Scored``. Position ``i`` of every per-object field belongs to ``objects[i]``. Vectors are sent as float32 bytes;
images are never sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self, TypeVar, Union

import msgspec

from tasks.message_parts import (
    Background,
    Candidate,
    DerivedThresholds,
    Floor,
    Hit,
    Judgement,
    Media,
    ObjectRef,
    Revision,
    Tag,
    Unknown,
    Vectors,
)
from vectordb.decoders import from_msgpack
from vectordb.errors import Permanent


class UnreadableMessage(Permanent):
    """The bytes are not a message of the expected type and version."""


class WrongSpace(Permanent):
    """The vectors belong to another space than the encoder."""

    code = "wrong-space"


M = TypeVar("M")


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


def decode_any(data: bytes, *kinds: type[M]) -> M:
    """Decode a message of one of these types. Raises ``UnreadableMessage``."""
    try:
        return from_msgpack(data, Union[kinds])  # type: ignore[arg-type] # noqa: UP007 -- a union that is made at run time
    except msgspec.DecodeError as exc:
        names = " or ".join(kind.__name__ for kind in kinds)
        raise UnreadableMessage(f"the message is not a {names}: {exc}") from exc


class _Named(msgspec.Struct, frozen=True):
    bucket: str
    key: str
    etag: str


class _Described(msgspec.Struct, frozen=True):
    """What messages of all releases say. Other fields are not read."""

    kind: str
    objects: tuple[_Named, ...]
    revision: Revision


def of_other_release(data: bytes) -> tuple[tuple[ObjectRef, ...], Revision] | None:
    """The objects of a message that cannot be decoded, if another release of wildtag has written it."""
    try:
        found = from_msgpack(data, _Described)
    except msgspec.DecodeError:
        return None
    if found.kind.partition("/")[0] not in _KINDS:
        return None
    return tuple(ObjectRef(one.bucket, one.key, one.etag) for one in found.objects), found.revision


_KINDS = frozenset({"submitted", "embedded", "retrieved", "extracted", "scored"})


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

    def parts(self, most: int) -> Iterator[Self]:
        """The same objects in batches of at most ``most``."""
        for start in range(0, len(self.objects), most):
            yield msgspec.structs.replace(self, objects=self.objects[start : start + most])


class Embedded(Batch, frozen=True, kw_only=True, tag_field="kind", tag="embedded/1"):
    """``vectors``: one unit image vector per object. ``media``: the file of each; empty in older messages.

    ``featureless``: whether each image shows nothing, such as one colour or noise; empty if that was not tested.
    ``hashes``: the perceptual hash of each image, ``None`` if it has none; empty if none was computed. ``view``: how
    the images were read and encoded, see ``tasks.embedding.view``; empty in older messages.
    """

    vectors: Vectors
    media: tuple[Media, ...] = ()
    featureless: tuple[bool, ...] = ()
    hashes: tuple[bytes | None, ...] = ()
    view: str = ""


class Retrieved(Batch, frozen=True, kw_only=True, tag_field="kind", tag="retrieved/2"):
    """``centroids``: per object the unit mean of its hits' vectors, scoring's text vector; zeros without hits.

    ``backgrounds``: one per object; empty if retrieval had no background captions. ``thresholds``: those derived for
    the captions, if any. ``floors``: one per object; empty in older messages. ``judgements``: what exemplars say, one
    per object; empty without exemplars. ``hashes``: as in ``Embedded``.
    """

    vectors: Vectors
    centroids: Vectors
    hits: tuple[tuple[Hit, ...], ...]
    media: tuple[Media, ...] = ()
    featureless: tuple[bool, ...] = ()
    backgrounds: tuple[Background, ...] = ()
    thresholds: DerivedThresholds | None = None
    floors: tuple[Floor, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    hashes: tuple[bytes | None, ...] = ()


class Extracted(Batch, frozen=True, kw_only=True, tag_field="kind", tag="extracted/2"):
    """``candidates``: per object, never empty. ``judgements`` and ``hashes``: as in ``Retrieved``."""

    vectors: Vectors
    centroids: Vectors
    hits: tuple[tuple[Hit, ...], ...]
    candidates: tuple[tuple[Candidate, ...], ...]
    media: tuple[Media, ...] = ()
    featureless: tuple[bool, ...] = ()
    backgrounds: tuple[Background, ...] = ()
    thresholds: DerivedThresholds | None = None
    judgements: tuple[Judgement, ...] = ()
    hashes: tuple[bytes | None, ...] = ()


class Scored(Batch, frozen=True, kw_only=True, tag_field="kind", tag="scored/2"):
    """``tags``: per object, best first; empty if the image is unknown.

    ``unknown``: per object why it has no tags, ``None`` if it has some; empty in older messages. ``judgements`` and
    ``hashes``: as in ``Retrieved``; what they say is not yet part of ``tags``.
    """

    hits: tuple[tuple[Hit, ...], ...]
    tags: tuple[tuple[Tag, ...], ...]
    media: tuple[Media, ...] = ()
    unknown: tuple[Unknown | None, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    hashes: tuple[bytes | None, ...] = ()

    def only(self, places: Sequence[int]) -> Self:
        """A copy with some of its objects, each with its share of the times."""
        if len(places) == len(self.objects):
            return self
        share = len(places) / len(self.objects)
        return msgspec.structs.replace(
            self, objects=tuple(self.objects[i] for i in places), hits=tuple(self.hits[i] for i in places),
            tags=tuple(self.tags[i] for i in places), media=tuple(self.media[i] for i in places if self.media),
            unknown=tuple(self.unknown[i] for i in places if self.unknown),
            judgements=tuple(self.judgements[i] for i in places if self.judgements),
            hashes=tuple(self.hashes[i] for i in places if self.hashes),
            timings_ms={stage: ms * share for stage, ms in self.timings_ms.items()},
        )  # fmt: skip
