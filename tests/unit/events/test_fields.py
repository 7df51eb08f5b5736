"""Fields of records in any spelling, missing, null and of other types: the object stays certain."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.events import other_servers as other
from tests.unit.events.samples import BUCKET, ETAG, SEQUENCER, body, only, record
from workers.events.notification import (
    padded,
    webhook,
)


def spelled(node: Any, spell: Any) -> Any:
    """All names of fields in another spelling."""
    if isinstance(node, dict):
        return {spell(name): spelled(child, spell) for name, child in node.items()}
    return [spelled(child, spell) for child in node] if isinstance(node, list) else node


def snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


@pytest.mark.parametrize(
    "spell", [str.lower, str.upper, str.title, snake, lambda name: snake(name).replace("_", "-")]
)
def test_names_of_fields_in_any_spelling(spell: Any) -> None:
    inside = spelled(json.loads(body(record(key="dog.jpg", versionId="v"))), spell)
    event = only(webhook(other.dump(inside), BUCKET))
    assert (event.key, event.etag, event.size, event.version_id) == ("dog.jpg", ETAG, 2048, "v")
    assert event.sequence == padded(SEQUENCER)


def test_fields_that_contradict_each_other_are_refused() -> None:
    raw = record(key="dog.jpg")
    raw["s3"]["object"]["Key"] = "cat.jpg"
    notification = webhook(body(raw, record(key="other.jpg")), BUCKET)
    assert [event.key for event in notification.events] == ["other.jpg"]
    assert "differ" in notification.rejected[0]
    raw["s3"]["object"]["Key"] = "dog.jpg"
    assert only(webhook(body(raw), BUCKET)).key == "dog.jpg"


@pytest.mark.parametrize(
    "bucket",
    [{"arn": f"arn:aws:s3:::{BUCKET}"}, {"name": None, "arn": f"arn:aws:s3:::{BUCKET}"}, BUCKET,
     {"name": "", "arn": f"arn:rustfs:s3:::{BUCKET}"}, {"name": BUCKET, "arn": None}, f"arn:aws-cn:s3:::{BUCKET}"],
)  # fmt: skip
def test_the_bucket_by_its_arn(bucket: object) -> None:
    raw = record(key="dog.jpg")
    raw["s3"]["bucket"] = bucket
    assert only(webhook(body(raw), BUCKET)).key == "dog.jpg"


@pytest.mark.parametrize("bucket", [None, {}, [], 5, {"name": 7}, {"arn": "arn:aws:s3:eu-west-1:1:accesspoint/a"}])
def test_a_record_without_a_bucket_is_named(bucket: object) -> None:
    raw = record(key="dog.jpg")
    raw["s3"]["bucket"] = bucket
    notification = webhook(body(raw), BUCKET)
    assert (notification.events, notification.sweeps) == ((), ())
    assert "bucket" in notification.rejected[0]


@pytest.mark.parametrize("name", [None, "", 5, [], " "])
def test_a_record_without_the_name_of_an_event_asks_for_a_sweep(name: object) -> None:
    notification = webhook(body(record() | {"eventName": name}), BUCKET)
    assert (notification.events, notification.sweeps) == ((), ("",))
    assert "event name" in notification.rejected[0]


@pytest.mark.parametrize(("written", "meant"), [("2048", 2048), (2048.0, 2048), (None, 0), (0, 0)])
def test_sizes(written: object, meant: int) -> None:
    raw = record(key="dog.jpg")
    raw["s3"]["object"]["size"] = written
    event = only(webhook(body(raw), BUCKET))
    assert (event.size, event.etag) == (meant, ETAG)


@pytest.mark.parametrize(
    ("written", "meant"),
    [(f'"{ETAG}"', ETAG), (f'W/"{ETAG}"', ETAG), (None, ""), ("", ""), (7, ""), ("null", "null")],
)
def test_etags(written: object, meant: str) -> None:
    raw = record(key="dog.jpg")
    raw["s3"]["object"]["eTag"] = written
    assert only(webhook(body(raw), BUCKET)).etag == meant


@pytest.mark.parametrize("version", [None, "null", "", 5])
def test_versions_that_are_none(version: object) -> None:
    raw = record(key="dog.jpg")
    raw["s3"]["object"]["versionId"] = version
    assert only(webhook(body(raw), BUCKET)).version_id is None
