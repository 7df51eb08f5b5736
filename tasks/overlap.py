"""Decoding the next images while earlier ones are encoded."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future
from typing import Protocol, TypeVar

from tasks.encoders.protocols import Floats

T = TypeVar("T")


class Overlap(Protocol):
    """How the two parts of embedding share time. ``group``: images in one call of the encoder; ``None``: all."""

    @property
    def group(self) -> int | None: ...

    def decoded(self, calls: Iterable[Callable[[], T]]) -> Generator[Callable[[], T], None, None]:
        """For each call, in order, a function that returns its result or raises its error."""
        ...

    def encoded(self, call: Callable[[], Floats]) -> Callable[[], Floats]:
        """Begin to encode; the function returns the vectors."""
        ...


class InTurn:
    """No overlap: everything in the calling thread, each call when its result is needed."""

    group = None

    def decoded(self, calls: Iterable[Callable[[], T]]) -> Generator[Callable[[], T], None, None]:
        """See ``Overlap``."""
        yield from calls

    def encoded(self, call: Callable[[], Floats]) -> Callable[[], Floats]:
        """See ``Overlap``."""
        vectors = call()
        return lambda: vectors


class Ahead:
    """``decoding``: decodes at most ``group`` images ahead. ``encoding``: encodes ``at_once`` groups at a time.

    Thread-safe: several batches may use it at a time, and their groups are encoded in the order in which they come.
    """

    def __init__(self, decoding: Executor, encoding: Executor, group: int, at_once: int = 1) -> None:
        self._decoding = decoding
        self._encoding = encoding
        self.group = group
        self._free = threading.Semaphore(at_once)

    def decoded(self, calls: Iterable[Callable[[], T]]) -> Generator[Callable[[], T], None, None]:
        """See ``Overlap``. Calls that have not begun when the iterator is closed are not made."""
        begun: deque[Future[T]] = deque()
        try:
            for call in calls:
                begun.append(self._decoding.submit(call))
                if len(begun) > self.group:
                    yield begun.popleft().result
            while begun:
                yield begun.popleft().result
        finally:
            for future in begun:
                future.cancel()

    def encoded(self, call: Callable[[], Floats]) -> Callable[[], Floats]:
        """See ``Overlap``. Waits until a group has ended, if ``at_once`` are encoded: so one more is held at most."""
        self._free.acquire()
        try:
            begun = self._encoding.submit(call)
        except BaseException:
            self._free.release()
            raise
        begun.add_done_callback(lambda _: self._free.release())
        return begun.result
