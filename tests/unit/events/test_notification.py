"""Notifications become events: keys, orders and kinds as they were meant, and no bytes that make the reader fail."""

from __future__ import annotations

import json
import random
import time
from urllib.parse import quote_plus

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.events.samples import BUCKET, ETAG, Json, access, body, record, value
from workers.events.notification import (
    LARGEST,
    Notification,
    access_entry,
    listen_line,
    namespace_value,
    padded,
    webhook,
)
from workers.lifecycle.event import ObjectEvent

# the first draw of a text builds tables, and the machine may be busy
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
ORDER = "18a5c0ffee123456" + "0000000000000000"
READERS = [webhook, listen_line, access_entry, namespace_value]


def only(notification: Notification) -> ObjectEvent:
    assert (notification.ignored, notification.rejected) == ((), ())
    (event,) = notification.events
    return event


@pytest.mark.parametrize("action", ["Put", "Post", "Copy", "CompleteMultipartUpload"])
@pytest.mark.parametrize("prefix", ["s3:", ""])
def test_what_brings_bytes_is_an_event(action: str, prefix: str) -> None:
    event = only(webhook(body(record(f"{prefix}ObjectCreated:{action}")), BUCKET))
    others = ("walks%2Fdog.jpg",)
    assert event == ObjectEvent("created", BUCKET, "walks/dog.jpg", ETAG, 2048, None, ORDER, other_keys=others)


@pytest.mark.parametrize("action", ["Delete", "DeleteMarkerCreated", "DeleteAllVersions", "ANewWay"])
def test_what_removes_is_an_event(action: str) -> None:
    event = only(webhook(body(record(f"s3:ObjectRemoved:{action}")), BUCKET))
    others = ("walks%2Fdog.jpg",)
    assert event == ObjectEvent("removed", BUCKET, "walks/dog.jpg", sequence=ORDER, other_keys=others)


@pytest.mark.parametrize("action", ["PutTagging", "DeleteTagging", "PutRetention", "PutLegalHold"])
def test_what_leaves_the_bytes_alone_is_not(action: str) -> None:
    assert webhook(body(record(f"s3:ObjectCreated:{action}")), BUCKET) == Notification(ignored=(action,))


@pytest.mark.parametrize("name", ["s3:Nonsense:Get", "Created", "s3:" * 99])
def test_other_events_are_left_alone_under_one_name(name: str) -> None:
    assert webhook(body(record(name)), BUCKET) == Notification(ignored=("other-event",))


def test_other_buckets_are_left_alone() -> None:
    notification = webhook(body(record(bucket="other"), record(key="mine.jpg")), BUCKET)
    assert notification.ignored == ("other-bucket",)
    assert [event.key for event in notification.events] == ["mine.jpg"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a+b.jpg", "a b.jpg"),
        ("a%2Bb.jpg", "a+b.jpg"),
        ("100%25.jpg", "100%.jpg"),
        ("a%2Fb%2F%2Fc", "a/b//c"),
        ("%C3%A9t%C3%A9+%E2%9C%93", "été ✓"),
        ("a%252Fb", "a%2Fb"),
        ("x%26y%3Dz%3F%23", "x&y=z?#"),
    ],
)
def test_keys_are_form_encoded(written: str, meant: str) -> None:
    raw = record()
    raw["s3"]["object"]["key"] = written
    assert only(webhook(body(raw), BUCKET)).key == meant
    assert only(access_entry(access(raw), BUCKET)).key == meant
    assert only(namespace_value(value(raw), BUCKET)).key == meant


@pytest.mark.parametrize("key", ["a+b.jpg", "a b.jpg", "100%.jpg", "a%2Fb", "été ✓/x"])
def test_the_listen_api_writes_keys_as_they_are(key: str) -> None:
    event = only(listen_line(value(record(key=key, encoded=False)), BUCKET))
    assert (event.key, event.etag) == (key, ETAG)


