"""Writes tags back: as object tags within S3's rules, or as a JSON file under the output prefix.

Reads the feed with a consumer group, so a restarted writer resumes where it stopped. The feed has a limited length:
if entries were trimmed before they were read, all records are written once. Write-back never causes tagging: tagging
events are ignored, and the output prefix is excluded.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Literal

import msgspec
import structlog

from tasks.message_parts import Tag, place_of
from vectordb.errors import Permanent, Transient
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import Records
from workers.lifecycle.record_view import public_json
from workers.outages.tracker import OutageTracker
from workers.redis.connection import Client, StoreUnavailable, raw, text, translated
from workers.redis.keys import Keys
from workers.redis.streams import (
    Leftovers,
    claim_idle,
    create_group,
    drop_forgotten,
    forgotten,
    read_again,
    read_group,
)
from workers.settings.dependencies import REDIS, STORE
from workers.stores.store import ObjectStore, ObjectTags

log = structlog.get_logger()

GROUP = "writer"
GAPS = "writer:gaps"
PAGE = 100  # feed entries, or records, at a time
OURS = "wildtag."  # prefix of wildtag's object tags; all others belong to other people
MOST = 10  # object tags per object
LONGEST = 256  # characters of a value
_FORBIDDEN = re.compile(r"[^a-zA-Z0-9+\-._:/@ =]")

WriteBackMode = Literal["off", "tags", "sidecar"]
"""``tags``: object tags; ``sidecar``: a JSON file for every image."""


class TagsUnsupported(Permanent):
    """The store does not support object tags."""


def with_ours(theirs: Mapping[str, str], tags: Sequence[Tag]) -> dict[str, str]:
    """Combine the object tags of others with as many of ours as the limit allows; ``wildtag.1`` is the best tag.

    Characters that S3 does not allow become a space; a label without allowed characters is skipped.
    """
    kept = {key: value for key, value in theirs.items() if not key.startswith(OURS)}
    labels = [label for tag in tags if (label := " ".join(_FORBIDDEN.sub(" ", tag.label).split())[:LONGEST])]
    free = max(0, MOST - len(kept))
    return kept | {f"{OURS}{place}": label for place, label in enumerate(labels[:free], 1)}


def sidecar(record: Record) -> bytes:
    """The record as indented JSON."""
    return msgspec.json.format(public_json(record), indent=2) + b"\n"


class Writer:
    """Writes the results of feed entries in calls of ``step``. Raises ``StoreUnavailable``, and loses nothing."""

    def __init__(
        self,
        store: ObjectStore,
        records: Records,
        client: Client,
        keys: Keys,
        bucket: str,
        mode: WriteBackMode,
        output_prefix: str,
        consumer: str,
        outage_tracker: OutageTracker | None = None,
    ) -> None:
        self._outage_tracker = outage_tracker or OutageTracker(probes={STORE: lambda: None})
        self._leftovers = Leftovers()
        self._store = store
        self._records = records
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._feed = keys.feed
        self._event_counts = keys.event_counts
        self._catching_up = keys.catching_up
        self._bucket = bucket
        self._mode = mode
        self._output = output_prefix
        self._consumer = consumer

    def prepare(self) -> None:
        """Create the consumer group, starting with the oldest entry of the feed: writing twice changes nothing."""
        create_group(self._redis, self._feed, GROUP)

    def step(self, block_ms: int = 1000) -> int:
        """Write new entries, and after a gap one page of all records; returns the number of processed entries.

        Entries that fail because the store is unavailable are tried again once it is available.
        """
        if self._outage_tracker.is_active(STORE, probed=True) and not self._outage_tracker.wait(
            STORE, block_ms / 1000
        ):
            return 0
        with self._leftovers.interrupted_by_faults():
            return self._resume() + self._step(block_ms)

    def _step(self, block_ms: int) -> int:
        again = self._catch_up()
        if forgotten(self._redis, self._feed, GROUP):
            self._gap("the feed was trimmed before its entries were read")
        return self._process(
            read_group(self._redis, self._feed, GROUP, self._consumer, PAGE, None if again else block_ms)
        )

    def _resume(self) -> int:
        """Process a page of entries that this writer has read and not finished."""
        if not self._leftovers.due():
            return 0
        entries = read_again(self._redis, self._feed, GROUP, self._consumer, PAGE, self._leftovers.after)
        done = self._process(entries)
        full = len(entries) == PAGE and not self._outage_tracker.is_active(STORE)
        self._leftovers.looked(text(entries[-1][0]) if full else None, left=done < len(entries))
        return done

    def recover(self, idle_ms: int) -> int:
        """Process entries that any writer read at least ``idle_ms`` ago and did not finish.

        Raises ``Away``, and claims nothing, while a service is known to be unavailable.
        """
        self._outage_tracker.refuse(REDIS, STORE)
        with self._leftovers.interrupted_by_faults():
            if dropped := drop_forgotten(self._redis, self._feed, GROUP):
                self._gap(f"the feed was trimmed: {dropped:,} entries were read but not yet written")
            return self._process(claim_idle(self._redis, self._feed, GROUP, self._consumer, idle_ms, PAGE))

    def _process(self, entries: Sequence[tuple[Any, Mapping[bytes, bytes] | None]]) -> int:
        done = 0
        for entry, fields in entries:
            if fields is None:
                self._gap("the feed was trimmed: an entry was not yet written")
            elif not self._written(text(fields[b"oid"])):
                if self._outage_tracker.is_active(STORE):
                    break  # the other entries would fail in the same way
                continue
            with translated():
                self._redis.xack(self._feed, GROUP, entry)
            done += 1
        if done < len(entries):
            self._leftovers.put_off(away=self._outage_tracker.is_active(STORE))
        return done

    def _gap(self, reason: str) -> None:
        """Schedule a pass over all records: now, or after the current pass."""
        with translated():
            new = self._redis.hsetnx(self._catching_up, "after", b"") or self._redis.hset(
                self._catching_up, "again", 1
            )
            if new:
                self._redis.hincrby(self._event_counts, GAPS, 1)
                log.warning("gap in the feed", reason=reason, then="all records are written again")

    def _catch_up(self) -> bool:
        """Write a page of the records after a gap. Returns whether to continue at once."""
        with translated():
            after, again = self._redis.hmget(self._catching_up, "after", "again")
        if after is None and again is None:
            return False
        last, done = text(after or b""), 0
        for key in islice(self._records.keys(self._bucket, after=last), PAGE):
            if not self._written(f"{self._bucket}/{key}"):
                break  # the store is unavailable
            last, done = key, done + 1
        else:
            if done < PAGE:
                self._caught_up()
                return False
        with translated():
            self._redis.hset(self._catching_up, "after", raw(last))
        return done == PAGE

    def _caught_up(self) -> None:
        """End a pass; another gap starts the next one."""

        def note(pipe: Any) -> None:
            again = pipe.hexists(self._catching_up, "again")
            pipe.multi()
            pipe.delete(self._catching_up)
            if again:
                pipe.hset(self._catching_up, "after", b"")

        with translated():
            self._redis.transaction(note, self._catching_up)
        log.info("all records written", bucket=self._bucket)

    def _written(self, oid: str) -> bool:
        """Write an object; returns whether it is finished, which it is not while its store is unavailable."""
        try:
            self._write(oid)
        except StoreUnavailable:
            raise
        except Transient as exc:
            if self._outage_tracker.register(exc) is None:
                log.warning("write-back postponed", object=oid, reason=str(exc))
            return False
        except Permanent as exc:  # gone, forbidden, no such bucket: the record has the result anyway
            log.warning("write-back failed", object=oid, reason=str(exc))
        return True

    def _write(self, oid: str) -> None:
        """Write the current record: the feed entry may be outdated."""
        (record,) = self._records.get([oid])
        if record is not None and record.state == "done":
            self._record(record)
        elif self._mode == "sidecar" and not self._records.known([oid])[0][0]:  # it may be there and damaged
            bucket, key = place_of(oid)
            self._store.remove(bucket, f"{self._output}{key}.json")

    def _record(self, record: Record) -> None:
        if self._mode == "sidecar":
            file = io.BytesIO(sidecar(record))
            self._store.put(record.bucket, f"{self._output}{record.key}.json", file, "application/json")
            return
        info = self._store.stat(record.bucket, record.key)
        if info is None or info.ref.etag != record.etag:
            return  # another version exists by now and will get its own record
        store = _tagged(self._store)
        theirs = store.tags(record.bucket, record.key)
        wanted = with_ours(theirs, record.tags)
        if wanted != theirs:
            store.set_tags(record.bucket, record.key, wanted)


def _tagged(store: Any) -> ObjectTags:
    if not hasattr(store, "set_tags"):
        raise TagsUnsupported(
            "this store has no object tags; to write JSON files instead, set WILDTAG_WRITE_BACK=sidecar"
        )
    tagged: ObjectTags = store
    return tagged
