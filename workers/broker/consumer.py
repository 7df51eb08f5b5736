"""The consumers of Celery workers."""

from __future__ import annotations

import time
from typing import Any

from celery.worker import consumer

EVENTS_S = 0.5  # for which the events of tasks are gathered


class Consumer(consumer.Consumer):
    """Celery's, which publishes the events of tasks together: one by one they take 40 % of the time of a message."""

    hub: Any
    event_dispatcher: Any
    _flush_at = 0.0

    def on_send_event_buffered(self) -> None:  # type: ignore[override]  # Celery's types are wrong
        """See Celery: called for every event."""
        now = time.monotonic()
        if self.hub and now >= self._flush_at:  # a timer that went with a lost connection is made again
            self._flush_at = now + EVENTS_S
            self.hub.call_later(EVENTS_S, self._flush_gathered)

    def _flush_gathered(self) -> None:
        if self.event_dispatcher:
            self.event_dispatcher.flush()


class RabbitConsumer(Consumer):
    """Without the 28 queues that Celery declares for delays of years: ours are short, and have a queue."""

    class Blueprint(consumer.Consumer.Blueprint):  # type: ignore[valid-type, misc]  # Celery's types name no class
        """The steps of its start."""

        default_steps = [  # noqa: RUF012 -- as Celery has it
            step for step in consumer.Consumer.Blueprint.default_steps if not step.endswith(":DelayedDelivery")
        ]
