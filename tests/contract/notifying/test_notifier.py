"""Webhooks over a real Redis and a real HTTP server: delivered at least once, retried, given up, replayed."""

from __future__ import annotations

import threading
import time

import pytest

from tests.contract.notifying.notifier_world import PATIENCE_S, SECRET, World, nonzero
from tests.contract.notifying.notifier_world import world as world  # noqa: PLC0414 -- a fixture
from tests.contract.receiver import Reply, Request, receiving


def test_every_final_state_is_told_once_signed_and_with_its_record(world: World) -> None:
    world.finish("a.jpg")
    world.finish("b.jpg", state="failed")
    world.finish("c.jpg", state="dead")
    world.ledger.remove(["photos/a.jpg"])
    world.run(lambda: len(world.receiver.seen) == 3 and world.quiet())
    for request in world.receiver.seen:
        request.verify(SECRET)
        assert request.headers["content-type"] == "application/json"
    events = {request.event["data"]["key"]: request.event for request in world.receiver.seen}
    assert {key: event["type"] for key, event in events.items()} == {
        "a.jpg": "object.done", "b.jpg": "object.failed", "c.jpg": "object.dead",
    }  # fmt: skip
    assert events["b.jpg"]["data"]["error"]["reason"] == "is no image"
    assert events["a.jpg"]["timestamp"].endswith("Z")
    assert nonzero(world.outbox.counts()) == {"delivered": 3}


def test_a_failure_is_followed_by_another_attempt_of_the_same_id_signed_anew(world: World) -> None:
    replies = [Reply(500, body=b"out of order"), Reply(200)]
    world.receiver.answer = lambda _: replies.pop(0)
    world.finish("a.jpg")
    world.run(lambda: world.receiver.taken and world.quiet())
    first, second = world.receiver.seen
    assert first.id == second.id
    assert first.body == second.body
    second.verify(SECRET)
    assert nonzero(world.outbox.counts()) == {"delivered": 1, "retried": 1}


def test_what_fails_holds_nothing_else_up(world: World) -> None:
    names = [f"{number}.jpg" for number in range(20)]

    def answer(request: Request) -> Reply:
        if request.event["data"]["key"] == "0.jpg":
            world.receiver.stopped.wait(PATIENCE_S)
        return Reply(500 if request.event["data"]["key"] == "1.jpg" else 200)

    world.receiver.answer = answer
    world.finish(*names)
    began = time.monotonic()
    with world.notifier(wait=600.0, timeout_s=PATIENCE_S) as notifier:
        world.work(notifier, lambda: world.outbox.counts()["delivered"] == 18)
        assert time.monotonic() - began < PATIENCE_S / 2
        assert world.outbox.waiting() == 2


def test_a_receiver_that_does_not_answer_in_time_is_asked_again(world: World) -> None:
    slow = threading.Event()

    def answer(_: Request) -> Reply:
        if not slow.is_set():
            slow.set()
            world.receiver.stopped.wait(PATIENCE_S)
        return Reply()

    world.receiver.answer = answer
    world.finish("a.jpg")
    world.run(lambda: world.quiet() and world.receiver.taken, timeout_s=0.3, attempts=50)
    assert world.outbox.counts()["delivered"] == 1
    assert world.outbox.counts()["retried"] >= 1


def test_an_answer_that_comes_byte_by_byte_ends_with_the_time_of_an_attempt(world: World) -> None:
    world.receiver.answer = lambda _: Reply(drips=500)
    world.finish("a.jpg")
    world.run(world.letters.list, timeout_s=0.4, attempts=1)
    assert world.letters.list()[0].reason == "no answer within 0.4 s"


def test_a_receiver_that_is_gone_hears_no_more_of_it(world: World) -> None:
    world.receiver.answer = lambda _: Reply(410)
    world.finish("a.jpg")
    world.run(world.letters.list)
    assert len(world.receiver.seen) == 1
    assert world.letters.list()[0].reason == "HTTP 410"
    assert nonzero(world.outbox.counts()) == {"dead": 1}


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_asks_for_time_is_sent_nothing_meanwhile(world: World, status: int) -> None:
    came: list[float] = []

    def answer(_: Request) -> Reply:
        came.append(time.monotonic())
        return Reply(status, {"retry-after": "1"}) if len(came) == 1 else Reply()

    world.receiver.answer = answer
    world.finish(*"abcdef")
    world.run(lambda: len(world.receiver.taken) == 6 and world.quiet(), at_once=1)
    assert came[1] - came[0] >= 1.0


def test_a_redirect_is_not_followed(world: World) -> None:
    with receiving() as elsewhere:
        world.receiver.answer = lambda _: Reply(307, {"location": elsewhere.url})
        world.finish("a.jpg")
        world.run(world.letters.list, attempts=2)
        assert elsewhere.seen == []
    assert len(world.receiver.seen) == 2
    assert "not followed" in world.letters.list()[0].reason


def test_of_an_answer_only_the_beginning_is_kept_whatever_it_holds(world: World) -> None:
    world.receiver.answer = lambda _: Reply(500, body=b"\x1b[31mno\n\xff" + b"x" * 5_000_000)
    world.finish("a.jpg")
    world.run(world.letters.list, attempts=1)
    reason = world.letters.list()[0].reason
    assert reason.startswith("HTTP 500: [31mno")
    assert reason.isprintable()
    assert len(reason) < 400


def test_nobody_listening_is_a_failure_like_others(world: World) -> None:
    world.receiver.url = "http://127.0.0.1:9/"  # discard
    world.finish("a.jpg")
    world.run(world.letters.list)
    assert world.letters.list()[0].attempts == 3
    assert "ConnectError" in world.letters.list()[0].reason
