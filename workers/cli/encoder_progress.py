"""How far the preparation of another encoder is, for people."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workers.cli.console import messages

if TYPE_CHECKING:
    from workers.dispatch.preparation import Compared
    from workers.wiring.wiring import Wiring

SAY_EVERY_S = 5.0


def captions_progress() -> Callable[[str, int, int], None]:
    """Says once what is done with the captions."""
    said: set[str] = set()

    def progress(doing: str, _: int, total: int) -> None:
        if doing not in said:
            said.add(doing)
            messages.print(f"{doing} ({total:,} captions) …", highlight=False)

    return progress


class PreparationProgress:
    """Says how far it is, and looks after the second pipeline."""

    def __init__(self, next_: Wiring, *, says: bool) -> None:
        """``next_``: of the encoder that prepares. ``says``: prints a line now and then. ``watch`` is called."""
        self.watch: Any = lambda: None
        self._next = next_
        self._says = says
        self._said = time.monotonic()
        self._first: tuple[float, int] | None = None

    def __call__(self, found: Compared) -> None:
        """``found``: what is to be prepared in all."""
        self.watch()
        now = time.monotonic()
        if now - self._said < SAY_EVERY_S or not self._says:
            return
        self._said = now
        done = self._next.records.counts()["done"]
        self._first = self._first or (now, done)
        began, before = self._first
        rate = (done - before) / (now - began) if now > began else 0.0
        left = max(0, found.images - done)
        eta = f", about {left / rate:.0f} s left" if rate > 0 else ""
        messages.print(f"[dim]{done:,} of {found.images:,} images prepared; {rate:.1f} a second{eta}[/]")
