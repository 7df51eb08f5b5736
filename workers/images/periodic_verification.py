"""Verifies and repairs the index of images again and again, in the dispatcher process, in short steps."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import structlog

from vectordb.errors import WildtagError
from workers.images.findings import Findings, StoredStanding
from workers.images.passes import Pass
from workers.images.verifier import Verifier

log = structlog.get_logger()

FIRST_S = 5.0  # after the start: the workers load their models
AGAIN_S = 60.0  # after a fault
STEP_S = 0.15  # longest wait of a step while nothing else is to be done
BUSY_STEP_S = 0.02  # the same while there is other work
BUSY_PAUSE_S = 1.0  # between two steps then
TOLD_S = 30.0  # between two messages of progress


class PeriodicVerification:
    """One pass every ``every_s`` seconds. ``begin``: starts a pass of a verification."""

    def __init__(
        self,
        verifier: Verifier,
        begin: Callable[[Verifier, Findings], Pass],
        busy: Callable[[], bool],
        standing: StoredStanding,
        every_s: float,
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``busy``: whether other work waits. ``clock``: Unix seconds."""
        self._verifier = verifier
        self._begin = begin
        self._busy = busy
        self._standing = standing
        self._every_s = every_s
        self._clock = clock
        self._monotonic = monotonic
        self._due = monotonic() + FIRST_S
        self._rested_until = self._told = 0.0
        self._failing = False
        self._pass: Pass | None = None
        self._findings = Findings()

    @property
    def running(self) -> bool:
        """Whether a pass is on its way."""
        return self._pass is not None

    def hasten(self) -> None:
        """Begin a pass now: after a gap in the feed."""
        self._due = self._monotonic()
        if self._pass is not None and not self._findings.compared:
            self._pass = None  # what it has compared may have changed

    def step(self) -> None:
        """Make a short step, if one is due."""
        now = self._monotonic()
        if now >= self._due and (self._pass is None or self._findings.compared):  # a fill gives way to a comparison
            self._findings = Findings(at=self._clock())
            self._pass = self._begin(self._verifier, self._findings)
            self._due, self._told = now + self._every_s, now
        if self._pass is None or now < self._rested_until:
            return
        try:
            self._advance(self._pass, now)
        except (WildtagError, msgspec.MsgspecError) as exc:
            self._pass = None
            self._due = min(self._due, now + AGAIN_S)
            if not self._failing:  # once, however long it lasts
                log.warning("image index not verified", reason=str(exc), then=f"tried again every {AGAIN_S:.0f} s")
            self._failing = True

    def _advance(self, running: Pass, now: float) -> None:
        busy = self._busy()
        until = now + (BUSY_STEP_S if busy else STEP_S)
        before = self._findings.compared
        while not running.finished and (left := until - self._monotonic()) > 0:
            running.advance(max(BUSY_STEP_S, left))
            if running.waits or busy:
                break
        if busy:
            self._rested_until = self._monotonic() + BUSY_PAUSE_S
        self._tell(running, now, first=self._findings.compared and not before)

    def _tell(self, running: Pass, now: float, *, first: bool) -> None:
        f = self._findings
        if not f.compared or not (first or running.finished or now >= self._told + TOLD_S):
            return
        self._told = now
        self._standing.write(f, self._clock())
        if running.finished:
            self._pass, self._failing = None, False
            if f.total:
                log.info("image index verified", images=f.records, faults=_some(f.faults), repaired=_some(f.repaired),
                         unreadable=f.unreadable_count, examples=f.examples)  # fmt: skip
        else:
            log.info("image index is filled", images=f"{f.indexed:,} of {f.records:,}",
                     faults=_some(f.faults), unreadable=f.unreadable_count)  # fmt: skip


def _some(counts: dict[str, int]) -> dict[str, int]:
    return {kind: count for kind, count in counts.items() if count}
