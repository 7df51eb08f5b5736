"""Signals to the processes of the stack, its supervisor and its guardian included."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress

import psutil

from ops.bench.processes import SUPERVISOR
from ops.chaos.fault import Fault, send
from ops.chaos.redis_process import until
from ops.chaos.world import lives
from vectordb.errors import Permanent

_REPLACED_S = 60.0


class Signalled(Fault):
    """A signal to a service. ``children``: also to its descendants."""

    number = signal.SIGKILL
    children = True

    def begin(self) -> None:
        """Send it."""
        processes = self.chosen()
        for process in reversed(processes) if self.children else processes[:1]:
            send(process, self.number)


class Kill(Signalled):
    """SIGKILL to a service and its descendants, as the kernel does when memory runs out."""


class KillChild(Signalled):
    """SIGKILL to one descendant of a service, or to the service if it has none."""

    def begin(self) -> None:
        """Kill the last of them."""
        for process in self.chosen()[-1:]:
            send(process, signal.SIGKILL)


class Terminate(Signalled):
    """SIGTERM to a service."""

    number = signal.SIGTERM
    children = False


class Stop(Fault):
    """SIGSTOP to a service and its descendants, and SIGCONT later."""

    def begin(self) -> None:
        """Stop them."""
        self._stopped = self.chosen()
        for process in self._stopped:
            send(process, signal.SIGSTOP)

    def mend(self) -> None:
        """Let them go on, if they are still there."""
        for process in self._stopped:
            send(process, signal.SIGCONT)


class KillSupervisor(Fault):
    """SIGKILL to the supervisor; its guardian ends the rest, and somebody starts it again."""

    number = signal.SIGKILL

    def begin(self) -> None:
        """Send it, and wait until nothing of the stack is left."""
        self.victim = SUPERVISOR
        self.world.end(self.number)

    def mend(self) -> None:
        """Start it again."""
        self.world.start()


class TerminateSupervisor(KillSupervisor):
    """SIGTERM to the supervisor: the stack ends in order, and somebody starts it again."""

    number = signal.SIGTERM


class Unwatched(Fault):
    """Nobody watches the bucket: the watcher of the folder, or the sweep of the bucket, ends again and again."""

    def begin(self) -> None:
        """Kill it whenever it runs, until the end."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._kill, daemon=True)
        self._thread.start()

    def mend(self) -> None:
        """Let it run."""
        self._over.set()
        self._thread.join()

    def _kill(self) -> None:
        while not self._over.wait(0.2):
            with suppress(psutil.Error, OSError, ValueError):  # the supervisor is just writing what it has started
                for name, processes in self.world.services().items():
                    if name in {"watcher", "reconcile"}:
                        self.victim = name
                        for process in processes:
                            send(process, signal.SIGKILL)


class Part(Fault):
    """A signal to a process that belongs to the supervisor: itself, its guardian, or the server that forks services.

    ``named``: the part of its command by which it is known; ``None``: the supervisor itself.
    """

    named: str | None = None
    number = signal.SIGKILL

    def begin(self) -> None:
        """Send it. Raises ``Permanent`` if there is no such process."""
        self.victim = SUPERVISOR if self.named is None else self.named
        self._hit = self.world.supervising(self.named)
        if not self._hit:
            raise Permanent(f"no {self.victim} runs")
        for process in self._hit:
            send(process, self.number)

    def mend(self) -> None:
        """Let it go on, if it was stopped."""
        if self.number == signal.SIGSTOP:
            for process in self._hit:
                send(process, signal.SIGCONT)


class StopSupervisor(Part):
    """SIGSTOP to the supervisor, and SIGCONT later. In the meantime nobody restarts services."""

    number = signal.SIGSTOP


class KillGuardian(Part):
    """SIGKILL to the process that watches the supervisor, which replaces it."""

    named = "guardian"

    def mend(self) -> None:
        """A finding if there is no other one."""
        try:
            until(lambda: any(lives(one.pid) for one in self.world.supervising(self.named)), _REPLACED_S, "")
        except Permanent:
            self.world.problems.append(("lost", "a guardian that was killed is not replaced"))


class TerminateGuardian(Part):
    """SIGTERM to the guardian, as with ``kill`` for the whole session. It must outlive that: the supervisor lives."""

    named = "guardian"
    number = signal.SIGTERM

    def mend(self) -> None:
        """A finding if it has ended while its supervisor runs."""
        for process in self._hit:
            if not lives(process.pid):
                self.world.problems.append(("wrong", "the guardian ended at SIGTERM, before its supervisor"))


class StopGuardian(Part):
    """SIGSTOP to the guardian, and SIGCONT later."""

    named = "guardian"
    number = signal.SIGSTOP


class KillPrefork(Part):
    """SIGKILL to the process that forks the services; the kernel ends them with it."""

    named = "prefork_server"


class TerminatePrefork(KillPrefork):
    """SIGTERM to the process that forks the services."""

    number = signal.SIGTERM


class StopPrefork(KillPrefork):
    """SIGSTOP to the process that forks the services, and SIGCONT later."""

    number = signal.SIGSTOP
