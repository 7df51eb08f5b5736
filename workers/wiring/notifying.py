"""Creates the notifier, its HTTP client, and the writer of tags."""

from __future__ import annotations

from vectordb.errors import Permanent
from workers.notifying.notifier import Notifier, Post
from workers.notifying.plan import Plan
from workers.notifying.posting import Poster
from workers.notifying.writeback import Writer
from workers.outgoing.address_policy import AddressPolicy
from workers.outgoing.http_client import OutgoingClient
from workers.settings.webhook_secrets import secrets_of
from workers.wiring.wiring import Wiring


def poster(wiring: Wiring) -> Poster:
    """The client of the receiver. Raises ``Permanent`` if no receiver is configured, or its settings are wrong."""
    s = wiring.settings
    if s.notify_url is None or s.notify_secret is None:
        raise Permanent("there is no receiver: set WILDTAG_NOTIFY_URL and WILDTAG_NOTIFY_SECRET")
    client = OutgoingClient(AddressPolicy.of(s.outgoing_allow), s.notify_timeout_s, s.notify_ca_file)
    return Poster(s.notify_url, secrets_of(s.notify_secret), client, wiring.clock)


def notifier(wiring: Wiring, post: Post, consumer: str) -> Notifier:
    """A notifier with this consumer name."""
    s = wiring.settings
    return Notifier(
        wiring.redis, wiring.keys, wiring.outbox, post, Plan(s.notify_attempts),
        at_once=s.notify_at_once, lease_s=2 * s.notify_timeout_s, consumer=consumer, clock=wiring.clock,
    )  # fmt: skip


def writer(wiring: Wiring, consumer: str) -> Writer:
    """A writer of tags, with this consumer name."""
    s = wiring.settings
    return Writer(
        wiring.store, wiring.records, wiring.redis, wiring.keys, s.bucket, s.write_back, s.output_prefix, consumer,
        wiring.outage_tracker,
    )  # fmt: skip
