"""The consumer of a Celery worker for RabbitMQ."""

from __future__ import annotations

from celery.worker import consumer


class Consumer(consumer.Consumer):
    """Celery's, without the 28 queues that it declares for delays of years: ours are short, and have a queue."""

    class Blueprint(consumer.Consumer.Blueprint):  # type: ignore[valid-type, misc]  # Celery's types name no class
        """The steps of its start."""

        default_steps = [  # noqa: RUF012 -- as Celery has it
            step for step in consumer.Consumer.Blueprint.default_steps if not step.endswith(":DelayedDelivery")
        ]