@pytest.mark.parametrize("line", [b"", b" ", b"\n", b'{"Records":null}', b' {"Records":[]} '])
def test_keep_alives_tell_nothing(line: bytes) -> None:
    assert listen_line(line, BUCKET) == Notification()


def test_an_empty_object_has_no_size() -> None:
    assert only(webhook(body(record(size=None)), BUCKET)).size == 0


@pytest.mark.parametrize("etag", [f"{ETAG}-5", f'"{ETAG}-5"'])
def test_etags_of_parts_and_in_quotes(etag: str) -> None:
    assert only(webhook(body(record(eTag=etag)), BUCKET)).etag == f"{ETAG}-5"


@pytest.mark.parametrize(("version", "meant"), [("null", None), ("", None), ("a-b", "a-b")])
def test_versions(version: str, meant: str | None) -> None:
    assert only(webhook(body(record(versionId=version)), BUCKET)).version_id == meant


@pytest.mark.parametrize("sequencer", [None, "", "not hexadecimal", "1" * 33, "-1", "0x1"])
def test_without_an_order_the_bucket_is_asked(sequencer: str | None) -> None:
    event = only(webhook(body(record(sequencer=sequencer)), BUCKET))
    assert (event.etag, event.sequence) == ("", "")


def test_the_hash_tells_what_is_there() -> None:
    """A change of tags overwrites the news of the upload there, so it stands for the object."""
    tagged = record("s3:ObjectCreated:PutTagging")
    assert only(namespace_value(value(tagged), BUCKET)).kind == "created"
    assert access_entry(access(tagged), BUCKET).events == ()


@pytest.mark.parametrize("depth", [40, 2_000, 100_000])
@pytest.mark.parametrize("shape", ["[%s]", '{"Records":[%s]}', '{"x":%s,"Records":[]}', '[{"Event":[%s]}]'])
def test_nesting_is_junk(depth: int, shape: str) -> None:
    nested = (shape % ("[" * depth + "]" * depth)).encode()
    for read in READERS:
        assert read(nested, BUCKET).events == ()
    assert webhook(nested, BUCKET).rejected


def test_texts_without_an_end_take_no_time() -> None:
    begin = time.process_time()
    assert webhook(b'["' + rb"\"" * 400_000 + b"[" * 100, BUCKET).rejected
    assert time.process_time() - begin < 2


def test_brackets_in_texts_and_beside_each_other_are_no_nesting() -> None:
    odd = record("s3:ObjectCreated:Put", key="[" * 100) | {"x": "[{" * 100 + '\\"', "y": [[] for _ in range(100)]}
    assert only(webhook(body(odd), BUCKET)).key == "[" * 100
    many = webhook(body(*[record("s3:ObjectCreated:Put", key=f"{n}.png") for n in range(200)]), BUCKET)
    assert (len(many.events), many.rejected) == (200, ())


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"null", b"[]", b"7", b"{}", b"\xff\xfe{}", b"<xml/>", b'{"Records":5}', b'{"Records":{}}',
     b'{"Records":[]} trailing', b"\x1f\x8b\x08\x00", b" " * (LARGEST + 1)],
)  # fmt: skip
def test_what_is_no_notification_is_junk(data: bytes) -> None:
    notification = webhook(data, BUCKET)
    assert notification.events == ()
    assert len(notification.rejected) == 1
    assert notification.rejected[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": ""}, {"key": 7}, {"key": None}, {"key": []}, {"key": "x" * 1025}, {"key": quote_plus("é" * 513)},
        {"key": "x" * 100_000}, {"size": -1}, {"size": 1.5}, {"size": "much"}, {"size": []}, {"size": True},
        {"size": 2**64},
    ],
)  # fmt: skip
def test_a_record_that_is_wrong_spares_its_neighbours(wrong: Json) -> None:
    raw = record()
    raw["s3"]["object"] |= wrong
    read = webhook(body(record(key="before"), raw, record(key="after")), BUCKET)
    assert [event.key for event in read.events] == ["before", "after"]
    assert len(read.rejected) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"eTag": 5},
        {"eTag": None}, {"eTag": "e" * 5000}, {"sequencer": 12}, {"sequencer": None},
    ],
)  # fmt: skip
def test_what_is_wrong_beside_the_key_makes_the_bucket_be_asked(wrong: Json) -> None:
    raw = record()
    raw["s3"]["object"] |= wrong
    event = only(webhook(body(raw), BUCKET))
    assert (event.kind, event.key, event.etag) == ("created", "walks/dog.jpg", "")


