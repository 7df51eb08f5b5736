"""Saying that there is progress while something takes long."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vectordb.errors import Transient


@contextmanager
def keepalive(tell: Callable[[], None], every_s: float) -> Iterator[None]:
    """Call ``tell`` every so often while the block is at work, from a thread: a model may take minutes for one image.

    A block that hangs is ended by the time limit of its task.
    """
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(every_s):
            with contextlib.suppress(Transient):  # Redis is away: it may be back the next time
                tell()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
