"""What waiting requests cost, and when they are told. Redis is made up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from workers.gateway import broadcaster as module
from workers.gateway.broadcaster import Broadcaster
from workers.lifecycle.progress import Progress
from workers.lifecycle.record_reader import FeedItem

NOW = Progress(bucket="b", key="a.jpg", etag="e", state="embedding")
LATER = Progress(bucket="b", key="a.jpg", etag="e", state="retrieval")
DONE = Progress(bucket="b", key="a.jpg", etag="e", state="done")


class Stored:
    """One object and a feed. ``looks``: the objects of each look at the steps."""

    def __init__(self) -> None:
        self.progress = NOW
        self.coming: list[FeedItem] = []
        self.looks: list[list[str]] = []

    def tokens(self, oids: Sequence[str]) -> list[str]:
        self.looks.append(list(oids))
        return [self.progress.state for _ in oids]

    def look(self) -> Progress:
        return self.progress

    def feed_end(self) -> str:
        return "0-0"

    def feed(self, _after: str, _block_ms: int) -> list[FeedItem]:
        time.sleep(0.005)  # as a read that waits for entries
        coming, self.coming = self.coming, []
        return coming

    def finish(self, *, told: bool) -> None:
        self.progress = DONE
        if told:
            self.coming.append(FeedItem("1-1", "b/a.jpg", None))


async def states(stored: Stored, changes: Sequence[Any], *, each: bool) -> list[str]:
    """The states that a request meets whose object changes after each look that finds nothing new."""
    made: Any = Broadcaster(stored, stored)  # type: ignore[arg-type]  # as above
    met = []
    left = list(changes)
    async with made.running():
        await asyncio.sleep(0.02)  # until the feed is read
        async for progress in made.steps("b/a.jpg", stored.look, 10, each=each):
            met.append(progress.state)
            await asyncio.sleep(2.5 * module.LOOK_EVERY_S)  # looks that a change would need
            if left:
                left.pop(0)()
    return met


def test_the_end_is_told_by_the_feed_without_a_look_at_the_steps() -> None:
    stored = Stored()
    assert asyncio.run(states(stored, [lambda: stored.finish(told=True)], each=False)) == ["embedding", "done"]
    assert stored.looks == []


def test_the_end_is_found_if_the_feed_does_not_tell_it() -> None:
    stored = Stored()
    met = asyncio.run(states(stored, [lambda: stored.finish(told=False)], each=False))
    assert (met[0], met[-1]) == ("embedding", "done")
    assert 1 <= len(stored.looks) <= 2


def test_each_step_is_met_by_who_wants_it() -> None:
    stored = Stored()

    def step() -> None:
        stored.progress = LATER

    met = asyncio.run(states(stored, [step, lambda: stored.finish(told=True)], each=True))
    assert list(dict.fromkeys(met)) == ["embedding", "retrieval", "done"]
    assert stored.looks[0] == ["b/a.jpg"]
