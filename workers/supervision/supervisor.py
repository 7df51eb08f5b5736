"""Runs several processes as one: starts them in order, keeps them running, and stops them completely.

    with Supervisor(home, on_event=print) as stack:      # locks the home, or raises StackRunning
        stack.start(services, {"flower": url})           # all critical ones are ready, or StartFailed
        stack.run()                                      # until SIGINT, SIGTERM or SIGHUP

Everything runs in the thread that enters the ``with`` block, which must outlive the services. During ``start``,
``run`` or ``stop``, a signal is counted and handled at once; at other times inside the block it raises
``KeyboardInterrupt`` (SIGINT) or ``SystemExit``. A second signal kills everything.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from workers.supervision.child import Child
from workers.supervision.guardian import Guardian
from workers.supervision.home import Home, StackInfo, phase_of, read_stack, this_process
from workers.supervision.log_files import LOG_LIMIT, LOGS_KEPT, rotate
from workers.supervision.member import Member, State
from workers.supervision.os_processes import end_all
from workers.supervision.prefork import ForkedChild, PreforkServer, ServerEnded
from workers.supervision.service import (
    BadService,
    Event,
    Service,
    StackRunning,
    StartFailed,
    check_order,
    stop_share,
)
from workers.supervision.signals import Signals

__all__ = [
    "BadService", "Event", "Service", "StackInfo", "StackRunning", "StartFailed", "State", "Supervisor", "phase_of",
    "read_stack",
]  # fmt: skip

ROUND = 0.05  # seconds between two rounds
STOP_WITHIN = 8.0  # seconds that all services together have to end on request
ROTATE_EVERY = 1.0
LAST_RESORT = 1.0  # seconds until the kernel must have ended the killed ones


class Supervisor:
    """The processes of one home folder. ``on_event`` receives events; each event's text is one line.

    ``prefork``: a program, and the module to import for it (``PreforkServer``). Services that run the program with
    ``python -P -m PROGRAM`` are then forked.
    """

    def __init__(
        self,
        home: Path,
        on_event: Callable[[Event], None] = lambda _: None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        prefork: tuple[str, str] | None = None,
        log_limit: int = LOG_LIMIT,
        logs_kept: int = LOGS_KEPT,
    ) -> None:
        """``log_limit``: bytes after which a log is rotated. ``logs_kept``: old ones that are kept of each."""
        self._log_limit, self._logs_kept = log_limit, logs_kept
        self._rotated_at = clock()
        self._prefork = prefork
        self._server: PreforkServer | None = None
        self._home = Home(home)
        self._on_event = on_event
        self._clock = clock
        self._sleep = sleep
        self._looked = clock()
        self._attended = 0.0
        self._members: dict[str, Member] = {}
        self._begun: list[Member] = []
        self._addresses: dict[str, str] = {}
        self._settings: dict[str, Any] = {}
        self._published: dict[str, int] | None = None
        self._ready_at = ""
        self._guardian: Guardian | None = None
        self._signals = Signals()

    def __enter__(self) -> Self:
        """Lock the home and kill leftovers of an earlier supervisor. Raises ``StackRunning``."""
        self._home.lock()
        self._home.retract()
        for identity in sorted(self._home.end_leftovers()):
            self._emit(Event("leftover", "supervisor", f"ended pid {identity.pid}, left by an earlier run"))
        self._home.record({})
        self._start_server()  # it imports while the caller prepares
        self._guardian = Guardian(self._home)
        self._signals.install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            self._signals.restore()
            self._home.unlock()

    def begin(self, services: Iterable[Service]) -> None:
        """Start these services and return at once; the next ``start`` waits for them. Raises ``BadService``."""
        added = tuple(services)
        check_order([*(member.service for member in self._members.values()), *added])
        new = [Member(service, self._spawn, self._emit) for service in added]
        self._members.update((member.service.name, member) for member in new)
        self._begun += new
        with self._signals.noted():
            self.watch()
        if self._signals.count:
            raise KeyboardInterrupt

    def start(
        self, services: Iterable[Service], addresses: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Start these services, in parallel if independent, and return when all critical ones are ready.

        May be called more than once. The call with ``addresses`` publishes the stack: other commands can then find it
        (``read_stack``) until it stops. ``settings``: JSON values that are published as well. Raises
        ``StartFailed`` with the last lines of the log, ``BadService``,
        ``KeyboardInterrupt`` on a signal.
        """
        self.begin(services)
        new, self._begun = self._begun, []
        with self._signals.noted():
            while not all(member.state is State.UP or not member.service.critical for member in new):
                self.watch()
                for member in new:
                    if member.failures and member.service.critical:
                        name = member.service.name
                        raise StartFailed(f"{name}: {member.trouble}\n(full log: {self._log_of(name)})")
                if self._signals.count:
                    break
                self._sleep(ROUND)
        if self._signals.count:
            raise KeyboardInterrupt
        if addresses is not None:
            self._addresses, self._settings = dict(addresses), dict(settings or {})
            self._publish()

    def watch(self) -> None:
        """One round, for callers with their own loop: start, check, restart what is due. Does not block."""
        now = self._now()
        for member in self._members.values():
            if member.state is State.WAITING and all(
                self._members[name].state is State.UP for name in member.service.after
            ):
                member.begin(now)
            member.step(now)
        if self._published is not None and self._published != self._pids():
            self._publish()
        if self._clock() - self._rotated_at >= ROTATE_EVERY:
            self._rotated_at = self._clock()
            self._rotate()
            self._keep_guardian()

    def run(self, until: Callable[[], bool] | None = None) -> bool:
        """Keep everything running until a signal (``False``) or until ``until()`` is true (``True``)."""
        with self._signals.noted():
            while not self._signals.count:
                self.watch()
                if until is not None and until():
                    return True
                self._sleep(ROUND)
        return False

    def stop(self) -> None:
        """Stop all services, dependents first, within ten seconds. May be called twice."""
        with self._signals.noted():
            self._home.stopping()
            self._published = None
            services = {name: member.service for name, member in self._members.items()}
            now = self._now()
            deadline = now + STOP_WITHIN
            while left := [member for member in self._members.values() if member.state is not State.DOWN]:
                if now >= deadline + LAST_RESORT:
                    break
                needed = {name for member in left for name in member.service.after}
                for member in left:
                    if self._signals.count > 1 or now >= deadline:
                        member.stop(now, 0.0)
                    elif member.service.name not in needed and member.state is not State.ENDING:
                        member.stop(now, stop_share(member.service.name, deadline - now, services))
                    member.step(now)
                self._sleep(ROUND)
                now = self._now()
            if self._server is not None:
                self._server.close()
                self._server = None
            end_all(self._home.token, [])
            self._home.forget()
            if self._guardian is not None:
                self._guardian.dismiss()
                self._guardian = None

    def states(self) -> dict[str, State]:
        """The state of each service."""
        return {name: member.state for name, member in self._members.items()}

    def _now(self) -> float:
        """Time in seconds, without periods in which this process was suspended: they count towards no timeout."""
        now = self._clock()
        self._attended += min(now - self._looked, 1.0)
        self._looked = now
        return self._attended

    def _spawn(self, service: Service) -> Child:
        rotate(self._log_of(service.name), self._log_limit, self._logs_kept)  # else it would begin with a long one
        service.prepare()
        child = self._forked(service) or Child(service, self._log_of(service.name), self._home.token)
        running = {name: m.child.identity for name, m in self._members.items() if m.child and m.running}
        try:
            self._home.record({**running, service.name: child.identity})
        except OSError:  # a full disk: a process that is not recorded must not run
            child.reap()
            raise
        return child

    def _start_server(self) -> None:
        if self._prefork is None:
            return
        with contextlib.suppress(OSError):
            self._server = PreforkServer(*self._prefork, self._log_of("prefork"), self._home.token)

    def _forked(self, service: Service) -> Child | None:
        """The process of a service, forked. ``None`` if its program is another one, or no server runs."""
        for _ in range(2):
            if self._server is None or not self._server.forks(service.command):
                return None
            try:
                return ForkedChild(service, self._log_of(service.name), self._server)
            except ServerEnded:
                self._server.close()
                self._server = None
                self._start_server()
        self._emit(Event("stuck", "supervisor", "cannot fork processes, see prefork.log; they start one by one"))
        return None

    def _rotate(self) -> None:
        """Rotate the logs that have become long. Their processes go on in the new ones within a second."""
        for name in (*self._members, "prefork", "supervisor"):
            with contextlib.suppress(OSError):  # a full disk: it is tried again
                rotate(self._log_of(name), self._log_limit, self._logs_kept)

    def _keep_guardian(self) -> None:
        """Replace a guardian that has ended: without one, processes could outlive this one."""
        if self._guardian is not None and self._guardian.ended:
            with contextlib.suppress(OSError):  # too many processes: it is tried again
                self._guardian = Guardian(self._home)
                self._emit(Event("restarted", "supervisor", "its guardian had ended, and was started again"))

    def _log_of(self, name: str) -> Path:
        return self._home.logs / f"{name}.log"

    def _pids(self) -> dict[str, int]:
        return {name: m.child.pid for name, m in self._members.items() if m.child and m.running}

    def _publish(self) -> None:
        self._published = self._pids()
        self._ready_at = self._ready_at or datetime.now(UTC).isoformat(timespec="seconds")
        try:
            info = StackInfo(this_process(), self._ready_at, self._addresses, self._published, self._settings)
            self._home.publish(info)
        except OSError as exc:  # a full disk: the services continue, and the next change is published with all others
            self._emit(Event("stuck", "supervisor", f"cannot write to {self._home.run}: {exc.strerror}"))

    def _emit(self, event: Event) -> None:
        with contextlib.suppress(Exception):  # for example a closed terminal: no service may suffer from it
            self._on_event(event)
