"""The Celery app: one, with a queue a stage. It is made by a function, so importing this reads nothing."""

from __future__ import annotations

from typing import Any

import kombu
from celery import Celery
from celery.app.amqp import AMQP
from kombu import Queue

from workers.settings.settings import QUEUES

RECONNECT_S = 1.0


class Connection(kombu.Connection):
    """Tries to reach a broker that is away once a second, for as long as it takes.

    Left to themselves Celery's workers wait longer and longer, up to 30 s, and end after the hundredth try.
    """

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        """See kombu. Who names a pace of their own keeps it."""
        pace = {"interval_start": RECONNECT_S, "interval_step": 0, "interval_max": RECONNECT_S}
        return super().ensure_connection(*args, **(pace | options))


class Transport(AMQP):
    """Celery's, over our connections."""

    Connection = Connection


def create_app(broker: str, key_prefix: str, task_time_limit_s: int) -> Celery:
    """A Celery app without tasks: enough to publish and to watch.

    Workers add theirs (``workers.stages.registration``). ``broker``: its URL. ``key_prefix``: before every key of
    a broker that is Redis.
    """
    app = Celery("wildtag", broker=broker, amqp=Transport, set_as_current=False)
    app.conf.update(configuration(key_prefix, task_time_limit_s))
    return app


def configuration(key_prefix: str, task_time_limit_s: int) -> dict[str, Any]:
    """Celery's settings and why they are so."""
    return {
        # msgpack carries vectors as bytes; pickle and yaml would run what they are sent
        "task_serializer": "msgpack",
        "result_serializer": "msgpack",
        "accept_content": ["msgpack"],
        # the record is the result; a result backend would only slow publishing down
        "result_backend": None,
        "task_ignore_result": True,
        "task_queues": [Queue(name, routing_key=name) for name in QUEUES],
        "task_default_queue": QUEUES[0],
        "task_create_missing_queues": False,
        # a message is acknowledged after its work, one is fetched at a time; lost ones are the ledger's business
        "task_acks_late": True,
        "task_reject_on_worker_lost": False,
        "worker_prefetch_multiplier": 1,
        "task_time_limit": task_time_limit_s,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            "global_keyprefix": key_prefix,
            # longer than any task, so that a slow one is not run twice
            "visibility_timeout": task_time_limit_s * 4,
            "socket_keepalive": True,
            "health_check_interval": 30,
        },
        "worker_send_task_events": True,
        "task_send_sent_event": True,
        "worker_hijack_root_logger": False,
        # a model may take minutes to load on its first start; the pool must not give up on the child
        "worker_proc_alive_timeout": 600.0,
        # where REMAP_SIGTERM=SIGQUIT is set, as in a container, a stop finishes what can be finished in this time and
        # puts the rest back on its queue; without it a stop waits for the work at hand
        "worker_soft_shutdown_timeout": 20.0,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "enable_utc": True,
    }
