"""Thumbnails of slow images neither hold up other thumbnails nor the gateway, and cost their time once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.attack import evil_images as evil
from tests.contract.gateway.running import Running, problem, running, wired
from tests.eventually import eventually

SLOW = {f"slow-{at}.jpg": evil.empty_runs(6000, 5900 + at) for at in range(2)}
PHOTOGRAPHS = {f"{at}.png": evil.encoded(evil.noise(64, 40 + at), "PNG") for at in range(8)}


@pytest.fixture
def gateway(redis_url: str, tmp_path: Path) -> Iterator[Running]:
    wiring = wired(tmp_path, redis_url, decode_limit_s=60.0, decode_memory_bytes=2**30)
    with running(wiring) as started:
        yield started
    wiring.decoders.close()


def at_work(gateway: Running) -> list[psutil.Process]:
    """The processes that decode something slow."""
    server = gateway.wiring.decoders._spawner._process
    found = psutil.Process(server.pid).children() if server else []
    return [one for one in found if one.cpu_times().user > 0.1]


def test_others_are_answered_while_slow_ones_hang_and_a_refusal_is_remembered(gateway: Running) -> None:
    for key, data in (SLOW | PHOTOGRAPHS).items():
        gateway.put(key, data)

    def thumbnail(key: str) -> httpx.Response:
        return httpx.get(f"{gateway.url}/v1/thumbnails/inbox/{key}?size=1600", timeout=60)

    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(thumbnail, key) for key in SLOW]
        eventually(lambda: len(at_work(gateway)) == len(SLOW))
        hanging = at_work(gateway)
        for one in hanging:
            one.suspend()  # as if it took for ever
        found = [thumbnail(key) for key in PHOTOGRAPHS]
        assert [answer.status_code for answer in found] == [200] * len(PHOTOGRAPHS)
        assert httpx.get(f"{gateway.url}/healthz").status_code == 200
        assert not any(one.done() for one in waiting)
        for one in hanging:
            one.send_signal(signal.SIGSEGV)
            one.resume()
        assert {problem(one.result()) for one in waiting} == {"not-an-image"}
    assert all("SIGSEGV" in one.result().text for one in waiting)
    assert "SIGSEGV" in thumbnail(next(iter(SLOW))).text
