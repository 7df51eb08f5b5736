"""What clients see of a record: its times as RFC 3339, and as much of it as they ask for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import msgspec

from tasks.message_parts import Tag
from tasks.segmentation.results import Segment
from vectordb.errors import Permanent
from workers.lifecycle.record import Record, Segmentation
from workers.lifecycle.times import rfc3339

ViewName = Literal["full", "brief"]

FIELDS = tuple(
    name for field in Record.__struct_fields__ for name in (
        ("accepted_at", "stages") if field == "entered_ms" else (field,)
    )
)  # fmt: skip
"""The fields of a record as clients see it. ``entered_ms`` is shown as the times ``accepted_at`` and ``stages``."""


class UnknownFields(Permanent):
    """A client asks for fields that do not exist."""


@dataclass(frozen=True)
class View:
    """How much of a record is shown: only ``fields`` if given; with ``brief`` nothing of the evidence."""

    fields: frozenset[str] | None = None
    brief: bool = False

    @classmethod
    def of(cls, fields: Iterable[str], view: ViewName = "full", known: Collection[str] = FIELDS) -> View:
        """The view that a request names. ``fields``: names, or lists of names with commas between them.

        Raises ``UnknownFields``.
        """
        given = [name.strip() for part in fields for name in part.split(",")]
        names = [name for name in given if name]
        for name in names:
            if name not in known:
                near = get_close_matches(name, known, 1)
                meant = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
                raise UnknownFields(f"there is no field {name[:64]!r}{meant}")
        if given and not names:
            raise UnknownFields(f"the list of fields is empty; there are {', '.join(known)}")
        return cls(frozenset(names) if given else None, view == "brief")

    @property
    def whole(self) -> bool:
        """Whether everything is shown."""
        return self.fields is None and not self.brief

    def row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a row that are shown."""
        return {name: value for name, value in row.items() if self.fields is None or name in self.fields}

    def record(self, record: Record) -> dict[str, Any]:
        """The fields of a record that are shown, for JSON."""
        found = {
            name: value for name in record.__struct_fields__
            if name != "entered_ms" and (value := getattr(record, name)) is not msgspec.UNSET
        }  # fmt: skip
        found["finished_at"] = rfc3339(record.finished_at)
        if (accepted := record.accepted_at) is not None:
            found |= {"accepted_at": rfc3339(accepted), "stages": times(record.stages)}
        if self.brief:
            del found["evidence"]
            found["tags"] = list(map(_brief_tag, record.tags))
            found["segmentation"] = None if record.segmentation is None else _brief(record.segmentation)
        return self.row(found)

    def json(self, record: Record) -> bytes:
        """``record`` as one line of JSON."""
        return msgspec.json.encode(self.record(record))


FULL = View()


def public_json(record: Record) -> bytes:
    """A whole record as one line of JSON, as clients see it."""
    return FULL.json(record)


def times(stages: Mapping[str, float]) -> dict[str, str]:
    """When an object entered each stage, from Unix seconds."""
    return {stage: rfc3339(at) for stage, at in stages.items()}


def _without(struct: Tag | Segment | Segmentation, name: str) -> dict[str, Any]:
    fields = ((field, getattr(struct, field)) for field in struct.__struct_fields__)
    return {field: value for field, value in fields if field != name and value is not msgspec.UNSET}


def _brief_tag(tag: Tag) -> dict[str, Any]:
    return _without(tag, "evidence")


def _brief(segmentation: Segmentation) -> dict[str, Any]:
    return _without(segmentation, "") | {
        "segments": [_without(segment, "evidence") for segment in segmentation.segments]
    }
