"""Indexes, encoders and caches that count what is asked of them, see ``workers.monitoring.timed``."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

from tasks.cache import Cache
from workers.monitoring.catalogue import (
    CACHE_REQUESTS,
    ENCODED_ITEMS,
    ENCODER_DURATION,
    INDEX_DURATION,
    INDEX_ERRORS,
)
from workers.monitoring.meter import METER, Meter
from workers.monitoring.timed import timed

T = TypeVar("T")

CAPTIONS = ("search", "add", "remove", "get", "pages")
IMAGES = ("search", "search_words", "concerned", "put", "label", "remove", "get", "maintain")

# by name, since importing the class would load gRPC
_INDEX_ERRORS = {
    "ServerAway": "unavailable", "IndexFault": "fault", "IndexLocked": "locked", "IndexMissing": "not_found",
    "KeyRefused": "denied", "ServerRefused": "refused", "WrongDimension": "refused", "UnusableVectors": "refused",
}  # fmt: skip
FULL = {errno.ENOSPC, errno.EDQUOT}
OTHER = "other"


def causes(exc: BaseException) -> Iterator[BaseException]:
    """An exception, and those that led to it; of the client's libraries, too."""
    left: list[object] = [exc]
    seen: set[int] = set()
    while left:
        one = left.pop()
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            left += [one.__cause__, getattr(one, "reason", None)]


def is_timeout(exc: BaseException) -> bool:
    """Whether a service did not answer in time. Clients have many classes for that, named alike."""
    return any(
        "timeout" in type(one).__name__.lower() or "timed out" in str(one) or "DEADLINE_EXCEEDED" in str(one)
        for one in causes(exc)
    )


def is_full(exc: BaseException) -> bool:
    """Whether a disk is full."""
    return any(isinstance(one, OSError) and one.errno in FULL for one in causes(exc))


def index_error(exc: Exception) -> str:
    """The kind of an error of an index, as one of a few words."""
    if is_full(exc):
        return "disk_full"
    kind = next((_INDEX_ERRORS[of.__name__] for of in type(exc).__mro__ if of.__name__ in _INDEX_ERRORS), OTHER)
    return "timeout" if kind == "unavailable" and is_timeout(exc) else kind


def measured_index(index: T, which: Literal["captions", "images"], meter: Meter = METER) -> T:
    """An index of captions or of images, whose requests are timed."""

    def note(operation: str, seconds: float, error: Exception | None) -> None:
        if error is None:
            meter.observe(INDEX_DURATION, seconds, which, operation)
        else:
            meter.count(INDEX_ERRORS, 1.0, which, operation, index_error(error))

    return timed(index, CAPTIONS if which == "captions" else IMAGES, note, meter)


def measured_encoder(encoder: T, kind: Literal["image", "text"], model: str, meter: Meter = METER) -> T:
    """An encoder whose batches are timed. ``model``: its name.

    A batch is one call of ``encode``, which may be several batches of the device.
    """
    described: Any = encoder

    def note(_: str, seconds: float, error: Exception | None) -> None:
        if error is None:
            meter.observe(ENCODER_DURATION, seconds, model, str(described.description.device), kind)

    counting: Any = timed(encoder, ("encode",), note, meter)
    encode = counting.encode

    def counted(items: Sequence[Any]) -> Any:
        vectors = encode(items)
        meter.count(ENCODED_ITEMS, len(items), model, str(described.description.device), kind)
        return vectors

    counting.__dict__["encode"] = counted
    return counting  # type: ignore[no-any-return]  # looks like what it wraps


class MeasuredCache:
    """A ``tasks.cache.Cache`` that counts what it has and what it lacks. ``name``: of what is in it."""

    def __init__(self, cache: Cache, name: str, meter: Meter = METER) -> None:
        self._cache = cache
        self._name = name
        self._meter = meter

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See ``Cache``."""
        found = self._cache.get_many(keys)
        missing = found.count(None)
        count_cache(self._name, len(found) - missing, missing, self._meter)
        return found

    def set_many(self, items: Mapping[str, bytes]) -> None:
        """See ``Cache``."""
        self._cache.set_many(items)


def count_cache(name: str, hits: int, misses: int, meter: Meter = METER) -> None:
    """Count the values that a cache had, and those that it lacked."""
    meter.count(CACHE_REQUESTS, hits, name, "hit")
    meter.count(CACHE_REQUESTS, misses, name, "miss")
