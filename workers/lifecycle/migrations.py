"""The migrations of the Redis layout, and the step that makes the index by tag anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from workers.lifecycle.record import DamagedRecord, decode
from workers.lifecycle.tag_entries import as_arguments, tag_entries
from workers.redis import scripts
from workers.redis.migration import Migration
from workers.redis.migration_steps import (
    Delete,
    Rename,
    RenameFamily,
    RenameFields,
    RenameInFamily,
    pages,
)

PAGE = 200  # records; each is decoded


class RemakeTagIndex:
    """Delete the index by tag and make it anew from the records; a damaged record is listed as such.

    Where it was interrupted it begins again, with the same result.
    """

    name = "tag:*, tags: made anew from the records"

    def left(self, client: Any, prefix: str) -> int:
        """The number of records."""
        return int(client.zcard(f"{prefix}records"))

    def run(self, client: Any, prefix: str) -> Iterator[int]:
        """Yields the number of records per batch."""
        for family in ("tag:", "tag-spellings:"):
            for page in pages(client, prefix + family):
                if page:
                    client.unlink(*page)
                yield 0
        client.unlink(f"{prefix}tags")
        start = 0
        while oids := client.zrange(f"{prefix}records", start, start + PAGE - 1):
            yield self._index(client, prefix, oids)
            start += PAGE

    def _index(self, client: Any, prefix: str, oids: Sequence[bytes]) -> int:
        pipe = client.pipeline(transaction=False)
        for oid in oids:
            pipe.hget(f"{prefix}record:".encode() + oid, "body")
        script = client.register_script(scripts.source("tag_index", "reindex"))
        changes = client.pipeline(transaction=False)
        for oid, body in zip(oids, pipe.execute(), strict=True):
            if body is None:
                continue
            try:
                entries = tag_entries(decode(body))
            except DamagedRecord:
                entries = []
                changes.sadd(f"{prefix}damaged", oid)
            script(args=[prefix, oid, body, *as_arguments(entries)], client=changes)
        changes.execute()
        return len(oids)


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
    Migration(2, (RemakeTagIndex(),)),
)
"""In order of their versions, without a gap."""
