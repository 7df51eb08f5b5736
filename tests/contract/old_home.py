"""The keys of version 0 of the Redis layout, written by their literal names: every type of key, with content."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from tasks.message_parts import ObjectRef, Tag
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.object_numbers import PAGE, member_of
from workers.lifecycle.record import Record
from workers.lifecycle.stored_record import read_record, read_rows
from workers.redis.layout import VERSION

OIDS: list[str | bytes] = ["inbox/a.png", "inbox/some folder/b é.png", b"inbox/\xff\xfe.png", "inbox/wish:c.png"]
EVENT = msgspec.msgpack.encode(ObjectEvent("created", "inbox", "a.png"))
RECORD = Record(
    bucket="inbox", key="b.png", etag="e", state="done", space_id="space", captions_version="c@1",
    tags=(Tag("Egyptian cats", 0.5, 0.5, 0.5),),
).json()  # fmt: skip
RECORD_AT_1 = RECORD.replace(b'"finished_at":0.0', b'"finished_at":1.0')
CELERY = ("embedding", "unacked", "unacked_index", "_kombu.binding.embedding")

RENAMED = {
    "later": "inbox:low-priority",
    "segments": "segmentation-queue", "segments:forced": "segmentation-queue:forced",
    "drawn": "artifacts", "junk": "events:rejected", "heard": "events:recent", "sightings": "events:probes",
    "seen:minio-events": "redis-target:minio-events", "health": "heartbeats",
}  # fmt: skip
COUNTS = {
    "told": ("events:counts", {
        b"webhook:events": b"7", b"webhook:ignored:PutTagging": b"2", b"webhook:rejected": b"3",
        b"dispatcher:removals-unverified": b"1", b"dispatcher:repeated": b"4",
    }),
    "notify:counts": ("notify:counts", {b"delivered": b"5", b"retried": b"6", b"dead": b"1", b"lost": b"2"}),
}  # fmt: skip
"""Old names of hashes of counters → new name, and what they hold then."""

HASHES = (b"entry:",)
TAGS = (b"tag:", b"tags", b"tag-spellings:")
LISTS = (b"record:", b"records", b"objects", b"state:", b"numbered:", b"object-number")  # checked on their own
FIELDS = {b"asked": b"requested", b"handed": b"queued_at"}
Held = tuple[tuple[bytes, Any], bool]
"""The type of a key and what it holds; and whether it has a lifetime."""
READ: dict[bytes, Callable[[Any, bytes], Any]] = {
    b"string": lambda pipe, key: pipe.get(key),
    b"hash": lambda pipe, key: pipe.hgetall(key),
    b"set": lambda pipe, key: pipe.smembers(key),
    b"list": lambda pipe, key: pipe.lrange(key, 0, -1),
    b"zset": lambda pipe, key: pipe.zrange(key, 0, -1, withscores=True),
    b"stream": lambda pipe, key: pipe.xrange(key),
}


def fill(client: Any, prefix: str, *, at: float) -> None:
    """``at``: when the processes gave their last heartbeats, Unix seconds."""

    def key(name: str | bytes) -> bytes:
        return prefix.encode() + (name if isinstance(name, bytes) else name.encode())

    for stream in ("inbox", "later"):
        for _ in range(3):
            client.xadd(key(stream), {"event": EVENT})
        client.xgroup_create(key(stream), "dispatcher", id="0")
        client.xreadgroup("dispatcher", "me", {key(stream): ">"}, count=2)
    client.zadd(key("segments"), {"inbox/a.png": 1.5, "inbox/b.png": 2.5})
    client.sadd(key("segments:forced"), "inbox/b.png")
    client.hset(key("reconcile:inbox"), mapping={"prefix": "", "after": "a.png"})
    client.xadd(key("junk"), {"source": "webhook", "reason": "no JSON", "size": 3, "body": b"\xff\x00x"})
    client.hset(key("told"), mapping={
        "webhook:events": 7, "webhook:ignored:PutTagging": 2, "webhook:junk": 3, "dispatcher:removals unseen": 1,
        "dispatcher:repeated": 4,
    })  # fmt: skip
    client.zadd(key("heard"), {b"\x00\x01\xff": 3.0})
    client.expire(key("heard"), 80_000)
    client.hset(key("sources"), "sweep", b'{"state":"working","since":1.0,"at":2.0}')
    client.xadd(key("sightings"), {"source": "webhook", "oid": "inbox/wildtag-probe-1.png"})
    client.hset(key("catching-up"), mapping={"after": "a.png", "again": 1})
    client.hset(key("seen:minio-events"), "inbox/a.png", "etag")
    client.zadd(key("ledger"), {"inbox/a.png": at + 60})
    client.hset(key("entry:inbox/a.png"), mapping={
        "ref": msgspec.msgpack.encode(ObjectRef("inbox", "a.png", "e")), "etag": "e", "revision": "space/c@1",
        "sequence": "", "stage": "embedding", "attempts": 1, "accepted_at": at, "segment": "dense", "asked": 1,
        "handed": at,
    })  # fmt: skip
    client.sadd(key("segmenting"), "inbox/a.png")
    for oid in OIDS:
        client.set(key("wish:") + (oid if isinstance(oid, bytes) else oid.encode()), "dense", ex=600_000)
    client.sadd(key("drawn"), "inbox/a.png")
    client.hset(key("record:inbox/b.png"), mapping={
        "etag": "e", "state": "done", "labels": '["Egyptian cats"]', "body": RECORD, "segment": "", "asked": "",
    })  # fmt: skip
    for name in ("records", "objects", "state:done", "tag:Egyptian cats", "tags"):
        client.zadd(key(name), {"inbox/b.png" if name != "tags" else "Egyptian cats": 1.0})
    client.xadd(key("feed"), {"oid": "inbox/b.png", "state": "done", "body": RECORD})
    client.hset(key("notify:waiting"), "id", EVENT)
    client.zadd(key("notify:due"), {"id": 9.0})
    client.xadd(key("notify:dead"), {"delivery": EVENT})
    client.hset(key("notify:counts"), mapping={"delivered": 5, "again": 6, "dead": 1, "lost": 2})
    client.hset(key("health"), "dispatcher", at)
    client.hset(key("obstacles"), "host-1 store", msgspec.msgpack.encode({"at": at}))
    client.set(key("cache:words"), b"\x00\x01", ex=600_000)
    client.set(key("idempotency:1"), "{}", ex=600_000)
    client.sadd(key("batches"), "b1")
    client.hset(key("batch:b1"), mapping={"created_at": 1, "complete": 0})
    client.zadd(key("batch:b1:open"), {"inbox/a.png": 1})
    client.hset(key("batch:b1:counts"), "done", 1)
    client.zadd(key("batch:b1:failed"), {"inbox/x.png": 1})
    client.hset(key("api-keys"), "id", "{}")
    client.rpush(key("embedding"), b'{"body": "a message of Celery"}')  # its queue, and what is handed out
    client.hset(key("unacked"), "tag", b'["a message"]')
    client.zadd(key("unacked_index"), {"tag": 1.0})
    client.sadd(key("_kombu.binding.embedding"), "embedding\x06\x16\x06\x16embedding")


def fill_tagged(client: Any, prefix: str, files: Mapping[str, os.stat_result]) -> None:
    """Records of files of the bucket ``inbox``, by key, as version 0.1.0 wrote them: with the inode in the ETag."""
    for key, status in files.items():
        etag, oid = f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}", f"inbox/{key}"
        body = json.dumps({
            "bucket": "inbox", "key": key, "etag": etag, "state": "done",
            "tags": [{"label": "cat", "score": 0.5, "image_score": 0.5, "text_score": 0.5, "evidence": []}],
            "unknown": False, "evidence": [], "space_id": "space", "captions_version": "c@1",
            "timings_ms": {"total": 120.5}, "error": None, "segmentation": None, "version_id": None,
            "finished_at": 1_790_000_000.0,
        })  # fmt: skip
        client.hset(f"{prefix}record:{oid}", mapping={
            "etag": etag, "revision": "space/c@1", "sequence": f"{status.st_mtime_ns:032x}", "state": "done",
            "labels": '["cat"]', "body": body, "segment": "", "asked": "",
        })  # fmt: skip
        client.zadd(f"{prefix}records", {oid: 1_790_000_000.0})
        client.zadd(f"{prefix}objects", {oid: 0})
        client.zadd(f"{prefix}state:done", {oid: 1_790_000_000.0})
        client.zadd(f"{prefix}tag:cat", {oid: 0.5})
        client.zincrby(f"{prefix}tags", 1, "cat")
        client.xadd(f"{prefix}feed", {"oid": oid, "state": "done", "body": body})


def fill_version_2(client: Any, prefix: str, records: Sequence[Record], at: float) -> None:
    """Records as version 2 of the layout held them: hashes, and lists of ids. The index by tag is left out."""
    for record in records:
        client.hset(f"{prefix}record:{record.id}", mapping={
            "etag": record.etag, "revision": f"{record.space_id}/{record.captions_version}", "sequence": "0001",
            "state": record.state, "labels": "[]", "body": record.json(), "segment": record.segmentation_method,
            "requested": "",
        })  # fmt: skip
        client.zadd(f"{prefix}records", {record.id: at})
        client.zadd(f"{prefix}objects", {record.id: 0})
        client.zadd(f"{prefix}state:{record.state}", {record.id: at})
    client.set(f"{prefix}layout-version", 2)


def content(client: Any, prefix: str) -> dict[bytes, Held]:
    """By key, without the prefix. Not as ``DUMP``: an encoding may be another after a restart of Redis."""
    found = list(client.scan_iter(match=f"{prefix}*", count=5000))
    pipe = client.pipeline(transaction=False)
    for key in found:
        pipe.type(key)
    types = pipe.execute()
    for key, kind in zip(found, types, strict=True):
        READ[kind](pipe, key)
        pipe.pttl(key)
    held = pipe.execute()
    made = {
        key.removeprefix(prefix.encode()): ((kind, value), ttl > 0)
        for key, kind, value, ttl in zip(found, types, held[::2], held[1::2], strict=True)
    }
    for key, kind in zip(found, types, strict=True):
        if kind == b"stream":  # and what its groups have read and not acknowledged
            groups = [
                (one["name"], one["last-delivered-id"],
                 [entry["message_id"] for entry in client.xpending_range(key, one["name"], "-", "+", 100)])
                for one in client.xinfo_groups(key)
            ]  # fmt: skip
            (_, entries), ttl = made[key.removeprefix(prefix.encode())]
            made[key.removeprefix(prefix.encode())] = (kind, (entries, groups)), ttl
    return made


def expected(before: dict[bytes, Held]) -> dict[bytes, Held]:
    """The same content under today's names, without the hashes of ``COUNTS``, the index by tag and the version."""
    gone = {b"obstacles", *(name.encode() for name in COUNTS)}
    names = {old.encode(): new.encode() for old, new in RENAMED.items()}

    def renamed(key: bytes) -> bytes:
        if key.startswith(b"wish:"):
            return b"segmentation-request:" + key.removeprefix(b"wish:")
        return names.get(key, key)

    def with_fields(key: bytes, value: Held) -> Held:
        if not key.startswith(HASHES):
            return value
        (kind, fields), lasts = value
        return (kind, {FIELDS.get(name, name): one for name, one in fields.items()}), lasts

    return {
        renamed(key): with_fields(key, value)
        for key, value in before.items() if key not in gone and not key.startswith((*TAGS, *LISTS))
    }  # fmt: skip


