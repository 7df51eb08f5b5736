"""What the owner of an object wrote beside it, before its record says so."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from msgspec.structs import replace

from tasks.message_parts import UserMetadata
from vectordb.errors import WildtagError
from workers.lifecycle.progress import Progress
from workers.lifecycle.record import Record
from workers.stores.store import ObjectStore

KEPT = 10_000  # objects in progress that are remembered
AGAIN_S = 30.0  # after which the store is asked again, if it did not answer


class OwnMetadata:
    """Remembers it by object, and asks the store once for what it does not know. Thread-safe."""

    def __init__(self, store: ObjectStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._known: OrderedDict[str, tuple[str, UserMetadata | None]] = OrderedDict()
        self._lock = threading.Lock()
        self._ask_after = 0.0

    def note(self, oid: str, etag: str, user: UserMetadata | None) -> None:
        """Remember what belongs to a version of an object."""
        with self._lock:
            self._known[oid] = etag, user
            self._known.move_to_end(oid)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)

    def described(self, progress: Progress) -> Progress:
        """The progress with what its owner wrote. Blocks. A store that does not answer leaves it out."""
        record = progress.record or progress.previous
        return replace(progress, user=self._of(progress) if record is None else user_of(record))

    def _of(self, progress: Progress) -> UserMetadata | None:
        with self._lock:
            etag, user = self._known.get(f"{progress.bucket}/{progress.key}", (None, None))
            if etag is not None and progress.etag in {"", etag}:
                return user
            if self._clock() < self._ask_after:
                return None
        try:
            info = self._store.stat(progress.bucket, progress.key)
        except WildtagError:  # what is in progress is shown all the same
            with self._lock:
                self._ask_after = self._clock() + AGAIN_S
            return None
        found = None if info is None else info.user_metadata
        self.note(f"{progress.bucket}/{progress.key}", progress.etag, found)
        return found


def user_of(record: Record) -> UserMetadata | None:
    """What the record says of it."""
    values = tuple(sorted((record.metadata or {}).items()))
    user = UserMetadata(record.file_name or None, record.client_id or None, values)
    return None if user == UserMetadata() else user
