"""Watches a folder and turns file changes into events once the files have stopped changing.

File system notifications are fast but can be lost. The sweep (``workers.dispatch.reconcile``) finds what they missed,
at startup and periodically.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from workers.events.folder_notifications import Notified, notifications
from workers.lifecycle.event import ObjectEvent
from workers.outages.tracker import OutageTracker
from workers.stores.folder import FolderStore
from workers.stores.store import ObjectForbidden, ObjectInfo, StoreAway

log = structlog.get_logger()

POLL_MS = 100  # for notifications, while no file settles before
LEAST_MS = 10  # between two looks at the files that settle: many may come one after the other
REST_S = 1.0  # between two attempts to watch


class SettlingFiles:
    """Delays files until their size and modification time have been stable for ``settle_s`` seconds.

    If a writer pauses for longer, the file is read too early. Its next write is a new version and is tagged again.
    """

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._waiting: dict[str, tuple[str, float]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def touch(self, key: str, now: float) -> None:
        """Record a change of this file."""
        etag, _ = self._waiting.get(key, ("", 0.0))
        self._waiting[key] = (etag, now)

    def due_ms(self, now: float) -> int:
        """Milliseconds until files are to be looked at, between ``LEAST_MS`` and ``POLL_MS``."""
        if not self._waiting:
            return POLL_MS
        first = min(since for _, since in self._waiting.values()) + self._settle_s
        return min(POLL_MS, max(LEAST_MS, math.ceil(1000 * (first - now))))

    def settled(
        self, look: Callable[[str], ObjectInfo | None], now: float
    ) -> Iterator[tuple[str, ObjectInfo | None]]:
        """Yield the files that have settled, each with its current state, or ``None`` if it is gone."""
        for key, (etag, since) in list(self._waiting.items()):
            if now - since < self._settle_s and etag:
                continue
            info = look(key)
            current = info.ref.etag if info else ""
            if info is None or (current == etag and now - since >= self._settle_s):
                del self._waiting[key]
                yield key, info
            elif current != etag:
                self._waiting[key] = (current, now)


@dataclass(frozen=True)
class FolderChanges:
    """Changes reported by the watch: events, and whether a sweep is needed."""

    events: list[ObjectEvent]
    sweep: bool = False


def follow(
    store: FolderStore, bucket: str, root: Path, settle_s: float, stop: threading.Event,
    outage_tracker: OutageTracker | None = None,
) -> Iterator[FolderChanges]:  # fmt: skip
    """Yield changes as files settle or disappear; yields at least about once a second.

    If the folder is unavailable, waits for it. If it was replaced, watches the new one and requests a sweep.
    """
    outage_tracker = outage_tracker or OutageTracker()
    while not stop.is_set():
        try:
            yield from _watched(store, bucket, root, settle_s, stop)
        except (OSError, StoreAway) as exc:
            away = outage_tracker.register(StoreAway(str(exc)))
            if away is None:
                log.warning("watch restarted", reason=str(exc))
                stop.wait(REST_S)
            yield FolderChanges([])
            if away is not None:
                outage_tracker.wait(away, REST_S)


def _watched(
    store: FolderStore, bucket: str, root: Path, settle_s: float, stop: threading.Event
) -> Iterator[FolderChanges]:
    settling = SettlingFiles(settle_s)
    watched = root.stat()
    with notifications(store.walk(bucket)) as source:
        yield FolderChanges([], sweep=True)
        while not stop.is_set():
            if source is None:
                stop.wait(POLL_MS / 1000)
            found = Notified() if source is None else source.read(settling.due_ms(time.monotonic()))
            now = time.monotonic()
            current = root.stat()
            if (current.st_dev, current.st_ino) != (watched.st_dev, watched.st_ino):
                raise StoreAway(f"{root} was replaced")
            for key in found.touched:
                settling.touch(key, now)
            events = [
                ObjectEvent.seen(info) if info else ObjectEvent("removed", bucket, key, verified=True)
                for key, info in settling.settled(lambda key: _look(store, bucket, key), now)
            ]
            yield FolderChanges(events, found.incomplete)


def _look(store: FolderStore, bucket: str, key: str) -> ObjectInfo | None:
    with contextlib.suppress(ObjectForbidden):
        return store.stat(bucket, key)
    return None  # the dispatcher checks again before it accepts a removal
