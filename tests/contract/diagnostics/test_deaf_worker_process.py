"""A real worker that is connected and takes nothing ends itself; one that waits, or was suspended, does not."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.contract.own_redis import OwnRedis
from tests.contract.tcp_proxy import TcpProxy
from tests.contract.worker_in_a_hurry import PACE
from tests.eventually import eventually, eventually_while
from workers.diagnostics.deaf_worker import STATUS
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]

QUEUE = "extraction"
SOON_S = 60.0  # a few seconds where nobody else uses the cores


@pytest.fixture
def own() -> Iterator[OwnRedis]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    redis = OwnRedis(port)
    redis.start()
    yield redis
    redis.close()


def wiring_of(url: str, tmp_path: Path) -> Wiring:
    return Wiring(Settings(redis_url=url, broker_url=url, home=tmp_path, liveness_folder=tmp_path / "alive"))


@contextmanager
def worker(url: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ, "WILDTAG_HOME": str(tmp_path), "WILDTAG_REDIS_URL": url, "WILDTAG_BROKER_URL": url,
        "WILDTAG_LIVENESS_FOLDER": str(tmp_path / "alive"),
    }  # fmt: skip
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.contract.worker_in_a_hurry", QUEUE], env=environment, stdout=log, stderr=log
        )
    found = psutil.Process(process.pid)
    children: list[psutil.Process] = []
    try:
        eventually_while(process, (tmp_path / "alive" / QUEUE).exists, SOON_S)
        children = found.children(recursive=True)
        yield process
    finally:
        for one in (*children, found):
            if one.is_running():
                one.kill()
        process.wait(10)


def test_a_worker_that_hears_nothing_ends_and_leaves_no_process(own: OwnRedis, tmp_path: Path) -> None:
    wiring = wiring_of(f"redis://127.0.0.1:{own.port}/0", tmp_path)
    with worker(wiring.settings.redis_url, tmp_path) as process:
        children = psutil.Process(process.pid).children(recursive=True)

        # neither is deafness: it is suspended, and Redis is away
        for stop, go in ((process.send_signal, signal.SIGCONT), (lambda _: own.kill(), None)):
            stop(signal.SIGSTOP)
            time.sleep(2 * PACE.deaf_s)  # how long that lasts is what is tried
            process.send_signal(go) if go else own.start()
            wiring.publisher.probe(QUEUE, 60)
            eventually(lambda: wiring.publisher.queued(QUEUE) == 0, SOON_S, (tmp_path / "log").read_text)
            assert process.poll() is None

        # it takes from its queue no longer, as when its consumer has lost its credit
        eventually(lambda: wiring.app.control.cancel_consumer(QUEUE, reply=True, timeout=2), SOON_S)
        wiring.publisher.probe(QUEUE, 600)
        assert process.wait(SOON_S) == STATUS
        file = tmp_path / "alive" / QUEUE
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - float(file.read_text())
        assert age_s >= PACE.deaf_s - 2, "its file went stale meanwhile: the check of Kubernetes sees it, too"
        assert "messages are ready, and it has taken none" in (tmp_path / "log").read_text()
        eventually(lambda: not any(child.is_running() for child in children), SOON_S)


def test_a_worker_whose_connections_lead_nowhere_ends(own: OwnRedis, tmp_path: Path) -> None:
    proxy = TcpProxy("127.0.0.1", own.port)
    url = f"redis://127.0.0.1:{proxy.port}/0"
    try:
        with worker(url, tmp_path) as process:
            proxy.forget()
            wiring = wiring_of(url, tmp_path)
            wiring.publisher.probe(QUEUE, 600)
            assert process.wait(SOON_S) == STATUS
            assert "this worker is deaf and ends" in (tmp_path / "log").read_text()
        with worker(url, tmp_path):  # as its supervisor does
            eventually(lambda: wiring.publisher.queued(QUEUE) == 0, SOON_S)
    finally:
        proxy.close()
