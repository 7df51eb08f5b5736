"""The consumer of a Celery worker for RabbitMQ."""

from __future__ import annotations

from celery.worker import consumer


class Consumer(consumer.Consumer):  # type: ignore[misc]  # Celery's has no types
    """Celery's, without the 28 queues that it declares for delays of years: ours are short, and have their own queue."""

    class Blueprint(consumer.Consumer.Blueprint):  # type: ignore[misc]  # as above
        """The steps of its start."""

        default_steps = [  # noqa: RUF012 -- as Celery has it
            step for step in consumer.Consumer.Blueprint.default_steps if not step.endswith(":DelayedDelivery")
        ]
