"""An outage that outlasts the patience of two real workers on one queue: what they put back is never lost."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.tcp_proxy import TcpProxy
from tests.contract.worker_of_colours import wired
from tests.eventually import eventually
from tests.unit.segmentation.world import BLUE, RED, halves
from workers.lifecycle.event import ObjectEvent
from workers.redis.connection import Client
from workers.settings.settings import Settings
from workers.stores.s3 import S3Store
from workers.stores.store import ObjectInfo
from workers.wiring.dispatch import dispatcher as dispatcher_of

pytestmark = [pytest.mark.timeout(150), pytest.mark.long]

LIMIT_S = 12  # of a task: a worker holds a message for a quarter of it
LONG_S = 20.0  # so each is put back five times or so
SOON_S = 5.0  # 3 where nobody else uses the cores
IMAGES = 4


@pytest.fixture
def way(moto_url: str) -> Iterator[TcpProxy]:
    """To the store."""
    host, _, port = moto_url.removeprefix("http://").rpartition(":")
    proxy = TcpProxy(host, int(port))
    yield proxy
    proxy.close()


@pytest.fixture
def wiring(
    redis_url: str, client: Client, way: TcpProxy, make_s3: Callable[[str], S3Store], bucket: str, tmp_path: Path
) -> Iterator[Any]:  # fmt: skip
    """The dispatcher's, beside two workers."""
    assert client.dbsize() == 0
    make_s3("moto")
    settings = Settings.model_validate({
        "redis_url": redis_url, "broker_url": redis_url.replace("unix://", "redis+socket://"), "key_prefix": "test:",
        "home": tmp_path, "qdrant_url": "http://127.0.0.1:1", "task_time_limit_s": LIMIT_S, "bucket": bucket,
        "s3_endpoint": f"http://127.0.0.1:{way.port}", "s3_access_key": "AKIATEST", "s3_secret_key": "secret",
        "batch_max": 1, "deadline_s": 300,
    })  # fmt: skip
    workers = []
    with (tmp_path / "log").open("wb") as log:
        for name in ("one", "two"):
            command = [sys.executable, "-m", "tests.contract.worker_of_colours", name]
            workers.append(subprocess.Popen(command, env=settings.process_environment(), stdout=log, stderr=log))
    yield wired(settings)
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.wait(30)


def test_what_two_workers_put_back_again_and_again_goes_on_soon_after_the_store_is_back(
    wiring: Any, way: TcpProxy, client: Any, bucket: str, tmp_path: Path
) -> None:
    dispatcher = dispatcher_of(wiring, "me")
    for inbox in (wiring.inbox, wiring.low_priority_inbox):
        inbox.prepare()

    def put(name: str) -> ObjectInfo:
        file = io.BytesIO()
        halves(RED, BLUE).save(file, "PNG")
        file.seek(0)
        info: ObjectInfo = wiring.store.put(bucket, name, file)
        return info

    def send(*infos: ObjectInfo) -> None:
        wiring.inbox.append([ObjectEvent.seen(info) for info in infos])
        sent = 0
        while sent < len(infos):
            sent += dispatcher.step(block_ms=10)

    def await_embedded(number: int, seconds: float) -> None:
        eventually(lambda: client.llen("test:retrieval") >= number, seconds, (tmp_path / "log").read_text)

    warm, late = [put(f"warm{n}.png") for n in range(4)], [put(f"{n}.png") for n in range(IMAGES)]
    send(*warm)  # both workers have their connections
    await_embedded(len(warm), 60)

    way.become("refusing")
    send(*late)
    began = whole = time.monotonic()
    tags: set[str] = set()
    while time.monotonic() < began + LONG_S:
        pipe = client.pipeline(transaction=True)
        queued, held = pipe.lrange("test:embedding", 0, -1).hvals("test:unacked").execute()
        messages = [json.loads(one) for one in queued] + [json.loads(one)[0] for one in held]
        if len(messages) == IMAGES:
            whole = time.monotonic()
        # from the queue into a worker's hands a message is in neither for a moment
        assert time.monotonic() < whole + 1, f"{len(messages)} of {IMAGES}\n{(tmp_path / 'log').read_text()}"
        tags |= {one["properties"]["delivery_tag"] for one in messages if one["headers"].get("redelivered")}
        time.sleep(0.05)  # between two looks
    assert len(tags) > 4, "both have put back, more than once"
    assert {client.hget(f"test:entry:{info.ref.id}", "attempts") for info in late} <= {b"0", b"1"}

    way.become("open")
    await_embedded(len(warm) + IMAGES, SOON_S)
    assert client.llen("test:retrieval") == len(warm) + IMAGES, "none was sent twice"
    assert client.llen("test:embedding") == 0
