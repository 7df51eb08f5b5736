"""A broker of the user's own, in place of the private Redis of the embedded stack."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from vectordb.errors import Permanent
from workers.broker.publisher import BrokerRefused, BrokerUnavailable

PATIENCE_S = 20.0  # a broker that is started together with the stack takes some seconds
RETRY_S = 0.5


class Reachable(Protocol):
    """The part of a publisher that is used here."""

    def reach(self) -> None:
        """Connect to the broker once. Raises ``BrokerUnavailable``."""
        ...


def await_broker(broker: Reachable, say: Callable[[str], object], patience_s: float = PATIENCE_S) -> None:
    """Wait until the broker takes messages.

    Raises ``Permanent`` after ``patience_s`` seconds, or at once if the broker refuses the account.
    """
    until = time.monotonic() + patience_s
    told = False
    while True:
        try:
            broker.reach()
        except BrokerUnavailable as exc:
            if isinstance(exc, BrokerRefused) or time.monotonic() > until:
                raise Permanent(
                    f"{exc}. Correct WILDTAG_BROKER_URL, or unset it: the queues are then in the Redis of this stack"
                ) from exc
            if not told:
                say(f"Waiting for the broker of WILDTAG_BROKER_URL: {exc}")
                told = True
            time.sleep(RETRY_S)
        else:
            return
