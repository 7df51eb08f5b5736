"""When the dispatcher waits for more images before it sends a batch."""

from __future__ import annotations

import threading

from tests.contract.dispatch.dispatching_world import World, created
from tests.contract.dispatch.dispatching_world import world as world  # noqa: PLC0414 -- a fixture
from tests.eventually import eventually
from workers.redis.connection import Client


def test_an_image_that_comes_to_an_idle_system_does_not_wait_for_others(world: World, client: Client) -> None:
    """Also when the one before was still in progress as the dispatcher began to wait."""
    before, image = world.put("before.jpg"), world.put("a.jpg")
    dispatcher = world.dispatcher(batch_wait_ms=10_000)
    world.inbox.append([created(before)])
    dispatcher.step(block_ms=10)
    waiting = threading.Thread(target=lambda: dispatcher.step(block_ms=60_000))
    waiting.start()
    eventually(lambda: client.info("clients")["blocked_clients"])
    world.finish(before)
    world.inbox.append([created(image)])
    eventually(lambda: world.queues.sent == [["before.jpg"], ["a.jpg"]], timeout_s=5)
    waiting.join()


def test_while_images_are_in_progress_those_that_come_are_sent_together(world: World, client: Client) -> None:
    refs = [world.put(f"{number}.jpg") for number in range(4)]
    dispatcher = world.dispatcher(batch_max=3, batch_wait_ms=60_000)
    world.inbox.append([created(refs[0])])
    dispatcher.step(block_ms=10)
    waiting = threading.Thread(target=lambda: dispatcher.step(block_ms=60_000))
    waiting.start()
    eventually(lambda: client.info("clients")["blocked_clients"])
    for ref in refs[1:]:
        world.inbox.append([created(ref)])
    waiting.join(30)
    assert world.queues.sent == [["0.jpg"], ["1.jpg", "2.jpg", "3.jpg"]]
