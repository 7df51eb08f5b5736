"""The record: the final word on one version of one object."""

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
    """A value of a label map: what it stands for, and its colour as ``#rrggbb``. The first is ``unknown``."""

    label: str
    colour: str


class Pictured(msgspec.Struct, frozen=True):
    """Keys in the object's bucket."""

    label_map: str
    overlay: str


class Segmentation(msgspec.Struct, frozen=True, kw_only=True):
    """What is where in an image of ``width`` and ``height`` pixels. ``labels``: by their value in the label map.

    ``error``: why there is none, in an image that has tags. ``segments``: largest first; their evidence is their own.
    """

    way: str
    width: int = 0
    height: int = 0
    labels: tuple[Label, ...] = ()
    segments: tuple[Segment, ...] = ()
    pictures: Pictured | None = None
    error: Error | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """The final word on one version of one object. ``skipped``: it is none that is to be tagged, which is no fault.

    ``unknown``: it is done, and no caption is near enough to say what it shows. ``tags[i].evidence`` are positions
    in ``evidence``. ``timings_ms``: per stage the object's share of the wall time that its batch spent there, and
    ``total`` from acceptance to this record.
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
        """In which way it was segmented; empty when it was not."""
        return self.segmentation.way if self.segmentation else ""

    def json(self) -> bytes:
        """One line of JSON."""
        return msgspec.json.encode(self)


def decode(body: bytes) -> Record:
    """Read a record's JSON."""
    return msgspec.json.decode(body, type=Record)


def as_state(value: str) -> State | None:
    """The state of this name, if it is one."""
    return next((state for state in STATES if state == value), None)