@pytest.mark.parametrize("missing", ["eventName", "s3"])
def test_a_record_without_what_counts_is_junk(missing: str) -> None:
    raw = record()
    del raw[missing]
    assert len(webhook(body(raw), BUCKET).rejected) == 1


def test_keys_of_1024_bytes_are_whole() -> None:
    key = "é" * 512
    assert only(webhook(body(record(key=key)), BUCKET)).key == key


KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256).filter(
    lambda key: len(key.encode()) <= 1024
)


@unhurried
@given(KEYS)
def test_every_key_survives_the_way_to_the_inbox(key: str) -> None:
    for notification in (
        webhook(body(record(key=key)), BUCKET),
        access_entry(access(record(key=key)), BUCKET),
        namespace_value(value(record(key=key)), BUCKET),
        listen_line(value(record(key=key, encoded=False)), BUCKET),
    ):
        event = only(notification)
        assert event.key == key
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=ObjectEvent) == event


@unhurried
@given(st.binary(max_size=300))
def test_no_bytes_make_it_fail(data: bytes) -> None:
    for read in READERS:
        notification = read(data, BUCKET)
        assert notification.events == ()
        assert notification.sweeps == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e300, 1e300) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@unhurried
@given(st.data())
def test_no_replaced_part_makes_it_fail(data: st.DataObject) -> None:
    """Any value of a good notification is replaced by any other, left out, or joined by more."""
    good: Json = {"EventName": "x", "Records": [record(), record("s3:ObjectRemoved:Delete")]}
    places: list[tuple[object, object]] = []

    def gather(node: object) -> None:
        inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for name, child in inside:
            places.append((node, name))
            gather(child)

    gather(good)
    node, name = data.draw(st.sampled_from(places))
    assert isinstance(node, dict | list)
    if data.draw(st.booleans()):
        node[name] = data.draw(JSON)  # type: ignore[call-overload]  # the place was found with this name
    else:
        del node[name]  # type: ignore[arg-type]  # as above
    encoded = json.dumps(good).encode()  # takes integers of any size
    for read in READERS:
        assert len(read(encoded, BUCKET).events) <= 2
        msgspec.msgpack.encode(read(encoded, BUCKET))


@unhurried
@given(st.randoms(use_true_random=False), st.sampled_from([body(record()), access(record()), value(record())]))
def test_no_damage_makes_it_fail(chance: random.Random, good: bytes) -> None:
    damaged = bytearray(good)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(damaged))
        damaged[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
    for read in READERS:
        msgspec.msgpack.encode(read(bytes(damaged), BUCKET))


@unhurried
@given(st.integers(0, 16**16 - 1), st.integers(0, 16**16 - 1), st.booleans())
def test_padding_keeps_the_order_of_numbers_of_one_length(one: int, other: int, upper: bool) -> None:
    texts = [padded(f"{n:016X}" if upper else f"{n:016x}") for n in (one, other)]
    assert (texts[0] < texts[1]) == (one < other)
    assert (texts[0] == texts[1]) == (one == other)
    assert {len(text) for text in texts} == {32}


def test_of_different_lengths_the_shorter_one_is_filled_up_with_zeros() -> None:
    assert padded("0055AED6DCD90281E5") < padded("0055AED6DD")
    assert padded("0055AED6DD") == padded("0055AED6DD00")
