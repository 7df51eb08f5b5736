"""Signals to the processes of the stack, its supervisor and its guardian included."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress

import psutil

from ops.bench.processes import SUPERVISOR
from ops.chaos.fault import Fault, send


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

    def begin(self) -> None:
        """Kill it, and wait until nothing of the stack is left."""
        self.victim = SUPERVISOR
        send(self.world.services()[SUPERVISOR][0], signal.SIGKILL)
        self.world.reap()

    def mend(self) -> None:
        """Start it again."""
        self.world.start()


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


class KillGuardian(Fault):
    """SIGKILL to the process that watches the supervisor."""

    def begin(self) -> None:
        """Kill it."""
        self.victim = "guardian"
        for process in self.world.guardians():
            send(process, signal.SIGKILL)
