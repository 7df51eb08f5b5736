"""The state of one outage in this process, and the checks of threads and probes that the tracker uses."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from workers.errors.consequences import of

PROBE_EVERY_S = 1.0
LONGEST_TRIAL_S = 5.0  # what waits goes on so soon after an outage, however long it was
LASTS_S = 120.0  # of an outage, after which the pause between two trials is one second longer
PROBES_AT_ONCE = 12  # a probe that hangs must not delay detecting the recovery
HANGS_AFTER_S = 15.0  # a probe should give up within ten seconds
HANGING_PAUSE_S = 60.0  # between two probes while so many hang, and as much more for each further one …
LONGEST_PAUSE_S = 3600.0  # … up to this: the threads of probes that hang for ever stay


@dataclass
class Standing:
    """``probing``: threads whose probes have not ended → when they began. ``lapses``: see ``OutageTracker.begin``."""

    reason: str
    since: float  # Unix seconds
    began: float  # by the monotonic clock, as all that follow
    reminded: float
    met: float
    lapses: bool
    waiting: int | None = None
    probing: dict[threading.Thread, float] = field(default_factory=dict)
    probed: float = 0.0

    def pause(self, now: float) -> float:
        """Seconds between two trials: one at first, more as the outage lasts, and never more than five."""
        return min(LONGEST_TRIAL_S, max(PROBE_EVERY_S, (now - self.began) / LASTS_S))

    def probe_due(self, now: float) -> bool:
        """Whether it is time for a probe: see ``pause``, and ever less often while many hang."""
        hanging = len(self.probing) - PROBES_AT_ONCE
        pause = self.pause(now) if hanging < 0 else min(LONGEST_PAUSE_S, HANGING_PAUSE_S * (hanging + 1))
        return now - self.probed >= pause

    def described(self, now: float) -> str:
        """The reason, and how many probes hang if they do."""
        begun = [at for thread, at in self.probing.items() if thread.is_alive() and now - at > HANGS_AFTER_S]
        if not begun:
            return self.reason
        probes = "1 probe has" if len(begun) == 1 else f"{len(begun)} probes have"
        return f"{self.reason} ({probes} not ended, the first for {now - min(begun):.0f} s)"


def runs(thread: threading.Thread | None) -> bool:
    """Whether a thread exists and has not ended."""
    return thread is not None and thread.is_alive()


def encodable(reason: str) -> str:
    """Escape what is not valid UTF-8, as in the name of a folder, so that Redis, JSON and a log accept it."""
    return reason.encode("utf-8", "backslashreplace").decode()


def answers(probe: Callable[[], object]) -> bool:
    """Whether a service answers its probe, as it would have to for work.

    One that answers with an error which all work waits for, such as that the captions are not there, does not.
    """
    try:
        probe()
    except Exception as exc:
        return not of(exc).passes
    return True
