"""``wildtag watch``: it outlives its Redis and goes on where it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.message_parts import ObjectRef, Revision
from tests.contract.own_redis import OwnRedis
from tests.eventually import eventually
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Record
from workers.redis.connection import Client
from workers.redis.keys import Keys

REVISION = Revision("space", "captions@1")


@pytest.fixture
def server() -> Iterator[OwnRedis]:
    own = OwnRedis()
    yield own
    own.close()


def tagged(client: Client, key: str) -> None:
    """An object with its record."""
    ledger, now, ref = Ledger(client, Keys("wt:"), 1000), time.time(), ObjectRef("inbox", key, "e", 1)
    ledger.enter([Arrival(ref, verified=True)], REVISION, now, now + 60)
    record = Record(
        bucket="inbox", key=key, etag="e", state="done", space_id=REVISION.space_id,
        captions_version=REVISION.captions_version, finished_at=now,
    )  # fmt: skip
    assert ledger.finish([record], now) == [True]


def test_it_waits_for_redis_and_misses_nothing(server: OwnRedis, tmp_path: Path) -> None:
    client = server.start()
    environment = {
        **os.environ, "WILDTAG_HOME": str(tmp_path), "WILDTAG_REDIS_URL": server.url, "WILDTAG_KEY_PREFIX": "wt:",
    }  # fmt: skip
    watching = subprocess.Popen(
        [sys.executable, "-u", "-m", "workers.cli", "watch", "--json"], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert watching.stdout is not None
    assert watching.stderr is not None
    try:
        eventually(lambda: any(c["cmd"].startswith("xread") for c in client.client_list()), 30)
        tagged(client, "before.png")
        assert json.loads(watching.stdout.readline())["key"] == "before.png"
        server.kill()
        assert "Waiting" in watching.stderr.readline()
        client = server.start()
        tagged(client, "after.png")
        assert json.loads(watching.stdout.readline())["key"] == "after.png"
    finally:
        watching.kill()
        watching.wait(10)
