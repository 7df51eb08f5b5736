"""The index by tag: one thing is one tag, implied labels rank below, and nothing is left of what is gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.message_parts import ObjectRef, Revision, Tag
from tasks.segmentation.results import Evidence as Named
from tasks.segmentation.results import RunLengths, Segment
from tests.contract import old_home
from tests.contract.partitioned import UNPARTITIONED
from tests.contract.stored_records import damage, rewrite
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.migrations import MIGRATIONS
from workers.lifecycle.object_numbers import member_of
from workers.lifecycle.record import Record, Segmentation
from workers.lifecycle.record_migrations import RemakeTagIndex
from workers.lifecycle.record_reader import Records
from workers.lifecycle.stored_record import read_rows
from workers.lifecycle.tag_entries import tag_entries
from workers.lifecycle.tag_index import TagCount
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.redis.migration import Migrator

REVISION = Revision("space", "captions@1")
LABELS = ["Egyptian cats", "egyptian-cat", "cat", "Cat", "golden retriever", "glasses", "moka pot", "猫"]
HEART = "\N{HEAVY BLACK HEART}"
ODD = [f"{HEART}\N{VARIATION SELECTOR-16}", HEART, "'", "---", "\x00", " ", "a\nb", "cat:x"]


def record(key: str, *labels: str, etag: str = "e", parts: Sequence[str] = ()) -> Record:
    segments = tuple(
        Segment(label=label, score=0.7, box=(0, 0, 1, 1), area=0.1, mask=RunLengths((1, 1), "0"),
                evidence=(Named(1, f"{label}, a kind of timber", 0.5),))
        for label in parts
    )  # fmt: skip
    return Record(
        bucket="inbox", key=key, etag=etag, state="done", space_id="space", captions_version="captions@1",
        tags=tuple(Tag(label, 0.3, 0.5, 0.5, (), 0.9 - place / 10) for place, label in enumerate(labels)),
        segmentation=Segmentation(method="dense", width=1, height=1, segments=segments) if parts else None,
    )  # fmt: skip


def finish(ledger: Ledger, *done: Record) -> None:
    for one in done:
        ref = ObjectRef(one.bucket, one.key, one.etag)
        rule = one.segmentation_method
        ledger.enter([Arrival(ref, verified=True, force=True, rule=rule, from_queue=True)], REVISION, 1.0, 60.0)
    assert all(ledger.finish(done, 101.0))


def found(records: Records, label: str, min_score: float = 0.0) -> list[tuple[str, str, bool, bool]]:
    places = records.tag_index.best(label, min_score, 100)
    assert records.tag_index.ranked(label, min_score) == places
    assert [records.tag_index.best(label, min_score, n) for n in (1, 2)] == [places[:1], places[:2]]
    hits = [hit for hit in records.tag_index.read(label, places) if hit is not None]
    return [(hit.record.key, hit.label, hit.implied, hit.segment) for hit in hits]


def listed(records: Records, prefix: str) -> list[TagCount]:
    forms = records.tag_index.listed(prefix, 10)
    assert records.tag_index.all_listed(prefix)[:10] == forms
    return records.tag_index.counted(forms)


def index(client: Any, keys: Keys) -> dict[bytes, Any]:
    """Everything under which records are found, with the rows of the records. Objects by their ids."""
    stored = {key: read_rows(client.get(key)) for key in client.scan_iter(f"{keys.prefix}record:*")}
    oids = {
        member_of(head.number): key.removeprefix(f"{keys.prefix}record:".encode())
        for key, (head, _) in stored.items()
    }
    held: dict[bytes, Any] = {
        key: sorted((oids.get(member, member), score) for member, score in client.zrange(key, 0, -1, withscores=True))
        for key in (*client.scan_iter(f"{keys.prefix}tag*"), keys.records.encode())
    }
    return held | {key: rows for key, (_, rows) in stored.items()}


def test_tags_come_first_then_segments_then_what_is_implied(ledger: Ledger, records: Records) -> None:
    finish(
        ledger, record("implied.png", "egyptian cat"), record("segment.png", "sofa", parts=["Cats"]),
        record("weak.png", "a", "b", "c", "d", "cat"), record("strong.png", "CAT"), record("other.png", "dog"),
    )  # fmt: skip
    assert found(records, "cats") == [
        ("strong.png", "CAT", False, False), ("weak.png", "cat", False, False), ("segment.png", "Cats", False, True),
        ("implied.png", "egyptian cat", True, False),
    ]  # fmt: skip
    (first,) = records.tag_index.read("cat", records.tag_index.best("cat", 0.0, 1))
    assert first is not None
    assert (first.confidence, first.score) == (0.9, 0.3)
    assert [key for key, *_ in found(records, "cat", 0.7)] == ["strong.png", "segment.png", "implied.png"]
    assert [key for key, *_ in found(records, "cat", 0.9)] == ["strong.png", "implied.png"]


def test_a_segment_implies_by_its_own_evidence(ledger: Ledger, records: Records) -> None:
    finish(ledger, record("a.png", "sofa", parts=["widget"]))
    assert found(records, "timber") == [("a.png", "widget", True, True)]


def test_a_tag_is_listed_once_in_its_most_common_spelling(ledger: Ledger, records: Records) -> None:
    finish(
        ledger, record("1.png", "Teddy-Bear"), record("2.png", "teddy bears"),
        record("3.png", "Teddy-Bear", "teddy bear"), record("4.png", "teddy_bear"),
    )  # fmt: skip
    rows = listed(records, "TEDDY")
    assert [(row.label, row.objects) for row in rows] == [("Teddy-Bear", 4)]
    assert records.tag_index.spelling("teddy  bear") == "Teddy-Bear"
    assert records.tag_index.spelling("Unknown Things") == "Unknown Things"
    rows = listed(records, "toys")
    assert [(row.label, row.objects, row.implied) for row in rows] == [("toy", 0, 4)]
    assert records.tag_index.common() == [("Teddy-Bear", 4)]
    ledger.remove(["inbox/1.png", "inbox/3.png"])
    assert {row.label for row in listed(records, "teddy")} == {"teddy_bear"}


def test_a_damaged_or_changed_record_is_no_hit(ledger: Ledger, records: Records, client: Client, keys: Keys) -> None:
    finish(ledger, record("a.png", "cat"), record("b.png", "cat"))
    damage(client, keys, "inbox/a.png")
    rewrite(client, keys, "inbox/b.png", record("b.png", "cat").json())
    assert records.tag_index.read("cat", records.tag_index.best("cat", 0.0, 10)) == [None, None]


@UNPARTITIONED  # an old home has one
def test_an_old_home_gets_the_lists_that_the_ledger_writes(
    ledger: Ledger, records: Records, client: Client, keys: Keys
) -> None:
    """From versions 1 and 2, with what an old fault left in the index; damaged records are listed."""
    done = [record(f"{n}.png", LABELS[n % 8], LABELS[n % 3], parts=["oak tree"] * (n % 2)) for n in range(450)]
    finish(ledger, *done)
    wanted = index(client, keys)
    for version in (1, 2):
        client.flushall()
        old_home.fill_version_2(client, keys.prefix, done, at=101.0)
        client.zadd(f"{keys.prefix}tag:stale", {"inbox/gone.png": 0.5})
        client.hset(keys.record("inbox/damaged.png"), mapping={"state": "done", "labels": '["cat"]', "body": "{"})
        client.zadd(keys.records, {"inbox/damaged.png": 1.0})
        client.set(keys.layout_version, version)
        assert Migrator(client, keys, MIGRATIONS).run().steps[-1].changed == len(done) + 1
        assert records.damaged.list() == ["inbox/damaged.png"]
        assert records.get(["inbox/damaged.png"]) == [None]
        assert len(list(records.latest())) == len(done)
        ledger.remove(["inbox/damaged.png"])
        assert index(client, keys) == wanted
        assert records.get([one.id for one in done]) == [
            msgspec.structs.replace(one, finished_at=101.0) for one in done
        ]
        assert list(records.keys("inbox")) == sorted(one.key for one in done)
        ledger.remove([one.id for one in done])
        assert set(client.keys()) == {keys.feed.encode(), keys.last_number.encode(), keys.layout_version.encode()}


@UNPARTITIONED  # `test_partitioned.py` compares partitions
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"), st.booleans(), st.lists(st.sampled_from([*LABELS, *ODD]), max_size=3),
            st.lists(st.sampled_from(LABELS), max_size=2),
        ),
        max_size=12,
    )
)  # fmt: skip
def test_whatever_happens_the_index_is_that_of_the_records(
    ledger: Ledger, client: Client, keys: Keys, happens: list[tuple[str, bool, list[str], list[str]]]
) -> None:
    """Records that are written, overwritten, tagged again and removed; nothing is left when all are gone."""
    client.flushall()
    for key, gone, labels, parts in happens:
        if gone:
            ledger.remove([f"inbox/{key}"])
        else:
            finish(ledger, record(key, *labels, etag=f"{labels}", parts=parts))
    held = index(client, keys)
    list(RemakeTagIndex().run(client, keys.prefix))
    assert index(client, keys) == held
    ledger.remove([f"inbox/{key}" for key in "abc"])
    assert set(client.keys()) <= {keys.feed.encode(), keys.last_number.encode(), keys.ledger_counts.encode()}


def test_the_rows_of_a_record_name_each_form_once() -> None:
    entries = tag_entries(record("a.png", "cat", "Cats", "egyptian cat", parts=["cat", "unknown"]))
    forms = [one.form for one in entries]
    assert len(forms) == len(set(forms))
    assert [(one.form, one.label, one.rank, one.by) for one in entries if one.form in {"cat", "unknown"}] == [
        ("cat", "cat", 4_900_000, "")
    ]
