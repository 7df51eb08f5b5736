"""A store that counts its requests and their errors, see ``workers.monitoring.timed``."""

from __future__ import annotations

from typing import TypeVar

from workers.monitoring.catalogue import STORE_DURATION, STORE_ERRORS
from workers.monitoring.measured import OTHER, is_full, is_timeout
from workers.monitoring.meter import METER, Meter
from workers.monitoring.timed import timed
from workers.stores.store import (
    BucketMissing,
    ObjectError,
    ObjectForbidden,
    ObjectGone,
    ObjectTooLarge,
    ObjectUnwanted,
    StoreAway,
    StoreRefuses,
)

REQUESTS = ("get", "stat", "list", "put", "remove", "tags", "set_tags")

_ERRORS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    ((ObjectGone, BucketMissing), "not_found"),
    (ObjectTooLarge, "too_large"),
    ((ObjectForbidden, StoreRefuses), "denied"),
    (ObjectError, "refused"),
    (StoreAway, "unavailable"),
)


def store_error(exc: Exception) -> str:
    """The kind of an error of a store, as one of a few words."""
    if is_full(exc):
        return "disk_full"
    kind = next((word for of, word in _ERRORS if isinstance(exc, of)), OTHER)
    return "timeout" if kind == "unavailable" and is_timeout(exc) else kind


T = TypeVar("T")


def measured_store(store: T, meter: Meter = METER) -> T:
    """A store whose requests are timed. An object that the caller does not want is no error, and is not counted."""

    def note(operation: str, seconds: float, error: Exception | None) -> None:
        if error is None:
            meter.observe(STORE_DURATION, seconds, operation)
        elif not isinstance(error, ObjectUnwanted):
            meter.count(STORE_ERRORS, 1.0, operation, store_error(error))

    return timed(store, REQUESTS, note, meter)
