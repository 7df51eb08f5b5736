"""The state of one outage in this process, and the checks of threads and probes that the tracker uses."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from vectordb.errors import Transient


@dataclass
class Standing:
    """``probing``: threads whose probes have not ended. ``lapses``: see ``OutageTracker.begin``."""

    reason: str
    since: float  # Unix seconds
    began: float  # by the monotonic clock, as all that follow
    reminded: float
    met: float
    lapses: bool
    waiting: int | None = None
    probing: set[threading.Thread] = field(default_factory=set)
    probed: float = 0.0


def runs(thread: threading.Thread | None) -> bool:
    """Whether a thread exists and has not ended."""
    return thread is not None and thread.is_alive()


def encodable(reason: str) -> str:
    """Escape what is not valid UTF-8, as in the name of a folder, so that Redis, JSON and a log accept it."""
    return reason.encode("utf-8", "backslashreplace").decode()


def answers(probe: Callable[[], object]) -> bool:
    """Whether a service answers its probe. Any error except ``Transient`` counts as an answer."""
    try:
        probe()
    except Transient:
        return False
    except Exception:
        return True
    return True
