"""Tracks which services this process cannot reach: detects, probes and reports outages.

All loops, stages and callers of a service share one ``OutageTracker``. However many objects are affected, an outage
causes one log line when it starts, one per minute and one when it ends, and one probe per second. Waiting callers
wake when the probe succeeds. Current outages are written to Redis (``workers.outages.board``), where ``wildtag
status``, the gateway and the metrics read them.

::

    tracker.begin("listener", "no answer within 15 s")   # may be repeated
    tracker.end("listener")                              # does nothing if there is no outage
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import structlog

from vectordb.errors import Transient, WildtagError
from workers.errors.consequences import of, service_of
from workers.outages.active import PROBE_EVERY_S, Standing, answers, encodable, runs
from workers.outages.board import REFRESH_S, Outage

log = structlog.get_logger()

REMIND_EVERY_S = 60.0
LAPSE_S = 30.0  # without a probe, an outage ends when it was not reported for this long
NONE: Mapping[str, Callable[[], object]] = MappingProxyType({})


class Away(Transient):
    """A service is known to be unavailable and was not called."""

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(reason)
        self.service = service


class OutageNotes(Protocol):
    """Publishes outages for other processes."""

    def write(self, standing: list[Outage]) -> None:
        """Replace the outages of this process. Raises ``StoreUnavailable``."""
        ...


class OutageTracker:
    """The outages of one process by service name. Thread-safe; create it after a fork.

    ``probes``: raise ``Transient`` while a service is unavailable. They run in their own threads, several at once if
    they hang, and should give up within ten seconds. Beside many that hang, probes start less often, but never stop.
    """

    def __init__(
        self,
        notes: OutageNotes | None = None,
        probes: Mapping[str, Callable[[], object]] = NONE,
        clock: Callable[[], float] = time.time,
        remind_s: float = REMIND_EVERY_S,
    ) -> None:
        self._notes = notes
        self._probes = probes
        self._clock = clock
        self._remind_s = remind_s
        self._changed = threading.Condition()
        self._all: dict[str, Standing] = {}
        self._tender: threading.Thread | None = None
        self._noter: threading.Thread | None = None
        self._complained = -REMIND_EVERY_S
        self._unsaid = False  # whether the published notes are outdated

    def begin(
        self, name: str, reason: str, *, waiting: int | None = None, lapses: bool = False,
        since: float | None = None,
    ) -> None:  # fmt: skip
        """Start an outage. Further calls update its reason.

        ``waiting``: number of objects or entries that wait, if known. ``lapses``: the outage ends when it was not
        reported for ``LAPSE_S`` seconds. ``since``: Unix seconds, if it began before this process.
        """
        reason = encodable(reason)
        with self._changed:
            now = time.monotonic()
            known = self._all.get(name)
            if known is not None:
                known.reason, known.waiting, known.met = reason, waiting, now
                self._start_threads()
                return
            self._all[name] = Standing(reason, since or self._clock(), now, now, now, lapses, waiting)
            self._unsaid = True
            log.warning("service unavailable", service=name, reason=reason)
            self._start_threads()

    def end(self, name: str) -> None:
        """End an outage; does nothing if there is none."""
        if name in self._all:
            self._end(name, None)

    def register(self, fault: Exception) -> str | None:
        """Start the outage that this fault shows and return its service; ``None`` if only one call failed.

        That is the case if the service answers its probe. ``workers.errors`` tells which faults are of a service.
        """
        name = service_of(fault)
        if name is None:
            return None
        probe = self._probes.get(name)
        if name not in self._all and probe is not None and answers(probe):
            return None
        self.begin(name, str(fault), lapses=probe is None)
        return name

    def look(self, name: str) -> str | None:
        """Probe a service now. Returns why it is unavailable, ``None`` if it works. Starts an outage if it fails."""
        with self._changed:
            known = self._all.get(name)
        if known is not None:  # a probe is already running and may take long
            return known.reason
        try:
            self._probes[name]()
        except Exception as exc:
            if of(exc).passes:
                self.begin(name, str(exc))
            elif not isinstance(exc, WildtagError):
                raise
            return encodable(str(exc))  # or it answers, and will never do what is asked
        return None

    def probed(self, name: str) -> bool:
        """Whether the service has a probe."""
        return name in self._probes

    def is_active(self, *names: str, probed: bool = False) -> bool:
        """Whether one of these has an outage. ``probed``: and a probe that will detect its end."""
        return any(name in self._all and (not probed or name in self._probes) for name in names)

    def refuse(self, *names: str) -> None:
        """Raise ``Away`` if one of these has an outage and a probe that will detect its end."""
        with self._changed:
            for name in names:
                if name in self._all and name in self._probes:
                    raise Away(name, self._all[name].reason)

    def active(self) -> list[Outage]:
        """The current outages of this process."""
        with self._changed:
            now = time.monotonic()
            return [
                Outage(name=name, reason=one.described(now), since=one.since, waiting=one.waiting)
                for name, one in self._all.items()
            ]

    def wait(self, name: str, seconds: float) -> bool:
        """Wait up to ``seconds`` for the outage to end; returns whether it has ended."""
        with self._changed:
            self._start_threads()
            return self._changed.wait_for(lambda: name not in self._all, seconds)

    def wait_to_retry(self, name: str, seconds: float) -> bool:
        """Wait up to ``seconds`` until it is worth trying again; returns whether it is.

        A service without a probe may be tried again after one second, and after five in a long outage.
        """
        if name in self._probes:
            return self.wait(name, seconds)
        known = self._all.get(name)
        pause = PROBE_EVERY_S if known is None else known.pause(time.monotonic())
        self.wait(name, min(seconds, pause))
        return seconds > pause

    def _end(self, name: str, only: Standing | None) -> None:
        """``only``: end this outage only, not a newer one of the same name."""
        with self._changed:
            known = self._all.get(name)
            if known is None or (only is not None and known is not only):
                return
            del self._all[name]
            self._unsaid = True
            log.info("service available again", service=name, seconds=round(time.monotonic() - known.began, 1))
            self._start_threads()
            self._changed.notify_all()

    def _start_threads(self) -> None:
        """Start the threads that probe and publish outages, if they are not running.

        Each thread ends when it has nothing left to do. If no thread can be started, the next caller that reports an
        outage or waits for its end tries again.
        """
        try:
            if self._all and not runs(self._tender):
                self._tender = threading.Thread(target=self._supervise, name="outages", daemon=True)
                self._tender.start()
            if self._notes is not None and (self._all or self._unsaid) and not runs(self._noter):
                self._noter = threading.Thread(
                    target=self._note, args=(self._notes,), name="outage notes", daemon=True
                )
                self._noter.start()
        except RuntimeError as exc:  # a limit of the operating system
            self._log_failure("cannot start a thread for outages", exc)

    def _supervise(self) -> None:
        while True:
            with self._changed:
                if not self._all:
                    self._tender = None
                    return
                now = time.monotonic()
                due = [name for name, one in list(self._all.items()) if self._probe_due(name, one, now)]
            for name in due:
                try:
                    self._ask(name)
                except Exception as exc:
                    self._log_failure("processing of outages failed", exc)
            with self._changed:
                self._start_threads()
                self._changed.wait(PROBE_EVERY_S / 4)

    def _probe_due(self, name: str, one: Standing, now: float) -> bool:
        """Whether a probe is due."""
        if one.lapses and now - one.met > LAPSE_S:
            self._end(name, one)
            return False
        if now - one.reminded >= self._remind_s:
            one.reminded = now
            log.warning(
                "service still unavailable", service=name, seconds=round(now - one.began), reason=one.described(now)
            )
        one.probing = {thread: began for thread, began in one.probing.items() if thread.is_alive()}
        if name not in self._probes or not one.probe_due(now):
            return False
        one.probed = now
        return True

    def _ask(self, name: str) -> None:
        """Start a probe beside those that hang; without a free thread, run it in this one."""
        with self._changed:
            one = self._all.get(name)
        if one is None:
            return
        probe = self._probes[name]
        thread = threading.Thread(target=self._probe, args=(name, one, probe), name=f"probe {name}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._probe(name, one, probe)
        else:
            with self._changed:
                one.probing[thread] = one.probed

    def _probe(self, name: str, one: Standing, probe: Callable[[], object]) -> None:
        if answers(probe):
            self._end(name, one)

    def _note(self, notes: OutageNotes) -> None:
        written = 0.0
        while True:
            with self._changed:
                if not self._all and not self._unsaid:
                    self._noter = None
                    return
                due = self._unsaid or time.monotonic() - written >= REFRESH_S
                if not due:
                    self._changed.wait(PROBE_EVERY_S / 4)
                    continue
                self._unsaid = False
            try:
                notes.write(self.active())
                written = time.monotonic()
            except Exception as exc:  # the next write may succeed
                if not isinstance(exc, Transient):  # otherwise Redis is unavailable, which its other users report
                    self._log_failure("outages cannot be published", exc)
                with self._changed:
                    self._unsaid = True
                    self._changed.wait(PROBE_EVERY_S)

    def _log_failure(self, event: str, fault: Exception) -> None:
        now = time.monotonic()
        if now - self._complained >= self._remind_s:
            self._complained = now
            log.warning(event, reason=f"{type(fault).__name__}: {fault}")
