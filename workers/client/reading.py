"""Reads the JSON of responses and events."""

from __future__ import annotations

from typing import TypeVar

import httpx
import msgspec

from vectordb.decoders import from_json
from workers.client.answers import FeedEntry, Record
from workers.client.errors import StrangeAnswer
from workers.client.server_events import ServerEvent
from workers.client.strangers import named
from workers.lifecycle.record import STATES

T = TypeVar("T")

NO_EVENT = "an event of the feed is not of a wildtag gateway"


def feed_entry(event: ServerEvent) -> FeedEntry:
    """An event of the feed. Raises ``StrangeAnswer``."""
    if event.name in STATES:
        record = _decoded(event.data, Record, NO_EVENT)
        return FeedEntry(event.id, event.name, record.bucket, record.key, record)
    return msgspec.structs.replace(_decoded(event.data, FeedEntry, NO_EVENT), id=event.id, state=event.name)


def read(answer: httpx.Response, of: type[T]) -> T:
    """The JSON of a response. Raises ``StrangeAnswer``, also if it is cut off."""
    if not answer.content:
        raise StrangeAnswer(f"{named(answer)}: it is empty")
    return _decoded(answer.content, of, f"{named(answer)}, or is cut off")


def _decoded(data: bytes, of: type[T], what: str) -> T:
    try:
        return from_json(data, of)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise StrangeAnswer(f"{what}: {exc}") from exc
