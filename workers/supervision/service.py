"""Supervised services, their events and errors."""

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
    """A service ended, or did not become ready, during startup."""


class BadService(Permanent):
    """The definitions of the services are invalid."""


@dataclass(frozen=True)
class Service:
    """One process to keep running.

    ``ready`` returns whether the service has become ready; ``healthy`` (optional) whether it still works. Both are
    called from other threads and may block; an exception counts as ``False``. ``env`` extends the part of the
    supervisor's environment that every process may have (``ambient``). A service starts when those named in ``after``
    are ready and stops before them. Times are in seconds.
    ``stop_signal`` is sent to the process only; when it has ended, or after ``stop_timeout``, its whole process group
    is killed. Startup does not wait for a service that is not ``critical``. ``lines`` turns each line that it writes
    into that of its log; ``None`` drops it. ``prepare`` is called before each start, in the supervisor's loop.
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
    lines: Callable[[str], str | None] | None = None
    prepare: Callable[[], object] = lambda: None

    def __post_init__(self) -> None:
        """Raises ``BadService`` for a name that is not a valid file name."""
        if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", self.name):
            raise BadService(
                f"the service name {self.name!r} is not valid: it must be usable as the name of its log file"
            )


@dataclass(frozen=True)
class Event:
    """An event of a service; its text is one line for the user."""

    kind: Kind
    service: str
    detail: str
    pid: int | None = None

    def __str__(self) -> str:
        return f"{self.service}: {self.detail}"


def restart_delay(failures: int) -> float:
    """Seconds to wait before the restart after this number of consecutive failures (1 or more)."""
    return float(min(LONGEST_REST, FIRST_REST * 2 ** min(failures - 1, 16)))


def check_order(services: Iterable[Service]) -> None:
    """Raises ``BadService`` for duplicate names, unknown names in ``after``, or circular dependencies.

    Nor may a critical service start after one that is not critical.
    """
    known: dict[str, Service] = {}
    for service in services:
        if service.name in known:
            raise BadService(f"there are two services with the name {service.name}")
        known[service.name] = service
    for service in known.values():
        for name in service.after:
            if name not in known:
                raise BadService(f"{service.name} starts after {name}, but there is no such service")
            if service.critical and not known[name].critical:
                raise BadService(f"{service.name} is critical but starts after {name}, which is not")
    try:
        graphlib.TopologicalSorter({s.name: s.after for s in known.values()}).prepare()
    except graphlib.CycleError as exc:
        raise BadService(f"these services wait for each other: {', '.join(exc.args[1])}") from exc


def stop_share(name: str, left: float, services: Mapping[str, Service]) -> float:
    """The seconds that this service may take to stop if all must have stopped in ``left`` seconds.

    The services that stop after it, one after the other, get what they need in proportion to their ``stop_timeout``.
    """

    def needed(one: str) -> float:
        return services[one].stop_timeout + max(map(needed, services[one].after), default=0.0)

    wanted = services[name].stop_timeout
    return min(wanted, left * wanted / needed(name)) if wanted else 0.0
