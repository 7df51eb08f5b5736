"""Nothing that arrives makes the reader fail, and nothing makes it report another bucket."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.events import other_servers as other
from tests.unit.events.other_servers import wrapped
from tests.unit.events.samples import BUCKET, Json, body, record
from workers.events.notification import (
    access_entry,
    listen_line,
    namespace_value,
    webhook,
)

READERS = [webhook, listen_line, access_entry, namespace_value]
DOG = "walks/dog.jpg"
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


SAMPLES: list[bytes] = [
    *wrapped(body(record(), record("s3:ObjectRemoved:Delete"))).values(),
    *(other.rustfs_alpha(), other.b2(), other.r2(), other.seaweed("create", f"/buckets/{BUCKET}/{DOG}")),
    *(other.eventbridge(), other.dump({"Records": [other.ceph()]}), other.dump(other.AMAZON_TEST)),
    *map(other.dump, (other.AZURE_GRID, other.GOOGLE_OBJECT, other.OSS, other.COS, other.OBS)),
]
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from([10**400, "[]", "{}", "null", '{"Records":[{}]}', BUCKET, "%", "\x00", "\ud800"])
)  # fmt: skip
NAMES = st.sampled_from([
    "Records", "records", "Event", "Type", "Message", "body", "Body", "Sns", "detail", "detail-type", "source",
    "message", "events", "eventName", "eventType", "s3", "S3", "bucket", "object", "key", "Key", "name", "arn",
    "data", "action", "notif", "Messages", "kind", "oss", "cos", "attributes", "resources", "data_base64", "size",
    "sequencer", "eTag",
])  # fmt: skip
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5), max_leaves=20
)


def checked(data: bytes) -> None:
    for read in READERS:
        notification = read(data, BUCKET)
        for event in notification.events:
            assert event.bucket == BUCKET
            assert all(0 < len(key.encode()) <= 1024 for key in (event.key, *event.other_keys))


@unhurried
@given(TREES)
def test_no_value_makes_it_fail(tree: object) -> None:
    checked(json.dumps(tree).encode())


@unhurried
@given(st.sampled_from(SAMPLES), st.data())
def test_no_change_of_a_sample_makes_it_fail(sample: bytes, data: st.DataObject) -> None:
    made: Json = json.loads(sample.removeprefix(b"\xef\xbb\xbf"))
    places: list[tuple[Any, Any]] = []

    def gather(node: object) -> None:
        inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for name, child in list(inside):
            places.append((node, name))
            gather(child)

    gather(made)
    if places:
        node, name = data.draw(st.sampled_from(places))
        node[name] = data.draw(TREES)
    checked(json.dumps(made).encode())


@unhurried
@given(st.sampled_from(SAMPLES), st.integers(0, 5000), st.binary(max_size=4))
def test_no_damage_of_a_sample_makes_it_fail(sample: bytes, at: int, bytes_: bytes) -> None:
    checked(sample[: at % len(sample)] + bytes_ + sample[at % len(sample) + len(bytes_) :])
