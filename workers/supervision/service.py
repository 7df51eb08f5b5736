"""What is supervised, what is told about it, and what can go wrong."""

from __future__ import annotations

import graphlib
import re
import signal
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vectordb.errors import Permanent

Kind = Literal["started", "restarted", "ready", "died", "stuck", "stopping", "stopped", "killed", "leftover"]

FIRST_REST = 0.5  # seconds before the first restart; doubled each time
LONGEST_REST = 30.0


class StackRunning(Permanent):
    """Another supervisor holds this home."""


class StartFailed(Permanent):
    """A service ended, or did not become ready, while the stack was starting."""


class BadService(Permanent):
    """The services given cannot be started in any order."""


@dataclass(frozen=True)
class Service:
    """One process to keep running.

    ``ready`` says whether it does its work by now; ``healthy`` (optional) whether it still does. Both are called
    from other threads, may take their time, and an exception counts as ``False``. ``env`` is laid over the
    environment of the supervisor. A service starts when those named in ``after`` are ready and stops before
    them. Times are in seconds. ``stop_signal`` goes to the process itself only; when it has ended, or after
    ``stop_timeout``, its whole process group is killed. A service that is not ``critical`` is not waited for.
    """

    name: str
    command: tuple[str, ...]
    ready: Callable[[], bool]
    env: Mapping[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    ready_timeout: float = 60.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout: float = 3.0
    healthy: Callable[[], bool] | None = None
    unhealthy_after: float = 30.0
    critical: bool = True
    cwd: Path | None = None

    def __post_init__(self) -> None:
        """Raises ``BadService`` for a name that cannot be a file's."""
        if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", self.name):
            raise BadService(f"a service cannot be called {self.name!r}: its name is its log file's")


@dataclass(frozen=True)
class Event:
    """Something that happened to a service; its text is one line for a person."""

    kind: Kind
    service: str
    detail: str
    pid: int | None = None

    def __str__(self) -> str:
        return f"{self.service}: {self.detail}"


def rest_before_restart(failures: int) -> float:
    """Seconds to wait before the restart after that many failures in a row (1 or more)."""
    return float(min(LONGEST_REST, FIRST_REST * 2 ** min(failures - 1, 16)))


def check_order(services: Iterable[Service]) -> None:
    """Raises ``BadService`` when names repeat, one in ``after`` is unknown, or they wait for each other.

    Nor may a critical service start after one that nobody waits for.
    """
    known: dict[str, Service] = {}
    for service in services:
        if service.name in known:
            raise BadService(f"two services are called {service.name}")
        known[service.name] = service
    for service in known.values():
        for name in service.after:
            if name not in known:
                raise BadService(f"{service.name} starts after {name}, and there is no such service")
            if service.critical and not known[name].critical:
                raise BadService(f"{service.name} is critical and starts after {name}, which is not")
    try:
        graphlib.TopologicalSorter({s.name: s.after for s in known.values()}).prepare()
    except graphlib.CycleError as exc:
        raise BadService(f"these services wait for each other: {', '.join(exc.args[1])}") from exc


def levels_below(name: str, services: Mapping[str, Service]) -> int:
    """How many services must still stop, one after the other, once this one has."""
    return max((1 + levels_below(below, services) for below in services[name].after), default=0)
