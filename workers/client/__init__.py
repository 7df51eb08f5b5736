"""A Python client of the gateway: ``with Client(url, key) as client: image = client.upload("cat.jpg", wait=60)``."""

from __future__ import annotations

from workers.client.answers import BriefTag, FeedEntry, Found, FoundImage, Image, Record, Tag, Taught
from workers.client.client import Client
from workers.client.errors import ApiError, Away, NotFinished, Postponed, Refused, StrangeAnswer

__all__ = [
    "ApiError",
    "Away",
    "BriefTag",
    "Client",
    "FeedEntry",
    "Found",
    "FoundImage",
    "Image",
    "NotFinished",
    "Postponed",
    "Record",
    "Refused",
    "StrangeAnswer",
    "Tag",
    "Taught",
]  # fmt: skip
