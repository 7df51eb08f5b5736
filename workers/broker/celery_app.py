"""The Celery app, with a queue for each stage. A function creates it, so importing this module reads no settings."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kombu
from celery import Celery
from celery.app.amqp import AMQP
from kombu import Queue
from kombu.utils.url import maybe_sanitize_url

from workers.broker.amqp_transport import PATH
from workers.broker.rabbitmq import rabbitmq_configuration
from workers.broker.redis_transport import register
from workers.settings.settings import QUEUES

RECONNECT_S = 1.0


class Connection(kombu.Connection):
    """Reconnects to an unavailable broker once a second, without limit.

    Celery's default waits longer each time, up to 30 s, and ends the worker after 100 attempts.
    """

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        """See kombu. Intervals that the caller passes take precedence."""
        pace = {"interval_start": RECONNECT_S, "interval_step": 0, "interval_max": RECONNECT_S}
        return super().ensure_connection(*args, **(pace | options))

    def info(self) -> dict[str, Any]:
        """See kombu: what a worker tells monitors of its broker. Here without passwords.

        For ``redis+socket://`` and lists of brokers kombu's own contains whole URLs.
        """
        shown: dict[str, Any] = super().info()
        if shown["transport"] == PATH:
            shown["transport"] = "amqp"
        shown["hostname"] = maybe_sanitize_url(shown.get("hostname") or "") or None
        shown["alternates"] = [maybe_sanitize_url(url) for url in shown.get("alternates") or ()]
        return shown


class Transport(AMQP):
    """Celery's AMQP with the ``Connection`` of this module."""

    Connection = Connection


def create_app(broker: str, key_prefix: str, task_time_limit_s: int, ca_file: Path | None = None) -> Celery:
    """A Celery app without tasks, for publishing and monitoring.

    Workers add their tasks (``workers.stages.registration``). ``broker``: a URL. ``key_prefix``: the prefix of all
    keys of a Redis broker, and of all names in RabbitMQ. ``ca_file``: certificate authorities of the broker, in PEM
    format; those of the system when not given.
    """
    register()
    app = Celery("wildtag", broker=broker, amqp=Transport, set_as_current=False)
    app.conf.update(configuration(key_prefix, task_time_limit_s))
    scheme = urlsplit(broker).scheme
    if scheme in {"amqp", "amqps"}:
        app.conf.update(rabbitmq_configuration(key_prefix))
    if scheme in {"amqps", "rediss"}:  # by default Kombu checks no certificate
        prefix = "ssl_" if scheme == "rediss" else ""
        tls = {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": None if ca_file is None else str(ca_file)}
        app.conf.broker_use_ssl = {f"{prefix}{name}": value for name, value in tls.items()}
    return app


def configuration(key_prefix: str, task_time_limit_s: int) -> dict[str, Any]:
    """Celery's settings, with reasons. What differs with RabbitMQ is in ``workers.broker.rabbitmq``."""
    return {
        # msgpack carries vectors as bytes; pickle and yaml could execute code from a message
        "task_serializer": "msgpack",
        "result_serializer": "msgpack",
        "accept_content": ["msgpack"],
        # the record is the result; a result backend would only slow down publishing
        "result_backend": None,
        "task_ignore_result": True,
        "task_queues": [Queue(name, routing_key=name) for name in QUEUES],
        "task_default_queue": QUEUES[0],
        "task_create_missing_queues": False,
        # a message is acknowledged after its task, and fetched one at a time; the ledger recovers lost messages, also
        # those of embedding whose end comes after their task (workers.stages.message_overlap)
        "task_acks_late": True,
        "task_reject_on_worker_lost": False,
        "worker_prefetch_multiplier": 1,
        "task_time_limit": task_time_limit_s,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            "global_keyprefix": key_prefix,
            # longer than any task, so that a slow task does not run twice
            "visibility_timeout": task_time_limit_s * 4,
            "socket_keepalive": True,
            "health_check_interval": 30,
        },
        "worker_send_task_events": True,
        # Flower shows a task once a worker has received it, so that senders need to publish nothing
        "task_send_sent_event": False,
        "worker_consumer": "workers.broker.consumer:Consumer",
        "worker_hijack_root_logger": False,
        # a model may take minutes to load; until then the pool must not give up on the child process
        "worker_proc_alive_timeout": 600.0,
        # with REMAP_SIGTERM=SIGQUIT, as in the container, a stopping worker has this time to finish its tasks and
        # returns the others to their queue; without it, it waits for the running tasks
        "worker_soft_shutdown_timeout": 20.0,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "enable_utc": True,
    }
