"""The life cycle of one service: started, ready, watched, restarted, stopped.

A state machine that is stepped from outside and never blocks; the time is an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from workers.supervision.child import Child
from workers.supervision.probe import Probe
from workers.supervision.service import Event, Kind, Service, restart_delay

READY_EVERY = 0.1  # seconds between two readiness checks
HEALTH_EVERY = 5.0
LONG_ENOUGH = 60.0  # seconds of uptime that reset the failure count


class State(StrEnum):
    """States of a service."""

    WAITING = "waiting"  # for the services it starts after
    STARTING = "starting"
    UP = "up"
    ENDING = "ending"  # asked to end, to be restarted or not
    RESTING = "resting"  # waiting before a restart
    DOWN = "down"  # stopped permanently


class Member:
    """``spawn`` creates the process; ``on_event`` receives events."""

    def __init__(
        self, service: Service, spawn: Callable[[Service], Child], on_event: Callable[[Event], None]
    ) -> None:
        self.service = service
        self.state = State.WAITING
        self.child: Child | None = None
        self.failures = 0
        """Consecutive failures, without a long enough uptime in between."""
        self.trouble = ""
        """The last failure, with the last lines of the log."""
        self._spawn = spawn
        self._on_event = on_event
        self._since = 0.0
        self._deadline = 0.0
        self._probe = Probe(service.ready, READY_EVERY)
        self._healthy_at = 0.0
        self._stopping = False
        self._killed = False

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self.state in {State.STARTING, State.UP, State.ENDING}

    def begin(self, now: float) -> None:
        """Start the process."""
        self._since, self._killed = now, False
        try:
            self.child = self._spawn(self.service)
        except OSError as exc:  # no such folder, too many processes, a full disk
            self.child = None
            self._fail(now, f"cannot be started: {exc}")
            self._rest(now, f"cannot be started: {exc}")
            return
        self.state, self._deadline = State.STARTING, now + self.service.ready_timeout
        self._probe = Probe(self.service.ready, READY_EVERY)
        kind: Kind = "restarted" if self.failures else "started"
        self._say(kind, f"{kind} (pid {self.child.pid})")

    def step(self, now: float) -> None:
        """Check the process and do what is due."""
        if self.state is State.RESTING and now >= self._deadline:
            self.begin(now)
        elif self.child is not None and self.running:
            status = self.child.exit_status()
            if status is not None:
                self._ended(self.child, status, now)
            elif self.state is State.STARTING:
                self._await_ready(now)
            elif self.state is State.UP:
                self._check_health(now)
            elif now >= self._deadline:
                self.kill()

    def stop(self, now: float, grace: float) -> None:
        """Ask it to end permanently; after ``grace`` seconds it is killed. It is not restarted."""
        self._stopping = True
        if self.running:
            if self.state is not State.ENDING:
                self._ask_to_end(now, grace)
                self._say("stopping", "stopping")
            self._deadline = min(self._deadline, now + grace)
        else:
            self.state = State.DOWN

    def kill(self) -> None:
        """Kill it and its group at once; the next step notices."""
        if self.child is not None and self.running and not self._killed:
            self._killed = True
            self.child.kill()
            self._say("killed", "did not end in time, killed")

    def _ask_to_end(self, now: float, grace: float) -> None:
        if self.child is not None:
            self.child.signal(self.service.stop_signal)
        self.state, self._deadline = State.ENDING, now + grace

    def _await_ready(self, now: float) -> None:
        if self._probe.poll(now):
            self.state, self._since, self._healthy_at = State.UP, now, now
            if self.service.healthy is not None:
                self._probe = Probe(self.service.healthy, HEALTH_EVERY)
            self._say("ready", "ready")
        elif now >= self._deadline:
            self._stuck(now, f"not ready after {self.service.ready_timeout:g} s")

    def _check_health(self, now: float) -> None:
        if self.service.healthy is None or self._probe.poll(now):
            self._healthy_at = now
        elif now - self._healthy_at >= self.service.unhealthy_after:
            self._stuck(now, f"not healthy for {self.service.unhealthy_after:g} s")

    def _stuck(self, now: float, what: str) -> None:
        because = f" ({self._probe.trouble})" if self._probe.trouble else ""
        self._fail(now, what + because)
        self._say("stuck", f"{what}{because}, ending it")
        self._ask_to_end(now, self.service.stop_timeout)

    def _ended(self, child: Child, status: str, now: float) -> None:
        child.reap()
        if self._stopping:
            self.state = State.DOWN
            self._say("stopped", "stopped")
            return
        if self.state is not State.ENDING:
            self._fail(now, f"ended after {now - self._since:.1f} s ({status})")
        self._rest(now, f"ended ({status})")

    def _rest(self, now: float, what: str) -> None:
        rest = restart_delay(self.failures)
        self.state, self._deadline = State.RESTING, now + rest
        self._say("died", f"{what}, restart in {rest:g} s")

    def _fail(self, now: float, what: str) -> None:
        if self.state is State.UP and now - self._since >= LONG_ENOUGH:
            self.failures = 0
        self.failures += 1
        lines = self.child.last_lines() if self.child else ""
        self.trouble = f"{what}\n{lines}".rstrip()

    def _say(self, kind: Kind, detail: str) -> None:
        self._on_event(Event(kind, self.service.name, detail, self.child.pid if self.child else None))
