"""A receiver and a notifier, for the tests of deliveries."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tasks.message_parts import ObjectRef, Revision
from tests.contract.receiver import Receiver
from tests.eventually import eventually
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Error, Record, State
from workers.notifying.dead_letters import DeadLetters
from workers.notifying.notifier import Notifier
from workers.notifying.outbox import Outbox
from workers.notifying.plan import Plan
from workers.notifying.posting import Poster
from workers.outgoing.address_policy import AddressPolicy
from workers.outgoing.http_client import OutgoingClient
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.settings.webhook_kinds import DEFAULT_RECEIVER
from workers.settings.webhook_secrets import secrets_of

SECRET = f"whsec_{base64.b64encode(random.Random(3).randbytes(32)).decode()}"


PATIENCE_S = 60.0


class World:
    """Records that are written, a receiver, and notifiers."""

    def __init__(
        self, client: Client, keys: Keys, receiver: Receiver, feed_length: int = 1000, name: str = DEFAULT_RECEIVER
    ) -> None:
        self.client: Any = client
        self.keys = keys
        self.receiver = receiver
        self.ledger = Ledger(client, keys, feed_length)
        self.outbox = Outbox(client, keys, name)
        self.letters = DeadLetters(client, keys)

    def finish(self, *names: str, state: State = "done", **more: Any) -> None:
        refs = [ObjectRef("photos", name, "e") for name in names]
        self.ledger.enter([Arrival(ref, force=True) for ref in refs], Revision("s", "c@1"), 1.0, 9.0)
        records = [
            Record(bucket="photos", key=name, etag="e", state=state, space_id="s", captions_version="c@1",
                   error=None if state == "done" else Error("not-an-image", "is no image"), **more)
            for name in names
        ]  # fmt: skip
        assert self.ledger.finish(records, time.time()) == [True] * len(names)

    @contextmanager
    def notifier(
        self, timeout_s: float = 5.0, attempts: int = 3, wait: float = 0.05, at_once: int = 4,
        from_beginning: bool = True, prepared: bool = True, **rest: Any,
    ) -> Iterator[Notifier]:  # fmt: skip
        here = OutgoingClient(AddressPolicy.of(["127.0.0.1"]), timeout_s)
        with Poster(self.receiver.url, secrets_of(SECRET), here, time.time) as poster:
            made = Notifier(
                self.client, self.keys, self.outbox, poster.post, Plan(attempts, wait), at_once=at_once,
                lease_s=60.0, consumer="me", clock=time.time, **rest,
            )  # fmt: skip
            if prepared:
                made.prepare(from_beginning=from_beginning)
            yield made
            self.receiver.stopped.set()
            made.abandon(0)

    def run(self, until: Callable[[], object], **options: Any) -> None:
        """A notifier at work until something is so."""
        with self.notifier(**options) as notifier:
            self.work(notifier, until)

    def work(self, notifier: Notifier, until: Callable[[], object]) -> None:
        def so() -> bool:
            if until():
                return True
            notifier.step(20)
            return False

        eventually(so, PATIENCE_S, lambda: str((self.outbox.counts(), self.receiver.ids())), every_s=0)

    def older_than_7(self) -> bool:
        """Redis does not count what was added to a stream."""
        return int(self.client.info()["redis_version"].split(".")[0]) < 7

    def quiet(self) -> bool:
        """Nothing is left to be sent."""
        return self.outbox.waiting() == 0


@pytest.fixture
def world(client: Client, keys: Keys, receiver: Receiver) -> World:
    return World(client, keys, receiver)


def nonzero(counts: Any) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}
