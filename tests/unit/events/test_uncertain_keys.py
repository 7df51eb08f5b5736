"""Keys in two readings, and what is read of bodies that are bad in parts."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.unit.events import other_servers as other
from tests.unit.events.samples import BUCKET, body, only, record
from workers.events.notification import (
    LARGEST,
    webhook,
)


@pytest.mark.parametrize(
    ("written", "keys"),
    [
        ("dog.jpg", ["dog.jpg"]),
        ("a+b.jpg", ["a b.jpg", "a+b.jpg"]),
        ("%41.jpg", ["A.jpg", "%41.jpg"]),
        ("caf%c3%a9.jpg", ["café.jpg", "caf%c3%a9.jpg"]),
        ("a%2Fb.jpg", ["a/b.jpg", "a%2Fb.jpg"]),
        ("100%.jpg", ["100%.jpg"]),
        ("100% a+b.jpg", ["100% a+b.jpg", "100% a b.jpg"]),  # a blank: it is not encoded
        ("100%+a.jpg", ["100%+a.jpg", "100% a.jpg"]),  # nor is a percent sign that begins no byte
        ("%ff.jpg", ["%ff.jpg"]),  # no UTF-8 if it were encoded
        ("/dog.jpg", ["/dog.jpg", "dog.jpg"]),
        ("é.jpg", ["é.jpg"]),
        ("e\u0301.jpg", ["e\u0301.jpg"]),
        ("日本/犬.jpg", ["日本/犬.jpg"]),
        ("x" * 1024, ["x" * 1024]),
        ("%C3%A9" * 512, ["é" * 512]),
    ],
)
def test_the_keys_that_a_record_may_mean(written: str, keys: list[str]) -> None:
    raw = record()
    raw["s3"]["object"]["key"] = written
    event = only(webhook(body(raw), BUCKET))
    assert [event.key, *event.other_keys] == keys


@pytest.mark.parametrize(
    ("told", "written", "keys"),
    [
        ("a b.jpg", "a+b.jpg", ["a b.jpg"]),
        ("walks/dog.jpg", "walks%2Fdog.jpg", ["walks/dog.jpg"]),
        ("a+b.jpg", "a+b.jpg", ["a b.jpg", "a+b.jpg"]),  # RustFS writes blanks so, beside the records
        ("%41.jpg", "%41.jpg", ["%41.jpg", "A.jpg"]),
        ("something.jpg", "a+b.jpg", ["a b.jpg", "a+b.jpg"]),
    ],
)
def test_the_key_beside_the_records_confirms_a_reading(told: str, written: str, keys: list[str]) -> None:
    raw = record()
    raw["s3"]["object"]["key"] = written
    event = only(webhook(other.dump({"Key": f"{BUCKET}/{told}", "Records": [raw]}), BUCKET))
    assert [event.key, *event.other_keys] == keys
    both = webhook(other.dump({"Key": f"{BUCKET}/{told}", "Records": [raw, record(key="x")]}), BUCKET)
    assert len(both.events) == 2


def test_good_and_bad_records_in_one_body() -> None:
    bad: list[Any] = [None, 5, "x", [], {}, record(bucket="theirs"), record("s3:ObjectAccessed:Get"), {"s3": {}}]
    mixed = [part for one in bad for part in (record(key="a.jpg"), one)]
    notification = webhook(other.dump({"Records": mixed}), BUCKET)
    assert [event.key for event in notification.events] == ["a.jpg"] * 8
    assert sorted(notification.ignored) == ["ObjectAccessed", "other-bucket"]
    assert len(notification.rejected) == 6


def test_a_gigantic_body_is_not_read_and_everything_is_compared() -> None:
    notification = webhook(body(record()) + b" " * LARGEST, BUCKET)
    assert (notification.events, notification.sweeps) == ((), ("",))
    assert "larger" in notification.rejected[0]


@pytest.mark.parametrize("part", [b"{},", b'{"a":1}\n', b"[],", b'"",'])
def test_a_body_of_many_faults_takes_no_time(part: bytes) -> None:
    faults = part * ((LARGEST - 2000) // len(part))
    one = other.dump(record(key="a.jpg"))
    whole = one + b"\n" + faults if part.endswith(b"\n") else b"[" + one + b"," + faults + b"{}]"
    begin = time.process_time()
    notification = webhook(whole, BUCKET)
    assert time.process_time() - begin < 2
    assert [event.key for event in notification.events] == ["a.jpg"]
    assert len(notification.rejected) == 1001
    assert notification.sweeps == ("",)


def test_envelopes_without_an_end_are_refused() -> None:
    inside = body(record())
    for _ in range(12):
        inside = other.sns(inside)
        if len(inside) > LARGEST:
            break
    assert webhook(inside, BUCKET).events == ()
    assert webhook(inside, BUCKET).rejected
