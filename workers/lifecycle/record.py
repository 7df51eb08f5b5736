"""The record: the final result for one version of one object."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec.structs import force_setattr

from tasks.message_parts import Media, Tag, Unknown
from tasks.segmentation.results import Segment
from vectordb.decoders import from_json
from vectordb.errors import Permanent

State = Literal["done", "failed", "dead", "skipped"]
STATES: tuple[State, ...] = ("done", "failed", "dead", "skipped")


class Evidence(msgspec.Struct, frozen=True):
    """A caption that was retrieved for the object; ``similarity`` is the cosine to its vector."""

    caption: str
    similarity: float


class Error(msgspec.Struct, frozen=True):
    """Why there are no tags: ``code`` for machines, ``reason`` for people."""

    code: str
    reason: str


class Label(msgspec.Struct, frozen=True):
    """A value of a label map: its label, and its colour as ``#rrggbb``. The first is ``unknown``."""

    label: str
    colour: str


class ArtifactKeys(msgspec.Struct, frozen=True):
    """Keys of the segmentation artifacts in the object's bucket."""

    label_map: str
    overlay: str


class Segmentation(msgspec.Struct, frozen=True, kw_only=True):
    """The segmentation of an image of ``width`` and ``height`` pixels.

    ``method``: dense, regions or prompted. ``labels``: indexed by the values of the label map. ``segments``: largest
    first; each has its own evidence. ``error``: why segmentation failed; the image keeps its tags.

    ``way`` and ``pictures`` are the names of ``method`` and ``artifacts`` in records of older versions. They are read
    and never written.
    """

    method: str = ""
    width: int = 0
    height: int = 0
    labels: tuple[Label, ...] = ()
    segments: tuple[Segment, ...] = ()
    artifacts: ArtifactKeys | None = None
    error: Error | None = None
    way: str | msgspec.UnsetType = msgspec.UNSET
    pictures: ArtifactKeys | msgspec.UnsetType | None = msgspec.UNSET

    def __post_init__(self) -> None:
        """Move values from the old names. Raises ``ValueError`` without a method."""
        if self.way is not msgspec.UNSET:
            force_setattr(self, "method", self.way)
            force_setattr(self, "way", msgspec.UNSET)
        if self.pictures is not msgspec.UNSET:
            force_setattr(self, "artifacts", self.pictures)
            force_setattr(self, "pictures", msgspec.UNSET)
        if not self.method:
            raise ValueError("a segmentation has a method")


class RecordBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """What a record has besides its times. ``skipped``: the object is not an image to be tagged; no error.

    ``unknown``: tagged, but no tag is sure enough. ``unknown_because``: why; ``None`` in records of older versions.
    ``tags[i].evidence`` are positions in ``evidence``. ``timings_ms``: per stage the object's share of its batch's
    wall time, and ``total`` from acceptance to this record. ``media``: the file; ``None`` if it was not decoded, and
    in records of older versions. ``rejected``: labels that a person rejected for the object; unset without any.
    ``file_name``, ``client_id``, ``metadata``: what its owner wrote beside the object; unset without any.
    ``retag_error``: why tagging this version again failed, so that all else is as it was before; unset otherwise.
    """

    bucket: str
    key: str
    etag: str
    state: State
    tags: tuple[Tag, ...] = ()
    unknown: bool = False
    evidence: tuple[Evidence, ...] = ()
    space_id: str
    captions_version: str
    timings_ms: dict[str, float] = {}
    error: Error | None = None
    segmentation: Segmentation | None = None
    version_id: str | None = None
    media: Media | None = None
    unknown_because: Unknown | None = None
    rejected: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    file_name: str | msgspec.UnsetType = msgspec.UNSET
    client_id: str | msgspec.UnsetType = msgspec.UNSET
    metadata: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    retag_error: Error | msgspec.UnsetType = msgspec.UNSET

    @property
    def id(self) -> str:
        """``bucket/key``."""
        return f"{self.bucket}/{self.key}"

    @property
    def segmentation_method(self) -> str:
        """The segmentation method; empty if the object was not segmented."""
        return self.segmentation.method if self.segmentation else ""


class Record(RecordBody, frozen=True, kw_only=True, omit_defaults=False):
    """The final result for one version of one object. ``finished_at``: when it was written, Unix seconds.

    ``entered_ms``: how many milliseconds after it was accepted the object entered each stage; unset if unknown.
    """

    finished_at: float = 0.0
    entered_ms: dict[str, int] | msgspec.UnsetType = msgspec.UNSET

    @property
    def accepted_at(self) -> float | None:
        """When the object was accepted, Unix seconds; ``None`` if that is not known."""
        total = self.timings_ms.get("total")
        return None if total is None or not self.finished_at else self.finished_at - total / 1000

    @property
    def stages(self) -> dict[str, float]:
        """When the object entered each stage, Unix seconds; empty if that is not known."""
        accepted = self.accepted_at
        if accepted is None or self.entered_ms is msgspec.UNSET:
            return {}
        return {stage: accepted + after / 1000 for stage, after in self.entered_ms.items()}

    def json(self) -> bytes:
        """One line of JSON, as it is stored. Clients get ``workers.lifecycle.record_view``."""
        return msgspec.json.encode(self)


class DamagedRecord(Permanent):
    """What is stored as a record is not one, or is one of a newer version of wildtag."""


def decode(body: bytes) -> Record:
    """Decode a record's JSON. Raises ``DamagedRecord``."""
    try:
        return from_json(body, Record)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise DamagedRecord(f"the record cannot be read: {exc}") from exc


def as_state(value: str) -> State | None:
    """The state of this name; ``None`` if there is no such state."""
    return next((state for state in STATES if state == value), None)
