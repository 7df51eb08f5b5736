"""A backup has everything, and a restore gives it back: under another prefix, after an interruption, or not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

import workers.backup.restoring as restoring_module
from tests.contract.backup.world import (
    differences,
    filled,
    one_of_each,
    put_back,
    restoring,
    save,
    values,
    wiring,
)  # fmt: skip
from tests.contract.own_cluster import OwnCluster
from tests.contract.redis.cluster_objects import REVISION, record, ref
from tests.contract.stored_records import damage
from workers.backup.form import BackupError
from workers.backup.writing import Progress
from workers.lifecycle.ledger import Arrival
from workers.lifecycle.migrations import MIGRATIONS
from workers.redis.encoders import ChosenEncoder
from workers.redis.layout import VERSION, OtherLayout
from workers.redis.migration import Migration
from workers.redis.migration_steps import Rename
from workers.redis.streams import create_group, read_group
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring

PARTITIONS = pytest.mark.parametrize("partitions", [1, 4])


class Killed(BaseException):
    """The process ends here."""


pytestmark = pytest.mark.usefixtures("client")  # each test has an empty Redis


def stopping_after(steps: int) -> Progress:
    """Ends the work at its n-th report."""
    left = iter(range(steps))

    def done(_: int) -> None:
        if next(left, None) is None:
            raise Killed

    return Progress(done=done)


@PARTITIONS
def test_everything_is_there_again_under_another_prefix(redis_url: str, tmp_path: Path, partitions: int) -> None:
    world = wiring(redis_url, tmp_path / "a", partitions=partitions)
    filled(world)
    assert one_of_each(world)
    before = values(world)
    steps: list[tuple[str, int]] = []
    made = save(world, tmp_path / "to", Progress(step=lambda what, total: steps.append((what, total))))
    assert steps == [("records", 23)]
    assert values(world) == before  # nothing was changed
    counts = made.manifest.counts
    assert (counts["records"], counts["in_progress"], counts["statements"], counts["api_keys"]) == (23, 6, 1, 1)

    other = wiring(redis_url, tmp_path / "b", "{other}:", partitions)
    done = put_back(other, made, tmp_path / "to")
    assert done.differences == []
    assert differences(before, values(other)) == []
    assert json.loads((tmp_path / "b" / "encoder.json").read_text())["encoder"] == "bundled"
    assert 0 < other.redis.pttl(f"{other.keys.prefix}idempotency:x1") <= 60_000
    other.layout.require()
    assert other.refill.since() is not None
    assert [one.key for one in other.records.get(["inbox/3.jpg"]) if one] == ["3.jpg"]
    assert sorted(other.records.tag_index.tagged("cat")) == sorted(world.records.tag_index.tagged("cat"))
    assert other.redis.exists(other.keys.data_id) == 0

    other.ledger.enter([Arrival(ref(900))], REVISION, 100.0, 160.0)  # and it goes on
    assert other.ledger.finish([record(ref(900), "cat")], 101.0) == [True]
    assert "inbox/900.jpg" in set(other.records.tag_index.tagged("cat"))


@PARTITIONS
def test_what_is_on_its_way_is_sent_again(redis_url: str, tmp_path: Path, partitions: int) -> None:
    world = wiring(redis_url, tmp_path / "a", partitions=partitions)
    filled(world)
    made = save(world, tmp_path / "to")
    other = wiring(redis_url, tmp_path / "b", "{other}:", partitions)
    put_back(other, made, tmp_path / "to")
    before, after = world.ledger_reader.state(), other.ledger_reader.state()
    assert (after.objects, after.since) == (before.objects, before.since) == (6, 1.0)  # also while they are not sent
    now = other.clock() + 1
    found = sorted(one.ref.key for one in other.ledger.overdue(now, now + 60))
    assert found == sorted(f"{n}.jpg" for n in range(0, 30, 5))


def test_an_object_that_ends_while_the_backup_is_made_is_not_tagged_again(redis_url: str, tmp_path: Path) -> None:
    world = wiring(redis_url, tmp_path / "a")
    world.layout.require()
    world.ledger.enter([Arrival(ref(n)) for n in range(3)], REVISION, 1.0, 60.0)
    made = _while_it_reads(world, tmp_path / "to")
    other = wiring(redis_url, tmp_path / "b", "{other}:")
    done = put_back(other, made, tmp_path / "to")
    assert done.finished_meanwhile == 1
    assert done.differences == []
    assert done.counts["in_progress"] == 2
    assert other.ledger.in_flight() == other.redis.zcard(other.keys.ledger_accepted) == 2


def test_what_another_encoder_has_prepared_goes_with_what_it_was_prepared_for(redis_url: str, tmp_path: Path) -> None:
    world = wiring(redis_url, tmp_path / "a")
    filled(world)
    made = save(world, tmp_path / "to")
    prepared = f"{world.keys.prefix}next:record:inbox/3.jpg"
    world.redis.set(prepared, b"with the number of an object that was another one before")
    put_back(world, made, tmp_path / "to", replace=True)
    assert not world.redis.exists(prepared)


def _while_it_reads(world: Wiring, to: Path) -> Any:
    """A backup during which an object is finished after the ledger was read."""
    from workers.backup.redis_rows import RedisRows  # noqa: PLC0415 -- to be changed for this test only

    class Between(RedisRows):
        def _objects(self, part: Any) -> Any:
            assert world.ledger.finish([record(ref(1), "cat")], 2.0) == [True]
            return super()._objects(part)

    import workers.embedded.backup_writing as module  # noqa: PLC0415 -- as above

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "RedisRows", Between)
        return save(world, to)


def test_receivers_of_the_feed_go_on_where_they_were(redis_url: str, tmp_path: Path) -> None:
    world = wiring(redis_url, tmp_path / "a")
    filled(world)
    feed = world.keys.feed
    create_group(world.redis, feed, "notifier")
    read = read_group(world.redis, feed, "notifier", "me", 5, None)
    world.redis.xack(feed, "notifier", read[0][0], read[1][0])  # the others were read and not finished
    made = save(world, tmp_path / "to")
    other = wiring(redis_url, tmp_path / "b", "{other}:")
    put_back(other, made, tmp_path / "to")
    again = read_group(other.redis, other.keys.feed, "notifier", "another", 100, None)
    assert [entry for entry, _ in again] == [entry for entry, _ in world.redis.xrange(feed) or ()][2:]


def test_each_delivery_to_a_webhook_has_a_time(redis_url: str, tmp_path: Path) -> None:
    world = wiring(redis_url, tmp_path / "a")
    filled(world)
    for receiver in ("", ":mine"):
        begin = f"{world.keys.prefix}notify"
        world.redis.hset(f"{begin}:waiting{receiver}", mapping={"a": b"12345", "b": b"123"})
        world.redis.zadd(f"{begin}:due{receiver}", {"a": 77.5})  # the other one was taken while it was read
        world.redis.hset(f"{begin}:counts{receiver}", mapping={"bytes": 99, "delivered": 5, "held_until": "7.5"})
    world.redis.hset(world.keys.event_counts, "upload:events", 7)
    made = save(world, tmp_path / "to")
    other = wiring(redis_url, tmp_path / "b", "{other}:")
    put_back(other, made, tmp_path / "to")
    for receiver in ("", ":mine"):
        begin = f"{other.keys.prefix}notify"
        assert other.redis.zscore(f"{begin}:due{receiver}", "a") == 77.5
        assert other.redis.zscore(f"{begin}:due{receiver}", "b") == pytest.approx(other.clock(), abs=20)
        assert other.redis.hgetall(f"{begin}:counts{receiver}") == {b"bytes": b"8", b"held_until": b"7.5"}
    assert not other.redis.exists(other.keys.event_counts)  # counters begin at 0: Prometheus knows a reset by that


def test_a_damaged_record_is_restored_as_such(redis_url: str, tmp_path: Path) -> None:
    world = wiring(redis_url, tmp_path / "a")
    filled(world)
    damage(world.redis, world.keys, "inbox/2.jpg")
    world.redis.set(world.keys.record("inbox/3.jpg"), b"x")
    made = save(world, tmp_path / "to")
    other = wiring(redis_url, tmp_path / "b", "{other}:")
    assert put_back(other, made, tmp_path / "to").differences == []
    assert other.redis.smembers(other.keys.damaged) == {b"inbox/2.jpg", b"inbox/3.jpg"}


@PARTITIONS
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_a_restore_that_is_killed_goes_on_and_nothing_starts_meanwhile(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, partitions: int, steps: int
) -> None:
    monkeypatch.setattr("workers.backup.writing.ROWS_BYTES", 700)  # several files
    world = wiring(redis_url, tmp_path / "a", partitions=partitions)
    filled(world)
    before = values(world)
    made = save(world, tmp_path / "to")
    assert len(made.manifest.files) > 5
    other = wiring(redis_url, tmp_path / "b", "{other}:", partitions)
    with pytest.raises(Killed):
        put_back(other, made, tmp_path / "to", stopping_after(len(made.manifest.files) + steps))
    assert restoring(other)
    with pytest.raises(OtherLayout, match="are only a part of the backup wildtag-"):
        other.layout.require()
    with pytest.raises(OtherLayout, match="are only a part"):
        save(other, tmp_path / "again")
    put_back(other, made, tmp_path / "to")
    assert differences(before, values(other)) == []
    other.layout.require()


def test_partitions_of_a_cluster(cluster: OwnCluster, redis_url: str, tmp_path: Path) -> None:
    more: dict[str, Any] = {"broker_url": redis_url, "partitions": 4}
    world = wiring(cluster.url, tmp_path / "a", "{from}:", **more)
    filled(world)
    before = values(world)
    made = save(world, tmp_path / "to")
    other = wiring(cluster.url, tmp_path / "b", "{to}:", **more)
    assert put_back(other, made, tmp_path / "to").differences == []
    assert differences(before, values(other)) == []
    put_back(other, made, tmp_path / "to", replace=True)
    assert differences(before, values(other)) == []


@PARTITIONS
def test_a_backup_of_an_older_layout_is_migrated(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, partitions: int
) -> None:
    world = wiring(redis_url, tmp_path / "a", partitions=partitions)
    filled(world)
    world.redis.set(world.keys.loss, b"x")
    made = save(world, tmp_path / "to")
    monkeypatch.setattr(restoring_module, "VERSION", VERSION + 1)
    later = Migration(VERSION + 1, (Rename("loss", "loss-of-later"),))
    monkeypatch.setattr(restoring_module, "MIGRATIONS", (*MIGRATIONS, later))
    other = wiring(redis_url, tmp_path / "b", "{other}:", partitions)
    assert put_back(other, made, tmp_path / "to").differences == []
    assert other.redis.get("{other}:loss-of-later") == b"x"
    assert other.layout.recorded() == str(VERSION + 1)
    assert sorted(other.records.tag_index.tagged("cat")) == sorted(world.records.tag_index.tagged("cat"))
    assert other.records.tag_index.common() == world.records.tag_index.common()


def test_a_backup_of_a_newer_layout_is_refused(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = wiring(redis_url, tmp_path / "a")
    filled(world)
    made = save(world, tmp_path / "to")
    monkeypatch.setattr(restoring_module, "VERSION", VERSION - 1)
    with pytest.raises(BackupError, match=f"has layout version {VERSION}, and this wildtag knows {VERSION - 1} at"):
        put_back(wiring(redis_url, tmp_path / "b", "{other}:"), made, tmp_path / "to")


def test_the_home_knows_the_encoder_of_the_backup_that_was_restored_last(redis_url: str, tmp_path: Path) -> None:
    """Else a stack tags with the encoder of after the switch, and searches the records of before it."""
    world = wiring(redis_url, tmp_path / "a")
    filled(world)
    redis: Any = world.redis
    redis.delete(world.keys.encoder)
    before = save(world, tmp_path / "before")
    redis.set(world.keys.encoder, msgspec.json.encode(ChosenEncoder("new/one", "auto", "n", "o", 1.0, ("bundled",))))
    after = save(world, tmp_path / "after")
    home = tmp_path / "b"
    other = wiring(redis_url, home, "{other}:")
    put_back(other, after, tmp_path / "after")
    assert Settings(home=home).encoder == "new/one"
    put_back(other, before, tmp_path / "before", replace=True)
    assert Settings(home=home).encoder == "bundled"
    assert other.encoders.in_use() is None
