"""MinIO's Redis target in both formats: all events arrive, wherever a process is killed, and no others."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.contract.own_redis import OwnRedis
from tests.eventually import eventually
from tests.unit.events.samples import BUCKET, access, record, value
from workers.embedded.stack import command
from workers.events.redis_target import PAGE, AccessList, NamespaceHash, WrongFormat
from workers.events.sink import Command, EventSink, ReceivedEvents
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import Inbox
from workers.redis.connection import Client, StoreUnavailable, connect
from workers.redis.heartbeats import Health
from workers.redis.keys import Keys
from workers.settings.settings import Settings

KEY = "minio-events"


class Killed(Exception):
    """In place of a kill."""


class Fragile(EventSink):
    """Is killed before or after it stores, once."""

    when: str | None = None

    def store(self, received: Sequence[ReceivedEvents], also: Sequence[Command] = ()) -> None:  # type: ignore[override]  # narrower
        when, self.when = self.when, None
        if when == "before":
            raise Killed
        super().store(received, also)
        if when == "after":
            raise Killed


@pytest.fixture
def event_sink(client: Client, keys: Keys) -> Fragile:
    return Fragile(client, keys)


@pytest.fixture(params=["same", "other"])
def target(request: pytest.FixtureRequest, client: Client, redis_url: str) -> Client:
    """The Redis that MinIO fills: ours, or another database, which stands for another server."""
    return client if request.param == "same" else connect(f"{redis_url}?db=1")


@pytest.fixture
def inbox(client: Client, keys: Keys) -> Inbox:
    made = Inbox(client, keys.inbox)
    made.prepare()
    return made


def inbox_events(inbox: Inbox) -> list[ObjectEvent]:
    read = inbox.read("me", 10_000, 1)
    inbox.done([entry for entry, _ in read])
    return [event for _, event in read]


def keys_of(events: list[ObjectEvent]) -> list[tuple[str, str]]:
    return [(event.kind, event.key) for event in events]


# -- access


@pytest.fixture
def listing(target: Client, event_sink: Fragile) -> AccessList:
    return AccessList(target, KEY, BUCKET, event_sink)


def test_every_entry_is_told_in_order(target: Client, listing: AccessList, inbox: Inbox) -> None:
    wanted = [f"{i} é+.jpg" for i in range(PAGE + 7)]
    target.rpush(KEY, *(access(record(key=key)) for key in wanted))
    assert [listing.step(), listing.step(), listing.step()] == [PAGE, 7, 0]
    assert [event.key for event in inbox_events(inbox)] == wanted
    assert target.llen(KEY) == 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_loses_no_entry(
    target: Client, listing: AccessList, event_sink: Fragile, inbox: Inbox, when: str
) -> None:
    target.rpush(KEY, *(access(record(key=key)) for key in "abc"))
    event_sink.when = when
    with pytest.raises(Killed):
        listing.step()
    assert target.llen(KEY) == 3
    target.rpush(KEY, access(record(key="d")))
    listing.step()
    events = [event.key for event in inbox_events(inbox)]
    assert set(events) == set("abcd")
    assert len(events) == (4 if when == "before" else 7)  # repeated once at most, which the ledger ignores
    assert target.llen(KEY) == 0


def test_two_readers_lose_nothing(target: Client, event_sink: Fragile, inbox: Inbox) -> None:
    """The second reads, stores and removes between the first one's storing and removing."""
    target.rpush(KEY, *(access(record(key=key)) for key in "aab"))
    second = AccessList(target, KEY, BUCKET, event_sink)

    class Slow(EventSink):
        def store(self, received: Any, also: Any = ()) -> None:
            super().store(received, also)
            second.step()
            target.rpush(KEY, access(record(key="c")))

    AccessList(target, KEY, BUCKET, Slow(event_sink._redis, event_sink._keys)).step()
    assert [second.step(), target.llen(KEY)] == [1, 0]
    assert set(keys_of(inbox_events(inbox))) == {("created", key) for key in "abc"}


def test_junk_is_set_aside_and_does_not_stand_in_the_way(
    target: Client, listing: AccessList, event_sink: Fragile, inbox: Inbox
) -> None:
    tagging = record("s3:ObjectCreated:PutTagging")
    target.rpush(KEY, b"no json", access(tagging), b"[" * 5000, access(record(key="good.jpg")), b"\xff" * 9000)
    assert listing.step() == 5
    assert keys_of(inbox_events(inbox)) == [("created", "good.jpg")]
    aside = event_sink.rejected()
    assert [a.rejected.body[:2] for a in aside] == [b"\xff\xff", b"[[", b"no"]
    assert [a.rejected.size for a in aside] == [9000, 5000, 7]
    assert len(aside[0].rejected.body) == 4096
    assert event_sink.counts() == {"redis:events": 1, "redis:ignored:PutTagging": 1, "redis:rejected": 3}


@pytest.mark.parametrize("make", ["access", "namespace"])
def test_the_other_format_is_explained(
    target: Client, event_sink: Fragile, client: Client, keys: Keys, make: str
) -> None:
    target.set(KEY, "something")
    reader = (
        AccessList(target, KEY, BUCKET, event_sink)
        if make == "access"
        else NamespaceHash(target, KEY, BUCKET, event_sink, client, keys)
    )
    with pytest.raises(WrongFormat, match="WILDTAG_REDIS_TARGET_FORMAT"):
        reader.step()


@pytest.fixture
def mortal() -> Iterator[OwnRedis]:
    made = OwnRedis()
    yield made
    made.close()


