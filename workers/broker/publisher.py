"""Publishes messages to the queues, each with a description that Flower shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import uuid4

from celery import Celery
from kombu.exceptions import OperationalError
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads
from redis.exceptions import RedisError

from tasks.message_parts import ObjectRef
from tasks.messages import Batch
from vectordb.errors import Transient
from workers.settings.dependencies import BROKER

PATIENCE_S = 5


class BrokerUnavailable(Transient):
    """The broker did not accept the message, or cannot be reached."""

    service = BROKER


class Sender(Protocol):
    """The part of a publisher that the dispatcher and the keeper use."""

    def send(self, stage: str, batch: Batch) -> None:
        """Send a batch to the queue of a stage."""
        ...

    def probe(self, stage: str, lifetime: float) -> None:
        """Send a probe to the consumers of a stage's queue, which expires after ``lifetime`` seconds."""
        ...

    def queued(self, stage: str) -> int:
        """Number of messages in the queue of a stage that no worker has received."""
        ...


class Publisher:
    """Sends batches to stages. Raises ``BrokerUnavailable`` if nothing was sent."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def send(self, stage: str, batch: Batch, *, pause: float = 0.0, retries: int = 0) -> None:
        """Send a batch to the queue of a stage. It is processed after ``pause`` seconds."""
        args, label = (batch.encode(),), describe(batch.objects)
        self._send(stage, f"wildtag.{stage}", args, label, pause=pause, retries=retries)

    def probe(self, stage: str, lifetime: float) -> None:
        """Send a probe to the consumers of a stage's queue. It expires after ``lifetime`` seconds."""
        self._send(stage, f"wildtag.probe.{stage}", (), f"({stage})", expires=lifetime)

    def queued(self, stage: str) -> int:
        """Number of messages in the queue of a stage that no worker has received. Raises ``BrokerUnavailable``."""
        try:
            with self._app.connection_for_write() as connection:
                # not passive: a passive declaration looks for a Redis queue without the key prefix
                declared: Any = self._app.amqp.queues[stage].bind(connection.default_channel).queue_declare()
                return int(declared.message_count)
        except (OperationalError, RedisError, OSError) as exc:
            raise BrokerUnavailable(f"the broker is out of reach: {exc}") from exc

    def ask(self, queue: str, task: str, request: str, data: bytes, label: str, lifetime: float) -> None:
        """Send an RPC request to a queue. The answer comes under ``Keys.rpc(request)``; see ``workers.redis.rpc``."""
        self._send(queue, task, (request, data), label, expires=lifetime)

    def put_back(self, stage: str, delivery: str) -> bool:
        """Return an unacknowledged message to the head of its stage's queue, marked as redelivered.

        Returns ``False`` and changes nothing if the message is not unacknowledged any more, or if the broker is not
        Redis. ``delivery``: the message's delivery tag. The message gets a new one, because the worker acknowledges
        the old tag at the end of its task, when another worker may already hold the message.
        """
        try:
            with self._app.connection_for_write() as connection:
                channel: Any = connection.default_channel
                if not hasattr(channel, "unacked_key"):  # only the Redis transport has it
                    return False
                with channel.conn_or_acquire() as client:
                    return bool(client.transaction(
                        lambda pipe: _move(pipe, channel, stage, delivery), channel.unacked_key,
                        value_from_callable=True,
                    ))  # fmt: skip
        except (OperationalError, RedisError, OSError) as exc:
            raise BrokerUnavailable(f"the broker is out of reach: {exc}") from exc

    def reach(self) -> None:
        """Open a new connection to the broker and close it. Raises ``BrokerUnavailable``."""
        try:
            # options of the Redis transport; AMQP has no timeouts
            patience = {"socket_timeout": PATIENCE_S, "socket_connect_timeout": PATIENCE_S}
            with self._app.connection_for_write(transport_options=patience) as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=PATIENCE_S)
                _ = connection.default_channel  # opening a channel sends a request to the broker
        except (OperationalError, RedisError, OSError) as exc:
            raise BrokerUnavailable(f"the broker is out of reach: {exc}") from exc

    def consumers(self, patience_s: float = 1.5) -> list[str]:
        """The names of the Celery workers that answer within ``patience_s``. Raises ``BrokerUnavailable``."""
        try:
            answers = self._app.control.ping(timeout=patience_s)
        except (OperationalError, RedisError, OSError) as exc:
            raise BrokerUnavailable(f"the broker is out of reach: {exc}") from exc
        return sorted({name for answer in answers or () for name in answer})

    def _send(
        self,
        queue: str,
        name: str,
        args: tuple[Any, ...],
        argsrepr: str,
        *,
        pause: float = 0.0,
        retries: int = 0,
        expires: float | None = None,
    ) -> None:
        try:
            self._app.send_task(
                name, args=args, queue=queue, argsrepr=argsrepr, kwargsrepr="", ignore_result=True,
                countdown=pause or None, retries=retries, expires=expires,
            )  # fmt: skip
        except (OperationalError, RedisError, OSError) as exc:
            raise BrokerUnavailable(f"the broker is out of reach: {exc}") from exc


def _move(pipe: Any, channel: Any, stage: str, delivery: str) -> bool:
    """Move a kombu message from the unacknowledged ones to the head of its queue. Returns whether it existed."""
    packed = pipe.hget(channel.unacked_key, delivery)
    pipe.multi()
    if packed is None:
        return False
    message, _, _ = loads(bytes_to_str(packed))
    message["headers"]["redelivered"] = message["properties"]["delivery_info"]["redelivered"] = True
    message["properties"]["delivery_tag"] = str(uuid4())
    pipe.hdel(channel.unacked_key, delivery)
    pipe.zrem(channel.unacked_index_key, delivery)
    pipe.rpush(stage, dumps(message))
    return True


def describe(objects: Sequence[ObjectRef]) -> str:
    """``3 objects: photos/cat.jpg, photos/dog.jpg …``."""
    names = ", ".join(ref.id for ref in objects[:2])
    more = " …" if len(objects) > 2 else ""
    return f"{len(objects)} object{'s' * (len(objects) != 1)}: {names}{more}"
