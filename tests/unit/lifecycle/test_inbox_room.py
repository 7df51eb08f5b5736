"""Events are refused while too many wait, and Redis is asked a few times a second."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from workers.lifecycle.inbox_room import LOOK_EVERY_S, REMIND_EVERY_S, InboxFull, InboxRoom
from workers.redis.connection import StoreUnavailable


class World:
    """An inbox and the time."""

    now = 0.0
    length = 0
    asked = 0

    def __init__(self) -> None:
        self.room = InboxRoom(self.read, 3, lambda: self.now)

    def read(self) -> int:
        self.asked += 1
        if self.length < 0:
            raise StoreUnavailable("away")
        return self.length

    def accepts(self, length: int, later: float = LOOK_EVERY_S) -> bool:
        self.length, self.now = length, self.now + later
        try:
            self.room.require()
        except InboxFull as exc:
            assert exc.service == "inbox"  # noqa: PT017 -- whatever raises it
            return False
        return True


def test_it_is_full_from_the_limit_on_until_something_was_read() -> None:
    world = World()
    assert [world.accepts(length) for length in (0, 2, 3, 4, 3, 2)] == [True, True, False, False, False, True]


def test_redis_is_asked_now_and_then() -> None:
    world = World()
    assert all(world.accepts(0, LOOK_EVERY_S / 10) for _ in range(25))
    assert world.asked == 3


def test_redis_away_is_said_as_it_is_and_it_is_asked_again() -> None:
    world = World()
    world.length = -1
    with pytest.raises(StoreUnavailable, match="away"):
        world.room.require()
    assert world.accepts(0, 0.0)


def test_a_full_inbox_is_logged_once_a_minute_and_its_end() -> None:
    world = World()
    with capture_logs() as lines:
        for _ in range(10):
            world.accepts(5)
        world.accepts(5, REMIND_EVERY_S)
        world.accepts(0)
    assert [line["log_level"] for line in lines] == ["warning", "warning", "info"]
