"""Current outages of all processes, for ``wildtag status``, the gateway, its page and metrics.

Redis holds the outages of all processes. The calling process adds those it has detected itself, including that of
Redis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from vectordb.errors import Transient
from workers.outages.board import Outage, OutageBoard, merged
from workers.outages.tracker import Away, OutageTracker
from workers.settings.dependencies import NEEDED, REDIS

Counts = Mapping[str, int]
ON_THE_WAY = ("inbox", "segments", "in_flight")  # keys of ``Records.counts``


class OutageReport:
    """``own``: the outages of this process. ``counts``: number of objects by state."""

    def __init__(self, board: OutageBoard, own: OutageTracker, counts: Callable[[], Counts]) -> None:
        self._board = board
        self._counts = counts
        self.own = own

    def active(self) -> list[Outage]:
        """Unavailable services by name: since when, why, and how many objects wait. Never raises ``Transient``."""
        found = {one.name: one for one in self.own.active()}
        if REDIS in found:
            return list(found.values())
        try:
            noted = self._board.read()
        except Transient as exc:
            self.own.begin(REDIS, str(exc))
            return self.own.active()
        waiting: int | None = None
        try:
            counts = self._counts()
            waiting = sum(counts[where] for where in ON_THE_WAY)
        except Transient as exc:  # of a partition, perhaps: then the number of all is not known
            self.own.begin(exc.service or REDIS, str(exc))
            found = {one.name: one for one in self.own.active()}
            if REDIS in found:
                return list(found.values())
        for one in noted:
            # Redis has just answered; the process that reported it has not cleared its note yet
            if one.name != REDIS:
                found[one.name] = merged(found.get(one.name), one)
        return [
            msgspec.structs.replace(one, waiting=waiting) if one.waiting is None and one.name in NEEDED else one
            for _, one in sorted(found.items())
        ]

    def common(self, *but: str) -> str | None:
        """Why a service that every object needs is unavailable here too; ``None`` if it is so only for others.

        If one of several machines is disconnected, it reports an outage of everything. Without this check, the
        objects of all machines would wait. A service without a probe has only one user, whose report is accepted.
        ``but``: services that do not count. Raises ``StoreUnavailable``.
        """
        for one in (*self.own.active(), *self._board.read()):
            if one.name in NEEDED.difference(but) and (
                not self.own.probed(one.name) or self.own.register(Away(one.name, one.reason)) is not None
            ):
                return one.reason
        return None

    def look(self, name: str) -> str | None:
        """Probe a service now. Returns why it is unavailable, ``None`` if it answers. Gives up within seconds."""
        return self.own.look(name)
