"""The consumers of Celery workers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from celery.worker import consumer, state

EVENTS_S = 0.5  # for which the events of tasks are gathered


@dataclass
class Activity:
    """What the worker of this process has done; see ``workers.diagnostics.deaf_worker``."""

    taken: int = 0
    turned_at: float = 0.0


activity = Activity()
"""There is one worker in a process."""


def turned() -> None:
    """The event loop of the worker of this process runs."""
    activity.turned_at = time.monotonic()


def busy() -> bool:
    """Whether a message is in work in the worker of this process, or waits for its time there."""
    return bool(len(state.active_requests) or len(state.reserved_requests))


def stopping() -> bool:
    """Whether the worker of this process is asked to end."""
    return any(flag is not None and flag is not False for flag in (state.should_stop, state.should_terminate))


class Consumer(consumer.Consumer):
    """Celery's, which publishes the events of tasks together: one by one they take 40 % of the time of a message."""

    hub: Any
    event_dispatcher: Any
    _flush_at = 0.0

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], object]:
        """See Celery: what is called with every message. Counts them."""
        handle: Callable[[Any], object] = super().create_task_handler(*args, **options)

        def taken(message: Any) -> object:
            activity.taken += 1
            return handle(message)

        return taken

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
