"""What stands in the way of any process at this moment: for ``wildtag status``, the gateway, its page and metrics.

Redis tells of all processes. That Redis itself is away, and whatever the asking process has met, it knows by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from vectordb.errors import Transient
from workers.outages.board import Board, Outage, merged
from workers.outages.tracker import Away, OutageTracker
from workers.settings.dependencies import NEEDED, REDIS

Counts = Mapping[str, int]
ON_THE_WAY = ("inbox", "segments", "in_flight")  # of ``Records.counts``


class OutageReport:
    """``own``: the obstacles of this process. ``counts``: of objects by where they are."""

    def __init__(self, board: Board, own: OutageTracker, counts: Callable[[], Counts]) -> None:
        self._board = board
        self._counts = counts
        self.own = own

    def standing(self) -> list[Outage]:
        """What is away, since when and why, and how many objects wait for it; by name. Never raises ``Transient``."""
        found = {one.name: one for one in self.own.standing()}
        if REDIS in found:
            return list(found.values())
        try:
            noted, counts = self._board.read(), self._counts()
        except Transient as exc:
            self.own.begin(REDIS, str(exc))
            return self.own.standing()
        for one in noted:
            if one.name != REDIS:  # it has answered; who noted that has not had the time to say so
                found[one.name] = merged(found.get(one.name), one)
        waiting = sum(counts[where] for where in ON_THE_WAY)
        return [
            msgspec.structs.replace(one, waiting=waiting) if one.waiting is None and one.name in NEEDED else one
            for _, one in sorted(found.items())
        ]

    def common(self) -> str | None:
        """Why what every object needs is away for this process too; ``None`` where that is so for others alone.

        One of several machines may be cut off. It says so for as long as that lasts, and whoever believed it would
        wait with the objects of all. Where there is no probe, who says so is the only user of the service, and is
        believed. Raises ``StoreUnavailable``.
        """
        for one in (*self.own.standing(), *self._board.read()):
            if one.name in NEEDED and (
                not self.own.probed(one.name) or self.own.met(Away(one.name, one.reason)) is not None
            ):
                return one.reason
        return None

    def look(self, name: str) -> str | None:
        """Why a service cannot be reached, by asking it now; ``None`` where it answers. Gives up within seconds."""
        return self.own.look(name)
