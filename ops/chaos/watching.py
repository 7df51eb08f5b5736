"""Which objects are not settled yet: without a record of what is in the bucket now. From that, recovery per fault."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from vectordb.errors import WildtagError
from workers.wiring.wiring import Wiring

_LOOK_S = 0.5
_HEALTHY_S = 10.0
_SHARE = 4.0  # the pause after a look is so many times as long as it took: at most a fifth of a core


@dataclass
class Struck:
    """A fault that has ended: what waited then, and when the last of that was settled."""

    name: str
    victim: str
    began: float
    ended: float
    waiting: set[str]
    recovered: float | None = None

    @property
    def recovery_s(self) -> float | None:
        """Seconds from its end; ``None`` if it has not recovered."""
        return None if self.recovered is None else max(0.0, self.recovered - self.ended)


class Watch(threading.Thread):
    """Looks at what has changed, until ``close``. Its times are those of ``time.monotonic``."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__(name="chaos watch", daemon=True)
        self._wiring = wiring
        self._lock = threading.Lock()
        self._unsettled: dict[str, float] = {}
        self._closed = threading.Event()
        self.struck: list[Struck] = []
        self.striking = False
        """Whether a fault is happening."""

    def changed(self, *keys: str) -> None:
        """These objects were just written or removed, or must be looked at again."""
        now = time.monotonic()
        with self._lock:
            self._unsettled.update(dict.fromkeys(keys, now))

    def mended(self, name: str, victim: str, began: float) -> None:
        """A fault has just ended."""
        with self._lock:
            waiting = set(self._unsettled)
        self.struck.append(Struck(name, victim, began, time.monotonic(), waiting))

    def healthy(self) -> bool:
        """Whether no fault is happening, and the system has recovered from all of them for a while."""
        last = max((one.recovered or float("inf") for one in self.struck), default=float("-inf"))
        return not self.striking and time.monotonic() - last > _HEALTHY_S

    def unsettled(self) -> int:
        """How many objects are not settled."""
        with self._lock:
            return len(self._unsettled)

    def run(self) -> None:
        """Look again and again."""
        took = 0.0
        while not self._closed.wait(max(_LOOK_S, _SHARE * took)):
            began = time.monotonic()
            self.look()
            took = time.monotonic() - began

    def close(self) -> None:
        """End it."""
        self._closed.set()
        self.join(30)

    def look(self) -> None:
        """Look once at everything that is not settled."""
        with self._lock:
            seen = dict(self._unsettled)
        try:
            done = {key for key, ok in self._settled(seen).items() if ok}
        except (WildtagError, OSError):
            return  # Redis is away
        with self._lock:
            for key in done:
                if self._unsettled.get(key) == seen[key]:
                    del self._unsettled[key]
        now = time.monotonic()
        for one in self.struck:
            if one.recovered is None:
                # what was changed again after it is no longer its concern
                one.waiting = {key for key in one.waiting - done if seen.get(key, one.ended) <= one.ended}
                if not one.waiting:
                    one.recovered = now

    def _settled(self, keys: Mapping[str, float]) -> dict[str, bool]:
        bucket = self._wiring.settings.bucket
        names = list(keys)
        found: dict[str, bool] = {}
        for start in range(0, len(names), 500):
            some = names[start : start + 500]
            known = self._wiring.records.known([f"{bucket}/{key}" for key in some])
            for key, (recorded, on_its_way) in zip(some, known, strict=True):
                info = self._wiring.store.stat(bucket, key)
                there = info.ref.etag if info is not None else ""
                found[key] = recorded == there and not on_its_way
        return found
