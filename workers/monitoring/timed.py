"""Objects whose calls are timed: adapters are wrapped where they are made, and know nothing of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeVar, cast

from workers.monitoring.meter import METER, Meter

T = TypeVar("T")
Note = Callable[[str, float, Exception | None], None]
"""Called after each call: the method, the seconds that it took, and what it raised."""


class _Timed:
    """Looks like the object within, also to ``isinstance``."""

    def __init__(self, within: Any, methods: Collection[str], note: Note, meter: Meter) -> None:
        self.__dict__.update(_within=within, _methods=methods, _note=note, _meter=meter)

    @property  # type: ignore[misc]  # read-only: nobody makes it another class
    def __class__(self) -> Any:
        return type(self.__dict__["_within"])

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._within, name)
        if name in self._methods:
            found = self.__dict__[name] = self._timing(name, found)  # found there next time
        return found

    def __setattr__(self, name: str, value: object) -> None:
        self.__dict__.pop(name, None)  # what was found before it
        setattr(self._within, name, value)

    def _timing(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        note, meter = self._note, self._meter

        def timing(*arguments: Any, **named: Any) -> Any:
            if not meter.active:
                return call(*arguments, **named)
            began = time.perf_counter()
            try:
                result = call(*arguments, **named)
            except Exception as exc:
                note(name, time.perf_counter() - began, exc)
                raise
            if isinstance(result, Iterator):
                return _through(result, name, note)
            note(name, time.perf_counter() - began, None)
            return result

        return timing


def _through(items: Iterator[T], name: str, note: Note) -> Iterator[T]:
    """The items. The seconds until each comes are added up, without those that the caller takes for it."""
    took = 0.0
    error: Exception | None = None
    try:
        while True:
            began = time.perf_counter()
            try:
                item = next(items, _END)
            except Exception as exc:
                error = exc
                raise
            finally:
                took += time.perf_counter() - began
            if item is _END:
                return
            yield cast("T", item)
    finally:  # also for a caller that wants no more
        note(name, took, error)
        if (close := getattr(items, "close", None)) is not None:
            close()


_END = object()


def timed(within: T, methods: Collection[str], note: Note, meter: Meter = METER) -> T:
    """The same object, whose ``methods`` are timed while ``meter`` counts."""
    return cast("T", _Timed(within, methods, note, meter))
