"""Webhooks over a real Redis and a real HTTP server: delivered at least once, retried, given up, replayed."""

from __future__ import annotations

import base64
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tasks.messages import ObjectRef, Revision
from tests.contract.own_redis import OwnRedis
from tests.contract.receiver import Receiver, Reply, Request, receiving
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Error, Record, State
from workers.notifying.dead_letters import DeadLetters
from workers.notifying.notifier import GROUP, Notifier
from workers.notifying.outbox import Outbox
from workers.notifying.plan import Answer, Plan
from workers.notifying.posting import BadCertificates, Poster
from workers.redis.connection import Client, StoreUnavailable
from workers.redis.keys import Keys
from workers.settings.webhook_secrets import secrets_of

SECRET = f"whsec_{base64.b64encode(random.Random(3).randbytes(32)).decode()}"
LEASE_S = 1.0
PATIENCE_S = 20.0


class World:
    """Records that are written, a receiver, and notifiers."""

    def __init__(self, client: Client, keys: Keys, receiver: Receiver, feed_length: int = 1000) -> None:
        self.client: Any = client
        self.keys = keys
        self.receiver = receiver
        self.ledger = Ledger(client, keys, feed_length)
        self.outbox = Outbox(client, keys)
        self.letters = DeadLetters(client, keys)

    def finish(self, *names: str, state: State = "done") -> None:
        refs = [ObjectRef("photos", name, "e") for name in names]
        self.ledger.enter([Arrival(ref, force=True) for ref in refs], Revision("s", "c@1"), 1.0, 9.0)
        records = [
            Record(bucket="photos", key=name, etag="e", state=state, space_id="s", captions_version="c@1",
                   error=None if state == "done" else Error("not-an-image", "is no image"))
            for name in names
        ]  # fmt: skip
        assert self.ledger.finish(records, time.time()) == [True] * len(names)

    @contextmanager
    def notifier(
        self, timeout_s: float = 5.0, attempts: int = 3, wait: float = 0.05, at_once: int = 4, **rest: int
    ) -> Iterator[Notifier]:
        with Poster(self.receiver.url, secrets_of(SECRET), timeout_s, None, time.time) as poster:
            made = Notifier(
                self.client, self.keys, self.outbox, poster.post, Plan(attempts, wait), at_once=at_once,
                lease_s=60.0, consumer="me", clock=time.time, **rest,
            )  # fmt: skip
            made.prepare()
            yield made
            self.receiver.stopped.set()
            made.abandon(0)

    def run(self, until: Callable[[], object], **options: Any) -> None:
        """A notifier at work until something is so."""
        with self.notifier(**options) as notifier:
            self.work(notifier, until)

    def work(self, notifier: Notifier, until: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not until():
            assert time.monotonic() < deadline, (self.outbox.counts(), self.receiver.ids())
            notifier.step(20)

    def older_than_7(self) -> bool:
        """Redis does not count what was added to a stream."""
        return int(self.client.info()["redis_version"].split(".")[0]) < 7

    def quiet(self) -> bool:
        """Nothing is left to be sent."""
        return self.outbox.waiting() == 0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def world(client: Client, keys: Keys, receiver: Receiver) -> World:
    return World(client, keys, receiver)


def nonzero(counts: Any) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


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
    world.outbox.settle(late, Plan(9).verdict(Answer(500), 1, time.time(), 0.5))
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
        with pytest.raises(BadCertificates, match="NOTIFY_CA_FILE"):
            Poster("https://127.0.0.1/", [b"k"], 1.0, file, time.time).__enter__()
        file.write_text("no certificate")
