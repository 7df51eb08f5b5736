"""A worker as Compose starts it serves what its children count, also while one computes and after one was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import numpy as np
import psutil
import pytest

from tasks.message_parts import Hit, ObjectRef, Revision, Vectors
from tasks.messages import Retrieved
from tests.contract.own_redis import OwnRedis
from tests.eventually import eventually
from tests.exposition import differences, values
from tests.unit.monitoring.test_exporter import got
from workers.embedded.ports import free_port
from workers.settings.settings import Settings
from workers.supervision.temporary import prefix
from workers.wiring.wiring import Wiring

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]

VECTOR = Vectors.of(np.eye(1, 4, dtype=np.float32))
MESSAGE = Retrieved(
    objects=(ObjectRef("inbox", "a.png", "1"),), revision=Revision("space", "captions@1"), vectors=VECTOR,
    centroids=VECTOR, hits=((Hit(1, "a red car", 0.5),),),
)  # fmt: skip


@pytest.fixture
def own() -> Iterator[OwnRedis]:
    redis = OwnRedis()
    redis.start()
    yield redis
    redis.close()


def test_a_worker_serves_what_its_children_count(own: OwnRedis, tmp_path: Path) -> None:
    port = free_port(0)
    (tmp_path / "tmp").mkdir()
    environment = {
        **os.environ, "WILDTAG_HOME": str(tmp_path / "home"), "WILDTAG_REDIS_URL": own.url,
        "WILDTAG_BROKER_URL": own.url.replace("unix://", "redis+socket://"), "WILDTAG_METRICS_PORT": str(port),
        "WILDTAG_QDRANT_URL": "http://127.0.0.1:1", "WILDTAG_WEBHOOK_TOKEN": "tell-nobody",
        "TMPDIR": str(tmp_path / "tmp"),
    }  # fmt: skip
    command = [sys.executable, "-m", "workers.cli", "worker", "extraction"]
    publisher = Wiring(
        Settings(redis_url=own.url, broker_url=environment["WILDTAG_BROKER_URL"], home=tmp_path / "home")
    ).publisher
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def scraped() -> dict[str, dict[tuple[str, ...], float]]:
        status, text = got(port)
        assert status == 200
        assert differences(text, []) == []
        assert "tell-nobody" not in text
        return values(text)

    def messages() -> float:
        return scraped().get("wildtag_batch_objects_count", {}).get(("extraction",), 0.0)

    def busy() -> float:
        return scraped().get("wildtag_stage_busy_seconds_total", {}).get(("extraction",), 0.0)

    def child() -> psutil.Process:
        (found,) = psutil.Process(process.pid).children()
        return found

    try:
        eventually(scraped, 60, despite=(OSError, HTTPException))
        publisher.send("extraction", MESSAGE)
        eventually(lambda: messages() == 1, 60)
        eventually(lambda: busy() > 0, 60)  # counted when the work has ended
        before = busy()

        child().send_signal(signal.SIGSTOP)  # as if it computed for long, and took the interpreter for itself
        assert messages() == 1
        child().kill()
        publisher.send("extraction", MESSAGE)
        eventually(lambda: messages() == 2, 60)  # the next child's first, and that of the killed one
        eventually(lambda: busy() > before, 60)
        (folder,) = (tmp_path / "tmp").glob(f"{prefix('metrics')}*")

        second = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 1
        assert f"WILDTAG_METRICS_PORT: port {port} of 127.0.0.1 is in use" in second.stderr
        assert "Traceback" not in second.stderr

        process.terminate()
        process.wait(30)
        assert not folder.exists()
    finally:
        for one in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else ():
            one.kill()
        process.kill()
        process.wait(10)
