"""The follower gathers what comes in quick succession, and loses nothing by it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from vectordb.images import image_id
from workers.images import image_requests as requests
from workers.images.follower import PAGE, Follower
from workers.lifecycle.record_reader import FeedItem
from workers.redis.keys import Keys


class Feed:
    """A feed of removals, and what is sent to the owner of the index."""

    def __init__(self) -> None:
        self.now = 100.0
        self.removed: list[str] = []
        self.sent: list[tuple[int, ...]] = []
        values: dict[str, bytes] = {}
        client: Any = SimpleNamespace(get=values.get, set=lambda key, value: values.update({key: value.encode()}))
        self.follower = Follower(
            self, self, client, Keys("test:"), "space", gather_s=1.0, clock=lambda: self.now  # type: ignore[arg-type]
        )  # fmt: skip

    def feed_page(self, after: str, count: int) -> list[FeedItem]:
        start = int(after.partition("-")[0])
        return [FeedItem(f"{at + 1}-0", oid, None) for at, oid in enumerate(self.removed)][start:][:count]

    def feed_begin(self) -> str:
        return "1-0"

    def ask(self, _queue: str, _task: str, _request: str, data: bytes, _label: str, _lifetime: float) -> None:
        self.sent.append(msgspec.msgpack.decode(data, type=requests.Remove).ids)

    def ids(self, *oids: str) -> tuple[int, ...]:
        return tuple(image_id(*oid.split("/")) for oid in oids)


@pytest.fixture
def feed() -> Feed:
    return Feed()


def test_the_first_change_is_sent_at_once_and_the_next_ones_together(feed: Feed) -> None:
    feed.removed.append("photos/1")
    assert feed.follower.step() == 1
    for number in (2, 3):
        feed.removed.append(f"photos/{number}")
        feed.now += 0.3
        assert feed.follower.step() == 0
    feed.now += 0.5
    assert feed.follower.step() == 2
    assert feed.sent == [feed.ids("photos/1"), feed.ids("photos/2", "photos/3")]


def test_after_a_pause_nothing_waits(feed: Feed) -> None:
    assert feed.follower.step() == 0
    feed.now += 0.1
    feed.removed.append("photos/1")
    assert feed.follower.step() == 1


def test_who_is_behind_does_not_rest(feed: Feed) -> None:
    feed.removed += [f"photos/{number}" for number in range(PAGE + 1)]
    assert feed.follower.step() == PAGE
    assert feed.follower.step() == 1
