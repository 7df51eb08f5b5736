"""What a store that is eventually consistent answers: for some seconds after a change, what was there before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

LAG_S = 4.0
"""Seconds from the first request that would see a change until one sees it."""


@dataclass(frozen=True)
class Answer:
    """A response to GET or HEAD. ``data``: ``None`` for HEAD. ``length``: bytes of the object."""

    status: int
    headers: Sequence[tuple[str, str]] = ()
    data: bytes | None = None
    length: str = "0"

    @property
    def version(self) -> str | None:
        """The ETag; ``None`` if there is no object."""
        return next((value for name, value in self.headers if name.lower() == "etag"), "") if self.found else None

    @property
    def found(self) -> bool:
        """Whether there is an object."""
        return self.status == 200


NOTHING = Answer(404)


@dataclass
class _Shown:
    """What readers see of an object, and since when it has been another one."""

    answer: Answer
    since: float | None = None


class OldVersions:
    """The versions of objects that readers see. Several threads may use it."""

    def __init__(self, lag_s: float = LAG_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._lag_s, self._clock = lag_s, clock
        self._lock = threading.Lock()
        self._shown: dict[str, _Shown] = {}

    def answer(self, path: str, current: Answer, *, late: bool) -> Answer:
        """What a request for this object is answered. ``current``: what the server answers. ``late``: it lags.

        An object that nobody has read before seems to be new. If only the header of the old version was read,
        the body is that of the new one.
        """
        with self._lock:
            shown = self._shown.setdefault(path, _Shown(NOTHING))
            same = shown.answer.version == current.version
            if same or not late or self._over(shown):
                # a header must not replace the body that was read of the same version
                if not same or current.data is not None or shown.answer.data is None:
                    shown.answer = current
                shown.since = None
                return current
            old = shown.answer
            return current if current.data is not None and old.found and old.data is None else old

    def _over(self, shown: _Shown) -> bool:
        """Whether the change is old enough to be seen."""
        if shown.since is None:
            shown.since = self._clock()
        return self._clock() - shown.since >= self._lag_s
