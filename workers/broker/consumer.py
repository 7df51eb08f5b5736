"""The consumers of Celery workers."""

from __future__ import annotations

from typing import Any

from celery.worker import consumer

EVENTS_EVERY_S = 0.2


class Consumer(consumer.Consumer):
    """Celery's, which tells monitors what happened up to ``EVENTS_EVERY_S`` later, and all in one message.

    Celery's own tells it before it passes a message on to the process that works on it, and again when that process
    begins and ends: the work waits, and each of these messages takes CPU here, in Redis and in Flower.
    """

    hub: Any  # the event loop of the process, which Celery's types do not name
    _scheduled = False

    def on_send_event_buffered(self) -> None:
        """See Celery: called after each event that is held. 24 of them are sent without waiting."""
        if not self._scheduled:
            self._scheduled = True
            self.hub.call_later(EVENTS_EVERY_S, self._flush_events)

    def stop(self) -> None:
        """See Celery."""
        self._flush_events()
        super().stop()

    def _flush_events(self) -> None:
        self._scheduled = False
        super()._flush_events()  # type: ignore[misc]  # Celery's types do not name it


class RabbitMQConsumer(Consumer):
    """Without the 28 queues that Celery declares for delays of years: ours are short, and have a queue."""

    class Blueprint(consumer.Consumer.Blueprint):  # type: ignore[valid-type, misc]  # Celery's types name no class
        """The steps of its start."""

        default_steps = [  # noqa: RUF012 -- as Celery has it
            step for step in consumer.Consumer.Blueprint.default_steps if not step.endswith(":DelayedDelivery")
        ]
