"""Creates notifiers, their HTTP clients, and the writer of tags."""

from __future__ import annotations

from workers.notifying.notifier import Notifier, Post
from workers.notifying.outbox import Outbox
from workers.notifying.plan import Plan
from workers.notifying.posting import Poster
from workers.notifying.writeback import Writer
from workers.outgoing.address_policy import AddressPolicy
from workers.outgoing.http_client import OutgoingClient
from workers.settings.webhook_receivers import Receiver
from workers.wiring.wiring import Wiring


def poster(wiring: Wiring, receiver: Receiver) -> Poster:
    """The client of a receiver. Raises ``Permanent`` if its settings are wrong."""
    client = OutgoingClient(
        AddressPolicy.of(wiring.settings.outgoing_allow), receiver.timeout_s, receiver.ca_file
    )  # fmt: skip
    return Poster(receiver.url, receiver.keys, client, wiring.clock)


def notifier(wiring: Wiring, receiver: Receiver, post: Post, consumer: str) -> Notifier:
    """The notifier of a receiver, with this consumer name."""
    outbox = Outbox(wiring.redis, wiring.keys, receiver.name)
    return Notifier(
        wiring.redis, wiring.keys, outbox, post, Plan(receiver.attempts), at_once=receiver.at_once,
        lease_s=2 * receiver.timeout_s, consumer=consumer, clock=wiring.clock, kinds=receiver.kinds,
    )  # fmt: skip


def writer(wiring: Wiring, consumer: str) -> Writer:
    """A writer of tags, with this consumer name."""
    s = wiring.settings
    return Writer(
        wiring.store, wiring.records, wiring.redis, wiring.keys, s.bucket, s.write_back, s.output_prefix, consumer,
        wiring.outage_tracker,
    )  # fmt: skip
