"""Duplicates over HTTP: pages of groups, and waiting requests that hold no other route."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from tasks.duplicates import Copy, Group
from tasks.message_parts import place_of
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
    """Images that were removed since they were compared are left out, also of groups that were listed to come."""
    for group in GROUPS:
        for copy in group.copies:
            gateway.tagged(place_of(copy.id)[1], "cat")
    first = gateway.http.get("/v1/duplicates", params={"limit": 2}).json()
    assert (first["total"], first["wasted"], len(first["groups"])) == (3, 900, 2)
    assert [copy["key"] for copy in first["groups"][0]["copies"]] == ["a.png", "a small.jpg"]
    last = gateway.http.get("/v1/duplicates", params={"limit": 2, "cursor": first["cursor"]}).json()
    assert (len(last["groups"]), last["cursor"]) == (1, None)
    assert gateway.http.delete("/v1/objects/inbox/c.png").status_code == 204
    last = gateway.http.get("/v1/duplicates", params={"limit": 2, "cursor": first["cursor"]}).json()
    assert (last["groups"], last["cursor"]) == ([], None)
    assert len(gateway.http.get("/v1/duplicates").json()["groups"]) == 2


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
