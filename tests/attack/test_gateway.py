"""Thumbnails of slow images neither hold up other thumbnails nor the gateway, and cost their time once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest

from tests.attack import evil_images as evil
from tests.contract.gateway.running import Running, problem, running, wired

SLOW = {f"slow-{at}.jpg": evil.scans(80, 5000, 4000 + at) for at in range(2)}
PHOTOGRAPHS = {f"{at}.png": evil.encoded(evil.noise(64, 40 + at), "PNG") for at in range(8)}


@pytest.fixture(scope="module")
def gateway(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    wiring = wired(tmp_path_factory.mktemp("home"), redis_url, decode_limit_s=4.0, decode_memory_bytes=2**30)
    with running(wiring) as started:
        yield started
    wiring.decoders.close()


def test_others_are_answered_while_slow_ones_are_decoded(gateway: Running) -> None:
    for key, data in (SLOW | PHOTOGRAPHS).items():
        gateway.put(key, data)

    def thumbnail(key: str) -> httpx.Response:
        return httpx.get(f"{gateway.url}/v1/thumbnails/inbox/{key}?size=1600", timeout=60)

    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(thumbnail, key) for key in SLOW]
        found = [thumbnail(key) for key in PHOTOGRAPHS]
        assert [answer.status_code for answer in found] == [200] * len(PHOTOGRAPHS)
        assert not any(one.done() for one in waiting)
        assert httpx.get(f"{gateway.url}/healthz").status_code == 200
        assert {problem(one.result()) for one in waiting} == {"not-an-image"}
        assert all("stopped after 4 s" in one.result().text for one in waiting)


def test_a_refusal_is_remembered(gateway: Running) -> None:
    (key, data) = next(iter(SLOW.items()))
    gateway.put(key, data)
    where = f"/v1/thumbnails/inbox/{key}?size=1600"
    assert problem(gateway.http.get(where)) == "not-an-image"
    before = spent()
    assert problem(gateway.http.get(where)) == "not-an-image"
    assert spent() - before < 2


def spent() -> float:
    """Seconds of processor time that this process and its children, alive and ended, have taken."""
    found = [psutil.Process().cpu_times()]
    found += [one.cpu_times() for one in psutil.Process().children(recursive=True)]
    return sum(one.user + one.system for one in found) + found[0].children_user + found[0].children_system
