"""The names of the keys of events: the inboxes, and what is known of events that came.

They are part of the layout in ``workers.redis.keys``, which documents them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EventKeys:
    """The names under one prefix."""

    prefix: str

    @property
    def inbox(self) -> str:
        return f"{self.prefix}inbox"

    @property
    def low_priority_inbox(self) -> str:
        return f"{self.prefix}inbox:low-priority"

    @property
    def low_priority_once(self) -> str:
        return f"{self.prefix}inbox:low-priority:once"

    @property
    def retag_marks(self) -> str:
        return f"{self.prefix}retag-marks"

    def forgotten(self, oid: str) -> str:
        return f"{self.prefix}forgotten:{oid}"

    @property
    def rejected_events(self) -> str:
        return f"{self.prefix}events:rejected"

    @property
    def event_counts(self) -> str:
        return f"{self.prefix}events:counts"

    @property
    def recent_events(self) -> str:
        return f"{self.prefix}events:recent"

    @property
    def event_probes(self) -> str:
        return f"{self.prefix}events:probes"

    def redis_target(self, key: str) -> str:
        return f"{self.prefix}redis-target:{key}"
