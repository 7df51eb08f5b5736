"""``wildtag s3 doctor`` names the cause if notifications arrive and cannot be read."""

from __future__ import annotations

import time

from tests.unit.events import other_servers as other
from tests.unit.events.samples import BUCKET, body, record
from workers.diagnostics.check import Check
from workers.diagnostics.s3_rejections import rejection_checks
from workers.events.notification import webhook
from workers.events.sink import EventSink, received_events
from workers.redis.connection import Client
from workers.redis.keys import Keys


def checks(client: Client, keys: Keys, *bodies: bytes, began: float = 0.0) -> list[Check]:
    sink = EventSink(client, keys)
    for one in bodies:
        sink.store([received_events("webhook", webhook(one, BUCKET), one)])
    return [*rejection_checks(sink, began, time.time())]


def test_the_cause_is_named_and_what_to_do(client: Client, keys: Keys) -> None:
    found = checks(client, keys, *[other.rustfs_alpha()] * 3, other.sns("x", "SubscriptionConfirmation"))
    assert [check.name for check in found] == ["rejected", "rejected"]
    assert all(check.ok is None for check in found)
    assert "3 notifications from webhook" in found[0].detail
    assert "key is empty" in found[0].detail
    assert "without a readable key" in found[0].remedy
    assert "SubscribeURL" in found[1].remedy
    assert "wildtag events rejected" in found[1].remedy


def test_those_of_the_test_itself_are_told_apart(client: Client, keys: Keys) -> None:
    before = time.time() - 5
    assert "during this test" in checks(client, keys, other.rustfs_alpha(), began=before)[0].detail
    assert "during this test" not in checks(client, keys, began=time.time() + 5)[0].detail


def test_where_all_was_read_nothing_is_said(client: Client, keys: Keys) -> None:
    assert checks(client, keys, body(record()), other.dump(other.AMAZON_TEST)) == []
