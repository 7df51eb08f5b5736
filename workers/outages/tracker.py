"""What this process cannot reach: noted when it begins, looked after while it lasts, and told when it ends.

Every loop, stage and caller of a service shares one ``OutageTracker``. So an outage costs one log line when it
begins, one a minute and one when it ends, and one probe a second, however many objects meet it. Whoever waits is
woken when the probe succeeds. What stands is written to Redis (``workers.outages.board``): ``wildtag status``, the
gateway and the metrics read it there.

::

    obstacles.begin("listener", "no answer within 15 s")   # again and again does no harm
    obstacles.end("listener")                              # costs nothing where none stands
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import structlog

from vectordb.errors import Transient, WildtagError
from workers.outages.board import REFRESH_S, Outage
from workers.outages.standing import Standing, answers, encodable, runs

log = structlog.get_logger()

PROBE_EVERY_S = 1.0
PROBES_AT_ONCE = 12  # a probe that hangs must not keep the next one from seeing that the obstacle is gone
REMIND_EVERY_S = 60.0
LAPSE_S = 30.0  # without a probe, an obstacle that nobody meets any more is over
NONE: Mapping[str, Callable[[], object]] = MappingProxyType({})


class Away(Transient):
    """A service is said to be away, and was not asked."""

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(reason)
        self.service = service


class Notes(Protocol):
    """Where other processes read what stands."""

    def write(self, standing: list[Outage]) -> None:
        """Replace what this process has noted. Raises ``StoreUnavailable``."""
        ...


class OutageTracker:
    """The obstacles of one process, by name. Thread-safe; to be made after a fork.

    ``probes``: raise ``Transient`` while a service is away. They are called in threads of their own, several at once
    where they hang, and should give up within ten seconds.
    """

    def __init__(
        self,
        notes: Notes | None = None,
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
        self._unsaid = False  # whether the notes differ from what stands

    def begin(self, name: str, reason: str, *, waiting: int | None = None, lapses: bool = False) -> None:
        """This is in the way. Whoever meets it again says so again, with the reason of that time.

        ``waiting``: how many objects or entries wait for it, where the process knows. ``lapses``: it is over when
        nobody has said so for ``LAPSE_S`` seconds.
        """
        reason = encodable(reason)
        with self._changed:
            now = time.monotonic()
            known = self._all.get(name)
            if known is not None:
                known.reason, known.waiting, known.met = reason, waiting, now
                self._awake()
                return
            self._all[name] = Standing(reason, self._clock(), now, now, now, lapses, waiting)
            self._unsaid = True
            log.warning("unavailable", service=name, reason=reason)
            self._awake()

    def end(self, name: str) -> None:
        """It is not in the way any more; harmless where it was not."""
        if name in self._all:
            self._end(name, None)

    def met(self, fault: Transient) -> str | None:
        """The service that is away, as this fault says; ``None`` where the fault is of one call alone.

        That is so where the service answers its probe.
        """
        name = fault.service
        if name is None:
            return None
        probe = self._probes.get(name)
        if name not in self._all and probe is not None and answers(probe):
            return None
        self.begin(name, str(fault), lapses=probe is None)
        return name

    def look(self, name: str) -> str | None:
        """Why a service does not do its work, by its probe and now; ``None`` where it does. Notes that it is away."""
        with self._changed:
            known = self._all.get(name)
        if known is not None:  # it is being probed, and a probe may take long
            return known.reason
        try:
            self._probes[name]()
        except Transient as exc:
            self.begin(name, str(exc))
            return encodable(str(exc))
        except WildtagError as exc:  # it answers, and will never do what is asked
            return encodable(str(exc))
        return None

    def probed(self, name: str) -> bool:
        """Whether there is a probe for it."""
        return name in self._probes

    def stands(self, *names: str, probed: bool = False) -> bool:
        """Whether one of these is in the way. ``probed``: and a probe will see when it is gone."""
        return any(name in self._all and (not probed or name in self._probes) for name in names)

    def refuse(self, *names: str) -> None:
        """Raise ``Away`` while one of these is in the way and a probe will see when it is gone."""
        with self._changed:
            for name in names:
                if name in self._all and name in self._probes:
                    raise Away(name, self._all[name].reason)

    def standing(self) -> list[Outage]:
        """All that is in the way of this process."""
        with self._changed:
            return [
                Outage(name=name, reason=one.reason, since=one.since, waiting=one.waiting)
                for name, one in self._all.items()
            ]

    def wait(self, name: str, seconds: float) -> bool:
        """Wait until it is gone, at most so long; whether it is."""
        with self._changed:
            self._awake()
            return self._changed.wait_for(lambda: name not in self._all, seconds)

    def outlast(self, name: str, seconds: float) -> bool:
        """Wait until it may be gone, at most so long; whether it is worth trying again.

        Where there is no probe the next try is one, and is due in a second.
        """
        if name in self._probes:
            return self.wait(name, seconds)
        self.wait(name, min(seconds, PROBE_EVERY_S))
        return seconds > PROBE_EVERY_S

    def _end(self, name: str, only: Standing | None) -> None:
        """``only``: the very obstacle that is over; a newer one of the same name stays."""
        with self._changed:
            known = self._all.get(name)
            if known is None or (only is not None and known is not only):
                return
            del self._all[name]
            self._unsaid = True
            log.info("available again", service=name, seconds=round(time.monotonic() - known.began, 1))
            self._awake()
            self._changed.notify_all()

    def _awake(self) -> None:
        """See to it that the threads run that look after obstacles and note them.

        Each ends when there is nothing left to do. Where none can be started, whoever meets an obstacle or waits for
        its end tries again.
        """
        try:
            if self._all and not runs(self._tender):
                self._tender = threading.Thread(target=self._tend, name="obstacles", daemon=True)
                self._tender.start()
            if self._notes is not None and (self._all or self._unsaid) and not runs(self._noter):
                self._noter = threading.Thread(
                    target=self._note, args=(self._notes,), name="obstacle notes", daemon=True
                )
                self._noter.start()
        except RuntimeError as exc:  # a limit of the system's
            self._complain("no thread to look after what is unavailable", exc)

    def _tend(self) -> None:
        while True:
            with self._changed:
                if not self._all:
                    self._tender = None
                    return
                now = time.monotonic()
                due = [name for name, one in list(self._all.items()) if self._look_after(name, one, now)]
            for name in due:
                try:
                    self._ask(name)
                except Exception as exc:
                    self._complain("looking after what is unavailable", exc)
            with self._changed:
                self._awake()
                self._changed.wait(PROBE_EVERY_S / 4)

    def _look_after(self, name: str, one: Standing, now: float) -> bool:
        """Whether a probe is due."""
        if one.lapses and now - one.met > LAPSE_S:
            self._end(name, one)
            return False
        if now - one.reminded >= self._remind_s:
            one.reminded = now
            log.warning("still unavailable", service=name, seconds=round(now - one.began), reason=one.reason)
        one.probing = {thread for thread in one.probing if thread.is_alive()}
        if name not in self._probes or now - one.probed < PROBE_EVERY_S or len(one.probing) >= PROBES_AT_ONCE:
            return False
        one.probed = now
        return True

    def _ask(self, name: str) -> None:
        """Begin a probe, beside those that hang; where there is no thread for it, in this one."""
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
            one.probing.add(thread)

    def _probe(self, name: str, one: Standing, probe: Callable[[], object]) -> None:
        if answers(probe):
            self._end(name, one)

    def _note(self, notes: Notes) -> None:
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
                notes.write(self.standing())
                written = time.monotonic()
            except Exception as exc:  # whatever it is, the next note may be taken
                if not isinstance(exc, Transient):  # else Redis is away, and whoever asks it sees that
                    self._complain("what is unavailable cannot be noted for other processes", exc)
                with self._changed:
                    self._unsaid = True
                    self._changed.wait(PROBE_EVERY_S)

    def _complain(self, event: str, fault: Exception) -> None:
        now = time.monotonic()
        if now - self._complained >= self._remind_s:
            self._complained = now
            log.warning(event, reason=f"{type(fault).__name__}: {fault}")
