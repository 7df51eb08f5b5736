"""What a notifier does about dead letters, other notifiers, gaps of the feed and outages."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.contract.notifying.notifier_world import PATIENCE_S, SECRET, World, nonzero
from tests.contract.notifying.notifier_world import world as world  # noqa: PLC0414 -- a fixture
from tests.contract.own_redis import OwnRedis
from tests.contract.receiver import Receiver, Reply, Request
from workers.notifying.outbox import Outbox
from workers.notifying.plan import Answer, Plan
from workers.notifying.source import group_of
from workers.outgoing.address_policy import AddressPolicy
from workers.outgoing.http_client import BadCertificates, OutgoingClient
from workers.redis.connection import Client, StoreUnavailable
from workers.redis.keys import Keys
from workers.settings.webhook_kinds import DEFAULT_RECEIVER

LEASE_S = 1.0
GROUP = group_of(DEFAULT_RECEIVER)


def test_dead_letters_are_listed_in_pages_newest_first_and_replayed_under_their_own_id(world: World) -> None:
    world.receiver.answer = lambda _: Reply(400, body=b"what is this?")
    world.finish(*"abcde")
    world.run(lambda: len(world.letters.list()) == 5, attempts=2)
    pages = [world.letters.list(2)]
    while page := world.letters.list(2, pages[-1][-1].id):
        pages.append(page)
    assert [len(page) for page in pages] == [2, 2, 1]
    listed = [letter for page in pages for letter in page]
    assert listed == world.letters.list()
    assert {letter.key for letter in listed} == set("abcde")
    assert {(letter.attempts, letter.reason, letter.type) for letter in listed} == {
        (2, "HTTP 400: what is this?", "object.done")
    }

    world.receiver.answer = lambda _: Reply()
    assert world.letters.replay(listed[0].id)
    assert not world.letters.replay(listed[0].id)
    world.run(lambda: world.receiver.taken and world.quiet())
    assert world.receiver.taken == [listed[0].delivery]
    assert world.letters.list() == listed[1:]
    world.receiver.seen[-1].verify(SECRET)


@pytest.mark.parametrize("letter", ["", "x", "0-1", "9" * 99, "1-1; drop"])
def test_an_id_of_no_dead_letter_is_no_error(world: World, letter: str) -> None:
    assert not world.letters.replay(letter)
    assert world.letters.list(after=letter) == []


def test_the_oldest_dead_letters_are_forgotten_first(client: Client, keys: Keys, receiver: Receiver) -> None:
    world = World(client, keys, receiver)
    world.outbox = Outbox(client, keys, dead_kept=1)
    world.receiver.answer = lambda _: Reply(410)
    world.finish(*(f"{number:03}" for number in range(300)))
    world.run(lambda: world.outbox.counts()["dead"] == 300, at_once=16)
    assert len(world.letters.list(1000)) < 150  # Redis removes whole nodes of a stream


def test_what_a_notifier_read_and_did_not_take_in_another_one_does(world: World) -> None:
    world.finish("a.jpg", "b.jpg")
    with world.notifier() as notifier:
        world.client.xreadgroup(GROUP, "killed", {world.keys.feed: ">"})
        notifier.step(20)
        assert world.receiver.seen == []  # nothing new is there
        notifier.recover(0)
        world.work(notifier, lambda: len(world.receiver.taken) == 2 and world.quiet())


def test_what_a_notifier_took_and_did_not_settle_another_one_sends_when_its_time_is_over(world: World) -> None:
    world.finish("a.jpg")
    with world.notifier() as notifier:
        notifier.recover(0)  # nothing
        world.receiver.answer = lambda _: Reply(503)
        world.work(notifier, lambda: world.outbox.counts()["retried"])
    (taken,) = world.outbox.take(time.time() + 99, time.time() + LEASE_S, 9)  # and it is killed
    began = time.monotonic()
    world.receiver.answer = lambda _: Reply()
    world.run(lambda: world.quiet() and world.receiver.taken)
    assert time.monotonic() - began >= LEASE_S / 2
    assert world.receiver.taken == [taken.id]


def test_a_late_failure_of_a_killed_notifiers_attempt_does_not_undo_a_delivery(world: World) -> None:
    world.finish("a.jpg")
    with world.notifier() as notifier:
        notifier.prepare()
        world.receiver.answer = lambda _: Reply(500)
        world.work(notifier, lambda: world.outbox.counts()["retried"])
        (late,) = world.outbox.take(time.time() + 99, 0.0, 9)
        world.receiver.answer = lambda _: Reply()
        world.work(notifier, lambda: world.quiet() and world.receiver.taken)
    late_answer = Answer(500)
    world.outbox.settle(late, Plan(9).verdict(late_answer, 1, time.time(), 0.5), late_answer, time.time())
    assert world.quiet()
    assert nonzero(world.outbox.counts()) == {"delivered": 1, "retried": 1}


def test_what_the_feed_forgot_while_nobody_read_it_is_counted_once(
    client: Client, keys: Keys, receiver: Receiver
) -> None:
    world = World(client, keys, receiver, feed_length=100)
    world.finish("first")
    world.run(lambda: world.quiet() and world.receiver.taken)
    world.receiver.stopped.clear()
    world.finish(*(f"{number:04}" for number in range(1000)))
    left = world.client.xlen(keys.feed)
    world.run(lambda: len(set(world.receiver.ids())) == 1 + left and world.quiet(), at_once=16)
    lost = world.outbox.counts()["lost"]
    assert lost == (1 if world.older_than_7() else 1000 - left)
    assert Counter(world.receiver.keys()).most_common(1)[0][1] == 1


def test_what_was_read_and_forgotten_before_it_was_taken_in_is_counted(world: World) -> None:
    world.finish(*"abc")
    with world.notifier() as notifier:
        world.client.xreadgroup(GROUP, "killed", {world.keys.feed: ">"}, count=2)
        world.client.xtrim(world.keys.feed, maxlen=1, approximate=False)
        notifier.recover(0)
        world.work(notifier, lambda: len(world.receiver.taken) == 1 and world.quiet())
    unsure = world.older_than_7()  # then whether something lay between what was read and what is left is not known
    assert world.outbox.counts()["lost"] in ({2, 3} if unsure else {2})


def test_a_record_that_cannot_be_read_holds_up_no_other(world: World) -> None:
    world.client.xadd(world.keys.feed, {"oid": "photos/x", "state": "done", "body": b'{"of": "another wildtag"}'})
    world.finish("a.jpg")
    world.run(lambda: world.receiver.taken and world.quiet())
    assert nonzero(world.outbox.counts()) == {"delivered": 1, "lost": 1}


def test_while_too_many_wait_the_feed_is_left_to_remember(world: World) -> None:
    world.receiver.answer = lambda _: Reply(500)
    with world.notifier(wait=600.0, waiting_most=2) as notifier:
        world.finish("a", "b")
        world.work(notifier, lambda: world.outbox.counts()["retried"] == 2)
        world.finish("c")
        notifier.step(20)
        notifier.step(20)
    assert world.outbox.waiting() == 2
    assert set(world.receiver.keys()) == {"a", "b"}


def test_an_answer_that_comes_while_redis_is_away_is_kept_until_it_is_back(keys: Keys, receiver: Receiver) -> None:
    own = OwnRedis()
    try:
        world = World(own.start(), keys, receiver)
        under_way, go_on = threading.Event(), threading.Event()

        def answer(_: Request) -> Reply:
            under_way.set()
            go_on.wait(PATIENCE_S)
            return Reply()

        receiver.answer = answer
        world.finish("a.jpg")
        with world.notifier(timeout_s=PATIENCE_S) as notifier:
            world.work(notifier, under_way.is_set)
            own.kill()
            go_on.set()
            with pytest.raises(StoreUnavailable):
                world.work(notifier, world.quiet)
            own.start()
            world.work(notifier, world.quiet)
        assert len(receiver.seen) == 1
        assert nonzero(world.outbox.counts()) == {"delivered": 1}
    finally:
        own.close()


def test_a_file_of_certificates_that_is_none_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    for _ in range(2):
        with pytest.raises(BadCertificates, match=r"ca\.pem"):
            OutgoingClient(AddressPolicy(), 1.0, file)
        file.write_text("no certificate")