def test_a_redis_that_goes_away_is_waited_for(mortal: OwnRedis, event_sink: Fragile, inbox: Inbox) -> None:
    target = mortal.start()
    listing = AccessList(target, KEY, BUCKET, event_sink)
    target.rpush(KEY, access(record(key="a")))
    mortal.kill()
    with pytest.raises(StoreUnavailable):
        listing.step()
    mortal.start()
    assert listing.step() == 1
    assert keys_of(inbox_events(inbox)) == [("created", "a")]


# -- namespace


@pytest.fixture
def hashing(target: Client, event_sink: Fragile, client: Client, keys: Keys) -> NamespaceHash:
    return NamespaceHash(target, KEY, BUCKET, event_sink, client, keys)


def put(target: Client, key: str, name: str = "s3:ObjectCreated:Put", **of: object) -> None:
    target.hset(KEY, f"{BUCKET}/{key}", value(record(name, key, **of)))  # type: ignore[arg-type]  # bytes are fine


def test_the_hash_is_followed(target: Client, hashing: NamespaceHash, inbox: Inbox) -> None:
    for key in ("a", "b c+d", "é"):
        put(target, key)
    assert hashing.step() == 3
    assert sorted(keys_of(inbox_events(inbox))) == [("created", "a"), ("created", "b c+d"), ("created", "é")]
    assert hashing.step() == 0
    put(target, "a", eTag="another")
    target.hdel(KEY, f"{BUCKET}/b c+d")
    assert hashing.step() == 2
    assert sorted(keys_of(inbox_events(inbox))) == [("created", "a"), ("removed", "b c+d")]
    assert hashing.step() == 0
    put(target, "b c+d")
    hashing.step()
    assert keys_of(inbox_events(inbox)) == [("created", "b c+d")]


def test_tags_written_back_are_no_news_but_hide_none(target: Client, hashing: NamespaceHash, inbox: Inbox) -> None:
    put(target, "seen")
    hashing.step()
    inbox_events(inbox)
    put(target, "seen", "s3:ObjectCreated:PutTagging", sequencer="FF")
    put(target, "new", "s3:ObjectCreated:PutTagging")  # the news of its upload was overwritten between two looks
    hashing.step()
    assert keys_of(inbox_events(inbox)) == [("created", "new")]


def test_a_delete_marker_stays_in_the_hash(target: Client, hashing: NamespaceHash, inbox: Inbox) -> None:
    put(target, "a")
    hashing.step()
    put(target, "a", "s3:ObjectRemoved:DeleteMarkerCreated", versionId="v2")
    hashing.step()
    assert keys_of(inbox_events(inbox)) == [("created", "a"), ("removed", "a")]
    assert hashing.step() == 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_loses_no_field(
    target: Client, hashing: NamespaceHash, event_sink: Fragile, inbox: Inbox, when: str
) -> None:
    put(target, "a")
    hashing.step()
    inbox_events(inbox)
    target.hdel(KEY, f"{BUCKET}/a")
    put(target, "b")
    for _ in range(2):  # while it reports additions, and while it reports removals
        event_sink.when = when
        with pytest.raises(Killed):
            hashing.step()
        if when == "before":
            hashing.step()
            break
    hashing.step()
    assert sorted(keys_of(inbox_events(inbox))) == [("created", "b"), ("removed", "a")]


def test_many_fields_go_by_pages(target: Client, hashing: NamespaceHash, inbox: Inbox) -> None:
    target.hset(KEY, mapping={f"{BUCKET}/{i}".encode(): value(record(key=str(i))) for i in range(3 * PAGE)})
    assert hashing.step() == 3 * PAGE
    assert len(inbox_events(inbox)) == 3 * PAGE
    target.delete(KEY)
    assert hashing.step() == 3 * PAGE
    assert {event.kind for event in inbox_events(inbox)} == {"removed"}
    assert hashing.step() == 0


def test_junk_in_the_hash_is_set_aside_once(
    target: Client, hashing: NamespaceHash, event_sink: Fragile, inbox: Inbox
) -> None:
    target.hset(KEY, mapping={b"\xff/\xff": b"none", f"{BUCKET}/x".encode(): b"{}", b"other/x": b"[]"})
    hashing.step()
    hashing.step()
    assert len(event_sink.rejected()) == 3
    target.delete(KEY)
    hashing.step()
    assert keys_of(inbox_events(inbox)) == [("removed", "x")]


# -- the process


@pytest.mark.long
def test_a_process_that_is_killed_again_and_again_loses_nothing(mortal: OwnRedis, tmp_path: Path) -> None:
    client, keys = mortal.start(), Keys("test:")
    many = 5 * PAGE
    settings = Settings(home=tmp_path, redis_url=mortal.url, key_prefix="test:", bucket=BUCKET, redis_target_key=KEY)
    client.rpush(KEY, *(access(record(key=str(number))) for number in range(many)))
    left = many
    while left:
        process = subprocess.Popen(command("listen", "redis"), env=settings.process_environment())
        try:
            eventually(lambda left=left: client.llen(KEY) < left)  # type: ignore[misc]  # bound now
        finally:
            process.kill()
            process.wait(60)
        left = client.llen(KEY)
    inbox = Inbox(client, keys.inbox)
    inbox.prepare()
    assert {event.key for event in inbox_events(inbox)} == {str(number) for number in range(many)}


def test_a_process_stops_when_it_is_told_to(mortal: OwnRedis, tmp_path: Path) -> None:
    client = mortal.start()
    settings = Settings(home=tmp_path, redis_url=mortal.url, key_prefix="test:", bucket=BUCKET)
    process = subprocess.Popen(command("listen", "redis"), env=settings.process_environment())
    try:
        health = Health(client, Keys("test:"), time.time)
        eventually(lambda: "redis-target" in health.beats())
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
