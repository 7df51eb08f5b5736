"""A folder marker that overwrites an object with bytes removes its record when its event is received."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.contract import real_servers
from tests.contract.dispatch.dispatching_world import World, created
from tests.contract.dispatch.dispatching_world import world as world  # noqa: PLC0414 -- a fixture
from workers.events.notification import webhook
from workers.events.sink import received_events
from workers.stores.s3 import S3Store


@pytest.mark.parametrize("server", real_servers.S3_SERVERS)
def test_a_marker_over_an_object_removes_its_record(
    server: str, make_s3: Callable[[str], S3Store], bucket: str, world: World
) -> None:
    s3 = make_s3(server)
    world = replace(world, store=s3)
    ref = s3.put(bucket, "folder/", io.BytesIO(b"an image")).ref
    world.inbox.append([created(ref)])
    world.dispatcher().step(block_ms=10)
    world.finish(ref)
    s3.put(bucket, "folder/", io.BytesIO(b""))
    found = {"key": "folder%2F", "eTag": "x", "sequencer": "2"}
    record = {"eventName": "s3:ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": found}}
    body = json.dumps({"Records": [record]}).encode()
    world.event_sink.store([received_events("webhook", webhook(body, bucket), body)])
    world.dispatcher().step(block_ms=10)
    assert world.records.count_in(bucket) == 0
    assert world.event_sink.counts() == {"webhook:ignored:folder-marker": 1}
