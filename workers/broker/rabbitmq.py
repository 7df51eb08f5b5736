"""Celery's settings for RabbitMQ: quorum queues, a queue for short pauses, and names of our own in a virtual host.

See ops/decisions/0039-rabbitmq.md.
"""

from __future__ import annotations

from typing import Any

from kombu import Exchange, Queue

from workers.broker.amqp_transport import DELAYED, HEARTBEAT_S, PATH, STALLED_S
from workers.settings.settings import QUEUES

REDELIVERIES = 3
"""How often RabbitMQ delivers a message again that a worker did not finish.

Then it drops the message, and the ledger takes over. Without a limit, an object that kills its worker would do so for
ever, because a redelivery counts as no attempt. The arguments of a queue cannot be changed while it exists.
"""


def rabbitmq_configuration(prefix: str) -> dict[str, Any]:
    """What replaces Celery's settings for Redis. ``prefix``: of the names of all queues and exchanges."""
    return {
        "broker_transport": PATH,
        "broker_transport_options": {"read_timeout": STALLED_S, "write_timeout": STALLED_S},
        "broker_heartbeat": HEARTBEAT_S,
        # one attempt on a new connection, because pooled ones may be lost; each may take seconds
        "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0},
        "task_queues": [*(_queue(prefix, name) for name in QUEUES), _delayed(prefix)],
        "task_default_queue": f"{prefix}{QUEUES[0]}",
        "task_default_exchange": f"{prefix}tasks",
        "worker_detect_quorum_queues": True,
        "worker_consumer": "workers.broker.consumer:RabbitConsumer",
        # a name may still be held by the connection that was lost
        "broker_channel_error_retry": True,
        # several wildtags may share a virtual host
        "control_exchange": f"{prefix}celery",
        "control_queue_exclusive": True,  # RabbitMQ 4.3 refuses queues that are neither durable nor exclusive
        "event_exchange": f"{prefix}celeryev",
        "event_queue_prefix": f"{prefix}celeryev",
        "event_queue_exclusive": True,
    }


def _queue(prefix: str, name: str) -> Queue:
    """The queue of a stage. Celery knows it by the name of the stage, RabbitMQ by the name with the prefix."""
    arguments = {"x-queue-type": "quorum", "x-delivery-limit": REDELIVERIES}
    return Queue(f"{prefix}{name}", routing_key=f"{prefix}{name}", alias=name, queue_arguments=arguments)


def _delayed(prefix: str) -> Queue:
    """Holds messages until they expire, then passes them on to the queue that is their routing key.

    Celery would have a worker hold them, which takes no other message meanwhile. A message that waits behind others
    may be late by their pause.
    """
    name = f"{prefix}{DELAYED}"
    arguments = {"x-queue-type": "quorum", "x-dead-letter-exchange": ""}
    return Queue(name, Exchange(name, type="fanout"), alias=DELAYED, queue_arguments=arguments)
