"""The migrations of the Redis layout."""

from __future__ import annotations

from collections.abc import Sequence

from workers.lifecycle.record_migrations import PackRecords, RemakeLists, RemakeTagIndex
from workers.redis.migration import Migration
from workers.redis.migration_steps import (
    Delete,
    Rename,
    RenameFamily,
    RenameFields,
    RenameInFamily,
)

MIGRATIONS: Sequence[Migration] = (
    Migration(
        1,
        (
            Rename("later", "inbox:low-priority"),
            Rename("segments", "segmentation-queue"),
            Rename("segments:forced", "segmentation-queue:forced"),
            RenameFamily("wish:", "segmentation-request:"),
            RenameInFamily("entry:", {"asked": "requested", "handed": "queued_at"}),
            RenameInFamily("record:", {"asked": "requested"}),
            Rename("drawn", "artifacts"),
            Rename("junk", "events:rejected"),
            Rename("told", "events:counts"),
            RenameFields(
                "events:counts",
                {"dispatcher:removals unseen": "dispatcher:removals-unverified"},
                {"junk": "rejected"},
            ),
            Rename("heard", "events:recent"),
            Rename("sightings", "events:probes"),
            RenameFamily("seen:", "redis-target:"),
            RenameFields("notify:counts", {"again": "retried"}),
            Rename("health", "heartbeats", replace=True),
            Delete("obstacles"),
        ),
    ),
    Migration(2, ()),  # made the index by tag anew, as version 3 does
    Migration(3, (PackRecords(), RemakeLists(), RemakeTagIndex())),
)
"""In order of their versions, without a gap."""
