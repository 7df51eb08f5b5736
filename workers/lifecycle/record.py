"""The record: the final result for one version of one object."""

from __future__ import annotations

from typing import Literal

import msgspec

from tasks.messages import Tag
from tasks.segmentation.results import Segment

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


class Pictured(msgspec.Struct, frozen=True):
    """Keys of the segmentation artifacts in the object's bucket."""

    label_map: str
    overlay: str


class Segmentation(msgspec.Struct, frozen=True, kw_only=True):
    """The segmentation of an image of ``width`` × ``height`` pixels. ``labels``: by their value in the label map.

    ``error``: why a tagged image has no segmentation. ``segments``: largest first, each with its own evidence.
    """

    way: str
    width: int = 0
    height: int = 0
    labels: tuple[Label, ...] = ()
    segments: tuple[Segment, ...] = ()
    pictures: Pictured | None = None
    error: Error | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """The final result for one version of one object. ``skipped``: the object is not an image to be tagged; no error.

    ``unknown``: tagged, but no caption is similar enough to describe the image. ``tags[i].evidence`` are positions in
    ``evidence``. ``timings_ms``: per stage the object's share of its batch's wall time, and ``total`` from acceptance
    to this record.
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
    finished_at: float = 0.0

    @property
    def id(self) -> str:
        """``bucket/key``."""
        return f"{self.bucket}/{self.key}"

    @property
    def way(self) -> str:
        """The segmentation method; empty if the object was not segmented."""
        return self.segmentation.way if self.segmentation else ""

    def json(self) -> bytes:
        """One line of JSON."""
        return msgspec.json.encode(self)


def decode(body: bytes) -> Record:
    """Decode a record's JSON."""
    return msgspec.json.decode(body, type=Record)


def as_state(value: str) -> State | None:
    """The state of this name; ``None`` if there is no such state."""
    return next((state for state in STATES if state == value), None)
