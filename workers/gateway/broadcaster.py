"""Shares one reader of the feed, and one poll of the objects in progress, among all waiting requests."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

import anyio.to_thread
import structlog

from vectordb.errors import Transient
from workers.gateway.patience import outlast
from workers.lifecycle.progress import Progress, ProgressReader
from workers.lifecycle.record_reader import FeedItem, Records
from workers.outages.tracker import OutageTracker
from workers.redis.streams import entry_order

log = structlog.get_logger()

T = TypeVar("T")

LOOK_EVERY_S = 0.1  # at objects whose steps are awaited
LOOK_AT_ALL_EVERY_S = 1.0  # also at those whose end is awaited, of which the feed tells
BLOCK_MS = 1000
BEHIND = 1000  # maximum lag of a subscriber in feed items; beyond it the subscriber is disconnected


class Broadcaster:
    """Publishes finished objects, and every step of watched objects. For one event loop."""

    def __init__(self, records: Records, reader: ProgressReader, outage_tracker: OutageTracker | None = None) -> None:
        self._outage_tracker = outage_tracker or OutageTracker()
        self._records = records
        self._reader = reader
        self._subscribers: set[asyncio.Queue[FeedItem | None]] = set()
        self._watched: dict[str, set[asyncio.Event]] = {}
        self._stepping: Counter[str] = Counter()
        self._tokens: dict[str, str] = {}
        self._someone = asyncio.Event()
        self._threads = anyio.CapacityLimiter(2)  # separate, so that waiting blocks no thread that serves requests

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read the feed inside of this context."""
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._look())]
        try:
            yield
        finally:
            for queue in self._subscribers:
                self._cut_off(queue)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @contextmanager
    def subscribed(self) -> Iterator[asyncio.Queue[FeedItem | None]]:
        """A queue of the objects that finish from now on. ``None`` ends it; then subscribe again."""
        queue: asyncio.Queue[FeedItem | None] = asyncio.Queue(BEHIND)
        self._subscribers.add(queue)
        try:
            yield queue
        finally:
            self._subscribers.discard(queue)

    @contextmanager
    def watched(self, oid: str, *, each: bool = True) -> Iterator[asyncio.Event]:
        """An event that is set at every step of an object; it may be set without a step. ``each``: see ``steps``."""
        event = asyncio.Event()
        self._watched.setdefault(oid, set()).add(event)
        self._stepping[oid] += each
        self._someone.set()
        try:
            yield event
        finally:
            self._watched[oid].discard(event)
            self._stepping[oid] -= each
            if not self._watched[oid]:
                del self._stepping[oid]
                del self._watched[oid]
                self._tokens.pop(oid, None)

    async def steps(
        self, oid: str, look: Callable[[], Progress], seconds: float, *, each: bool = True
    ) -> AsyncIterator[Progress]:
        """The progress of an object, now and after each step, until it is final or ``seconds`` have passed.

        ``look`` runs in a thread; its errors are raised here. ``each``: every step is wanted. Otherwise only the
        first and the last are certain, and waiting costs nothing.
        """
        until = asyncio.get_running_loop().time() + seconds
        with self.watched(oid, each=each) as stepped:
            while True:
                stepped.clear()
                progress = await anyio.to_thread.run_sync(look)
                yield progress
                left = until - asyncio.get_running_loop().time()
                if progress.final or left <= 0:
                    return
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stepped.wait(), left)

    async def _read(self) -> None:
        after, quiet = "", False
        while True:
            try:
                if not after or quiet:
                    after = await self._place(after)
                items = await self._thread(lambda: self._records.feed(after, BLOCK_MS))  # noqa: B023 -- awaited here
            except Transient as exc:
                await outlast(self._outage_tracker, exc, self._threads)
                continue
            except Exception:  # such as an entry of another version: waiting requests need the later ones
                log.exception("cannot read the feed; continuing at its end")
                after = ""
                await asyncio.sleep(1)
                continue
            quiet = not items
            for item in items:
                after = item.id
                for event in self._watched.get(item.oid, ()):
                    event.set()
                for queue in self._subscribers:
                    if queue.qsize() >= BEHIND - 1:
                        self._cut_off(queue)
                    else:
                        queue.put_nowait(item)

    async def _place(self, after: str) -> str:
        """Where to continue: at ``after``, or at the end of the feed if ``after`` is empty or beyond it."""
        end = await self._thread(self._records.feed_end)
        if after and entry_order(end) >= entry_order(after):
            return after
        if after:
            log.warning("the feed was emptied or its clock went back; continuing at its end")
        for queue in self._subscribers:  # they may have missed earlier items
            self._cut_off(queue)
        return end

    async def _look(self) -> None:
        clock = asyncio.get_running_loop().time
        due = 0.0
        while True:
            if not self._watched:
                self._someone.clear()
                await self._someone.wait()
                due = clock() + LOOK_AT_ALL_EVERY_S
            if at_all := clock() >= due:
                due = clock() + LOOK_AT_ALL_EVERY_S
            if oids := [oid for oid in self._watched if at_all or self._stepping[oid]]:
                await self._look_at(oids)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look_at(self, oids: Sequence[str]) -> None:
        with contextlib.suppress(Transient):  # the reader of the feed reports it
            tokens = await self._thread(lambda: self._reader.tokens(oids))
            for oid, token in zip(oids, tokens, strict=True):
                if self._tokens.get(oid) != token and oid in self._watched:
                    self._tokens[oid] = token
                    for event in self._watched[oid]:
                        event.set()

    async def _thread(self, call: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=self._threads)

    @staticmethod
    def _cut_off(queue: asyncio.Queue[FeedItem | None]) -> None:
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)
