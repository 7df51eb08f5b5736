"""A Python client of the gateway: ``with Client(url, key) as client: image = client.upload("cat.jpg", wait=60)``."""

from __future__ import annotations

import logging

from vectordb.proxies import UnusableProxy
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
from workers.client.waiting import Waiting

# the library prints nothing: a program that wants to see its log adds a handler
logging.getLogger(__name__).addHandler(logging.NullHandler())

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
    "UnusableProxy",
    "Waiting",
]  # fmt: skip
