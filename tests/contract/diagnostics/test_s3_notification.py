"""What set-up writes into the notification of a bucket, and what it leaves there."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tests.contract.diagnostics.s3_notifications import ARN, QUEUE, configuration
from workers.stores.s3 import S3Store
from workers.stores.s3_notification import CREATED, REMOVED, WANTED, Entry, arn_of, entries, merged, read


def parts(xml: bytes) -> list[bytes]:
    return [ET.tostring(element) for element in ET.fromstring(xml)]  # noqa: S314 -- our own


OTHERS = (
    QUEUE,
    "<TopicConfiguration><Topic>arn:aws:sns:r:1:t</Topic><Event>s3:ObjectRemoved:*</Event></TopicConfiguration>",
    "<EventBridgeConfiguration/>",
)


@pytest.mark.parametrize("namespace", [True, False])
def test_what_others_put_there_stays_to_the_letter(namespace: bool) -> None:
    before = configuration(*OTHERS, namespace=namespace)
    wish = Entry(ARN, "in/", ".png")
    after = merged(before, wish)
    assert after is not None
    assert parts(after)[:3] == parts(configuration(*OTHERS))
    assert entries(after)[-1] == wish
    assert merged(after, wish) is None


@pytest.mark.parametrize("empty", [b"", b" ", configuration(), configuration(namespace=False)])
def test_the_first_entry(empty: bytes) -> None:
    after = merged(empty, Entry(ARN))
    assert after is not None
    assert entries(after) == [Entry(ARN)]


def test_the_region_that_a_server_puts_into_its_arns_makes_no_second_entry() -> None:
    after = merged(configuration(), Entry(arn_of("webhook", "WILDTAG", "")))
    assert after is not None
    assert merged(after, Entry(ARN)) is None
    other = merged(after, Entry(arn_of("webhook", "OTHER", "")))
    assert other is not None
    assert len(entries(other)) == 2


def test_an_entry_of_ours_gets_the_events_that_it_lacks() -> None:
    before = merged(configuration(), Entry(ARN, events=("s3:ObjectCreated:Put",)))
    assert before is not None
    after = merged(before, Entry(ARN))
    assert after is not None
    (entry,) = entries(after)
    assert set(entry.events) == set(WANTED)
    assert entry.missing == ()


@pytest.mark.parametrize(
    ("events", "missing"),
    [
        (("s3:ObjectCreated:*", REMOVED), ()),
        ((*CREATED, "s3:ObjectRemoved:Delete", "s3:ObjectRemoved:DeleteMarkerCreated"), ()),
        ((*CREATED, "s3:ObjectRemoved:Delete"), (REMOVED,)),
        (("s3:ObjectCreated:Put",), (*CREATED[1:], REMOVED)),
    ],
)
def test_which_events_are_enough(events: tuple[str, ...], missing: tuple[str, ...]) -> None:
    assert Entry(ARN, events=events).missing == missing


def test_a_wish_for_a_topic_or_a_function() -> None:
    for kind, element in (("sns", "Topic"), ("lambda", "CloudFunction"), ("sqs", "Queue")):
        after = merged(b"", Entry(f"arn:aws:{kind}:r:1:x"))
        assert after is not None
        assert f"<{element}Configuration>" in after.decode()


def test_a_new_bucket_tells_nobody(s3: S3Store, bucket: str) -> None:
    assert entries(read(s3, bucket)) == []
