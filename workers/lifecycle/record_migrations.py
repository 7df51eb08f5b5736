"""The steps from version 2 of the layout to 3: records become strings, and lists name objects by their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workers.lifecycle.object_numbers import PAGE as NUMBERED
from workers.lifecycle.object_numbers import member_of
from workers.lifecycle.record import STATES, DamagedRecord, decode
from workers.lifecycle.stored_record import (
    Head,
    head_of,
    packed,
    packed_body,
    read_record,
    rows_of,
    score_of,
    unreadable_body,
)
from workers.lifecycle.tag_entries import added, tag_entries
from workers.redis import scripts
from workers.redis.connection import text
from workers.redis.migration_steps import pages
from workers.redis.script_calls import call_together

FIELDS = ("etag", "sequence", "revision", "state", "segment", "requested", "body")


class PackRecords:
    """Make strings of the hashes of records, and give each object a number. A damaged record stays damaged.

    A record that is a string already is left alone, so it goes on where it was interrupted.
    """

    name = "record:*: packed"

    def left(self, client: Any, prefix: str) -> int:
        """The number of records that are hashes."""
        return sum(len(_of_type(client, page, b"hash")) for page in pages(client, f"{prefix}record:"))

    def run(self, client: Any, prefix: str) -> Iterator[int]:
        """Yields the number of records per batch."""
        for page in pages(client, f"{prefix}record:"):
            yield self._pack(client, prefix, _of_type(client, page, b"hash"))

    def _pack(self, client: Any, prefix: str, keys: Sequence[bytes]) -> int:
        if not keys:
            return 0
        oids = [key.removeprefix(f"{prefix}record:".encode()) for key in keys]
        pipe = client.pipeline(transaction=False)
        for key, oid in zip(keys, oids, strict=True):
            pipe.hmget(key, *FIELDS)
            pipe.zscore(f"{prefix}records", oid)
        answers = pipe.execute()
        last = client.incrby(f"{prefix}object-number", len(keys))
        # each record with its number: a migration that was killed has both or none
        changes = client.pipeline(transaction=True)
        for place, (key, oid) in enumerate(zip(keys, oids, strict=True)):
            fields = dict(zip(FIELDS, answers[2 * place], strict=True))
            number = last - place
            page, field = divmod(number, NUMBERED)
            changes.set(key, _stored(fields, number, answers[2 * place + 1] or 0.0))
            changes.hset(f"{prefix}numbered:{page}", str(field), oid)
        changes.execute()
        return len(keys)


class RemakeLists:
    """Make the lists of records anew from the records, and delete those of the states."""

    name = "records, objects: made anew from the records"

    def left(self, client: Any, prefix: str) -> int:
        """The number of records."""
        return len({key for page in pages(client, f"{prefix}record:") for key in page})

    def run(self, client: Any, prefix: str) -> Iterator[int]:
        """Yields the number of records per batch."""
        draft = f"{prefix}records:draft"
        client.unlink(draft)
        for page in pages(client, f"{prefix}record:"):
            keys = _of_type(client, page, b"string")
            pipe = client.pipeline(transaction=False)
            for key, value in zip(keys, client.mget(keys) if keys else (), strict=True):
                try:
                    head = head_of(value)
                except DamagedRecord:
                    continue
                pipe.zadd(draft, {member_of(head.number): score_of(head.state, head.at)})
                pipe.zadd(f"{prefix}objects", {key.removeprefix(f"{prefix}record:".encode()): 0})
            pipe.execute()
            yield len(keys)
        if client.exists(draft):
            client.rename(draft, f"{prefix}records")
        else:
            client.unlink(f"{prefix}records")
        client.unlink(*(f"{prefix}state:{state}" for state in STATES))


class RemakeTagIndex:
    """Delete the index by tag and make it anew from the records; a damaged record is listed as such.

    Where it was interrupted it begins again, with the same result.
    """

    name = "tag:*, tags: made anew from the records"

    def left(self, client: Any, prefix: str) -> int:
        """The number of records."""
        return RemakeLists().left(client, prefix)

    def run(self, client: Any, prefix: str) -> Iterator[int]:
        """Yields the number of records per batch."""
        for family in ("tag:", "tag-spellings:"):
            for page in pages(client, prefix + family):
                if page:
                    client.unlink(*page)
                yield 0
        client.unlink(f"{prefix}tags")
        script = client.register_script(scripts.source("records", "tag_index", "reindex"))
        done: set[bytes] = set()
        for page in pages(client, f"{prefix}record:"):
            keys = [key for key in dict.fromkeys(_of_type(client, page, b"string")) if key not in done]
            done.update(keys)  # a scan may name a key twice, and labels are counted
            yield self._index(client, prefix, keys, script)

    def _index(self, client: Any, prefix: str, keys: Sequence[bytes], script: Any) -> int:
        calls = []
        for key, value in zip(keys, client.mget(keys) if keys else (), strict=True):
            oid = key.removeprefix(f"{prefix}record:".encode())
            try:
                entries = tag_entries(read_record(text(oid), value))
            except DamagedRecord:
                client.sadd(f"{prefix}damaged", oid)
                continue
            calls.append(((key, f"{prefix}tags"), (prefix, value, added(entries))))
        call_together(client, script, calls)
        return len(keys)


def _of_type(client: Any, keys: Sequence[bytes], kind: bytes) -> list[bytes]:
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.type(key)
    return [key for key, one in zip(keys, pipe.execute(), strict=True) if one == kind]


def _stored(fields: Mapping[str, bytes | None], number: int, at: float) -> bytes:
    etag, sequence, revision, state, segment, requested = (text(fields[name] or b"") for name in FIELDS[:-1])
    body = fields["body"] or b""
    head = Head(etag, sequence, revision, state if state in STATES else "dead", segment, requested, number, at)
    try:
        record = decode(body)
    except DamagedRecord:
        return packed(head, unreadable_body(body))
    # versions before 2 have no revision field in records of some ages: the record itself says it
    if not head.revision:
        head = Head(
            etag, sequence, f"{record.space_id}/{record.captions_version}", head.state, segment, requested, number, at
        )
    return packed(head, packed_body(record, rows_of(record), at))
