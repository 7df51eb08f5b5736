"""Duplicates over HTTP: pages of groups, and waiting requests that hold no other route."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from tasks.duplicates import Copy, Group
from tests.contract.gateway.running import Running, running, wired
from workers.gateway.duplicates import Finder

GROUPS = [
    Group((Copy(f"inbox/{name}.png", 100, 900), Copy(f"inbox/{name} small.jpg", 25, 300)), 300) for name in "abc"
]
WAITING = 60  # more requests than the threads that all routes share


class OneArchive(Finder):
    """Finds the same groups, when it is allowed to answer."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.answers.set()

    def find(self, *, fresh: bool = False) -> list[Group]:  # noqa: ARG002 -- the protocol
        self.answers.wait(30)
        return GROUPS


@pytest.fixture(scope="module")
def finder() -> OneArchive:
    return OneArchive()


@pytest.fixture(scope="module")
def gateway(redis_url: str, tmp_path_factory: pytest.TempPathFactory, finder: OneArchive) -> Iterator[Running]:
    with running(wired(tmp_path_factory.mktemp("home"), redis_url), replaced={"duplicates": finder}) as made:
        yield made


def test_groups_are_listed_page_by_page(gateway: Running) -> None:
    first = gateway.http.get("/v1/duplicates", params={"limit": 2}).json()
    assert (first["total"], first["wasted"], len(first["groups"])) == (3, 900, 2)
    assert [copy["key"] for copy in first["groups"][0]["copies"]] == ["a.png", "a small.jpg"]
    last = gateway.http.get("/v1/duplicates", params={"limit": 2, "cursor": first["cursor"]}).json()
    assert (len(last["groups"]), last["cursor"]) == (1, None)


def test_requests_that_wait_for_a_worker_hold_no_other_route(gateway: Running, finder: OneArchive) -> None:
    finder.answers.clear()
    asking = [threading.Thread(target=lambda: gateway.http.get("/v1/duplicates")) for _ in range(WAITING)]
    for thread in asking:
        thread.start()
    took = []
    for _ in range(10):
        began = time.monotonic()
        assert gateway.http.get("/v1/tags").status_code == 200
        took.append(time.monotonic() - began)
    finder.answers.set()
    for thread in asking:
        thread.join(30)
    assert sorted(took)[5] < 0.5
