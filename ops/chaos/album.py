"""The bucket of a run: what users did to it, and so what must be known of it at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from ops.chaos.pictures import content
from ops.chaos.plan import Act
from ops.chaos.shelves import Shelf

PATIENCE_S = 90.0  # for which a write is repeated
_PAUSE_S = 0.5


class Album:
    """Carries out what is done to the bucket itself.

    Files are written in one step, as programs do that write carefully; a part of them is written in place. Several
    threads may use it. Its times are those of ``time.monotonic``.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._lock = threading.Lock()
        self.expected: dict[str, int] = {}
        """Key → number of the picture that is there now."""
        self.changed_at: dict[str, float] = {}
        """Key → when its last change began."""
        self.came_from: dict[str, str] = {}
        """Key → the key that it was moved from."""

    def there(self) -> dict[str, int]:
        """A copy of ``expected``."""
        with self._lock:
            return dict(self.expected)

    def put(self, key: str, picture: int, began: float) -> None:
        """Note that this picture was stored under the key."""
        with self._lock:
            self.expected[key] = picture
            self.changed_at[key] = began

    def act(self, act: Act) -> tuple[str, ...]:
        """Do it. Returns the keys that have changed."""
        there = sorted(self.there())
        if act.what == "put" or not there:
            return self._write(act.key, act.picture, in_place=act.what == "put" and act.chance < 0.3)
        chosen = there[int(act.chance * len(there))]
        if act.what == "overwrite":
            return self._write(chosen, act.picture, in_place=act.picture % 2 == 0)
        began = time.monotonic()
        if act.what == "move":
            for _ in _tries():
                try:
                    self._shelf.move(chosen, act.key)
                    break
                except FileNotFoundError:
                    raise
                except OSError:
                    continue
            self.put(act.key, self.there()[chosen], began)
            self.came_from[act.key] = chosen
            self._gone(chosen)
            return chosen, act.key
        self._shelf.remove(chosen)
        self._gone(chosen)
        return (chosen,)

    def _gone(self, key: str) -> None:
        with self._lock:
            del self.expected[key]

    def _write(self, key: str, picture: int, *, in_place: bool) -> tuple[str]:
        """Write it, again while the disk is full, as a person does."""
        began = time.monotonic()
        for last in _tries():
            try:
                self._shelf.write(key, content(picture), in_place=in_place)
                break
            except OSError:
                if last:
                    raise
        self.put(key, picture, began)
        return (key,)


def _tries() -> Iterator[bool]:
    """One for each try, with pauses between them; true at the last one."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        last = time.monotonic() > deadline
        yield last
        if last:
            return
        time.sleep(_PAUSE_S)
