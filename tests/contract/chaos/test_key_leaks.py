"""What a chaos run finds in Redis: nothing after work that is done, and every key that belongs to nothing."""

from __future__ import annotations

from collections.abc import Callable

from ops.chaos.key_leaks import leaked_keys, look
from tests.contract.segmentation.drawing_world import make as make  # noqa: PLC0414 -- a fixture
from tests.contract.segmenting_world import World


def test_work_that_is_done_leaves_nothing_and_what_is_left_is_found(make: Callable[..., World]) -> None:
    world = make()
    wiring, redis, keys = world.wiring, world.wiring.redis, world.wiring.keys
    for key in ("a.png", "gone.png", "segmented.png"):
        if key == "segmented.png":
            world.request_segmentation(key)
        world.put(key)
    world.put("bad.png", b"no image")
    world.settle()
    world.again("a.png")
    world.remove("gone.png")
    world.settle()
    objects = ["a.png", "bad.png", "segmented.png"]
    assert look(wiring, objects) == []
    assert len(look(wiring, ["a.png", "bad.png"])) == 2, "a record and artifacts of an object that is not there"

    redis.set("strange", 1)
    redis.set("test:strange", 1)
    redis.set(keys.cache("x"), 1)
    redis.set(keys.entry("inbox/a.png"), 1)
    redis.sadd(keys.artifacts, "inbox/gone.png")
    redis.zadd(keys.tag("never"), {b"\0\0\0\0\1": 1})
    redis.lpush("test:embedding", 1)
    redis.set("test:next:encoder", 1)
    found = leaked_keys(wiring, objects, patience_s=0)
    assert len(found) == 8, "\n".join(found)
