"""A Python client of the gateway: ``with Client(url, key) as client: image = client.upload("cat.jpg", wait=60)``."""

from __future__ import annotations

from workers.client.answers import (
    BriefTag,
    FeedEntry,
    Found,
    FoundImage,
    Image,
    NearImage,
    Record,
    Tag,
    Taught,
    TaughtObject,
)
from workers.client.client import Client
from workers.client.errors import ApiError, Away, NotFinished, Postponed, Refused, StrangeAnswer
from workers.client.search_results import SearchResults

__all__ = [
    "ApiError",
    "Away",
    "BriefTag",
    "Client",
    "FeedEntry",
    "Found",
    "FoundImage",
    "Image",
    "NearImage",
    "NotFinished",
    "Postponed",
    "Record",
    "Refused",
    "SearchResults",
    "StrangeAnswer",
    "Tag",
    "Taught",
    "TaughtObject",
]  # fmt: skip