def verify(client: Any, prefix: str, before: dict[bytes, Held]) -> None:
    """That the keys have the version of today and the content of ``before``, and the tag is found in its new form."""
    after = content(client, prefix)
    assert client.get(f"{prefix}layout-version") == str(VERSION).encode()
    tags = {key.decode(): after.pop(key)[0][1] for key in list(after) if key.startswith(TAGS)}
    head, rows = read_rows(client.get(f"{prefix}record:inbox/b.png"))
    member = member_of(head.number)
    assert tags["tag:egyptian cat"] == [(member, 4_500_000)]
    assert tags["tag:cat"] == [(member, 500_000)]
    assert tags["tag-spellings:egyptian cat"] == [(b"Egyptian cats", 1.0)]
    assert dict(tags["tags"]) == {
        **{name.removeprefix("tag:").encode(): 0.0 for name in tags if name.startswith("tag:")}, b"egyptian cat": 1.0
    }  # fmt: skip
    assert (head.etag, head.state, head.revision, head.at) == ("e", "done", "space/c@1", 1.0)
    assert rows[:2] == [("egyptian cat", "Egyptian cats"), ("domestic cat", "", "egyptian cat")]
    assert read_record("inbox/b.png", client.get(f"{prefix}record:inbox/b.png")).json() == RECORD_AT_1
    lists = {key: after.pop(key)[0][1] for key in list(after) if key.startswith(LISTS)}
    page, field = divmod(head.number, PAGE)
    assert lists == {
        b"record:inbox/b.png": client.get(f"{prefix}record:inbox/b.png"), b"records": [(member, 1.0)],
        b"objects": [(b"inbox/b.png", 0.0)], f"numbered:{page}".encode(): {str(field).encode(): b"inbox/b.png"},
        b"object-number": str(head.number).encode(),
    }  # fmt: skip
    del after[b"layout-version"]
    after.pop(b"_kombu.binding_deadlines", None)  # what kombu notes for itself when workers are pinged
    for name, counts in COUNTS.values():
        assert client.hgetall(f"{prefix}{name}") == counts
        del after[name.encode()]
    assert after == expected(before)
