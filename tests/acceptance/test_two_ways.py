"""The real stack over a bucket whose server sends events as MinIO does: either source is fast, and none loses any.

How fast exactly is for ``python -m ops.bench delay``; here a shared core may be busy with other things.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from minio import Minio

from ops.bench.made_up_minio import TIMER_S, Server, made_up_minio
from ops.bench.moto_server import moto
from tests.acceptance.images import photograph
from tests.acceptance.stack import Stack, started
from tests.contract.s3_server import store_at
from tests.eventually import eventually
from workers.supervision.supervisor import read_stack

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]

BUCKET = "photos"
PATIENCE = 60.0


@pytest.fixture(scope="module")
def followed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Server, Minio]]:
    """A stack with the settings of ``wildtag up`` over S3, except that its next sweep is hours away."""
    with moto() as upstream, made_up_minio(upstream, BUCKET) as server:
        client = store_at(server.url).connection.client
        client.make_bucket(BUCKET)
        with started(
            prepared, tmp_path_factory.mktemp("two") / "home",
            WILDTAG_S3_ENDPOINT=server.url, WILDTAG_S3_ACCESS_KEY="A",
            WILDTAG_S3_SECRET_KEY="secret",  # noqa: S106 -- moto takes any
            WILDTAG_BUCKET=BUCKET, WILDTAG_RESCAN_S="3600", WILDTAG_WRITE_BACK="tags",
        ) as stack:  # fmt: skip
            info = read_stack(stack.home)
            assert info is not None
            server.webhook = f"{info.addresses['gateway']}/v1/events/minio"
            yield stack, server, client


def put(client: Minio, key: str) -> float:
    """Put a photograph that the stack has not seen; gives when that was done."""
    data = photograph("chelsea.png") + key.encode()
    client.put_object(BUCKET, key, io.BytesIO(data), len(data), content_type="image/png")
    return time.monotonic()


def event_counts(stack: Stack) -> dict[str, int]:
    counts: dict[str, int] = json.loads(stack.wildtag("events", "counts", "--json").stdout)
    return counts


def heard(stack: Stack) -> str:
    sources = json.loads(stack.wildtag("status", "--json").stdout)["sources"]
    return str(sources.get("listen", {}).get("state"))


def test_both_ways_tell_and_the_second_event_costs_nothing(followed: tuple[Stack, Server, Minio]) -> None:
    stack, server, client = followed
    eventually(lambda: heard(stack) == "working", PATIENCE, stack.said)
    for number in range(5):
        put(client, f"both {number}.png")
    client.put_object(BUCKET, "folder/", io.BytesIO(b""), 0)
    eventually(lambda: len(stack.known()) == 5, PATIENCE, stack.said)
    eventually(lambda: not server.waiting(), PATIENCE, stack.said)
    records = stack.settled(5)
    finished = {key: record["finished_at"] for key, record in records.items()}
    counts = eventually(
        lambda: found if (found := event_counts(stack)).get("dispatcher:repeated", 0) >= 5 else {},
        PATIENCE,
        stack.said,
    )
    assert counts["listen:events"] == counts["webhook:events"] == 5
    assert counts["webhook:ignored:folder-marker"] == counts["listen:ignored:folder-marker"] == 1
    assert {key: record["finished_at"] for key, record in stack.settled(5).items()} == finished
    client.remove_object(BUCKET, "both 0.png")
    client.remove_object(BUCKET, "folder/")
    eventually(lambda: len(stack.known()) == 4, PATIENCE, stack.said)


def test_a_deaf_server_is_named_and_the_webhook_tells(followed: tuple[Stack, Server, Minio]) -> None:
    stack, server, client = followed
    server.listening = "deaf"
    server.hang_up()
    done = put(client, "deaf.png")
    eventually(lambda: "deaf.png" in stack.known(), PATIENCE, stack.said)
    assert time.monotonic() - done < TIMER_S + 20  # most of it is the patience for a busy machine
    eventually(lambda: heard(stack) == "deaf", PATIENCE, stack.said)
    server.listening = "blanks"
    eventually(lambda: heard(stack) == "working", 2 * PATIENCE, stack.said)


def test_without_the_webhook_the_listener_tells(followed: tuple[Stack, Server, Minio]) -> None:
    stack, server, client = followed
    server.listening = "blanks"
    eventually(lambda: heard(stack) == "working", 2 * PATIENCE, stack.said)
    hook, server.webhook = server.webhook, None
    try:
        put(client, "heard.png")
        eventually(lambda: "heard.png" in stack.known(), PATIENCE, stack.said)
    finally:
        server.webhook = hook


def test_nothing_is_lost_while_the_gateway_is_away_and_nobody_is_heard(
    followed: tuple[Stack, Server, Minio],
) -> None:
    stack, server, client = followed
    before = len(stack.known())
    server.listening = "deaf"
    server.hang_up()
    gateway = psutil.Process(stack.process("gateway"))
    gateway.kill()  # the supervisor starts another one
    for number in range(4):
        put(client, f"away {number}.png")
    eventually(lambda: len(stack.known()) == before + 4, 2 * PATIENCE, stack.said)
    eventually(lambda: not server.waiting(), PATIENCE, stack.said)
