"""Publishes messages to the queues, each with a description that Flower shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import uuid4

from amqp.exceptions import AMQPError, NotFound
from celery import Celery
from kombu import Queue
from kombu.exceptions import OperationalError
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads
from redis.exceptions import RedisError

from tasks.message_parts import ObjectRef
from tasks.messages import Batch
from vectordb.errors import Transient
from workers.broker.amqp_transport import DELAYED, BrokerBlocked, Refused
from workers.broker.depths import Depths, QueueDepth
from workers.redis.connection import said
from workers.settings.dependencies import BROKER
from workers.settings.settings import QUEUES

PATIENCE_S = 5
FAULTS = (OperationalError, RedisError, OSError, AMQPError)


class BrokerUnavailable(Transient):
    """The broker did not accept the message, or cannot be reached."""

    service = BROKER


class BrokerRefused(BrokerUnavailable):
    """RabbitMQ refuses the user, the password, the virtual host or the trust in its certificate."""


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

    def __init__(self, app: Celery, clock: Callable[[], float] = time.time) -> None:
        """``clock``: Unix seconds, the same in all processes; see ``workers.broker.timed_requests``."""
        self._app = app
        self._clock = clock
        queues: Any = app.amqp.queues
        self._delayed: Queue | None = queues.aliases.get(DELAYED)  # RabbitMQ's

    def send(self, stage: str, batch: Batch, *, pause: float = 0.0, retries: int = 0) -> None:
        """Send a batch to the queue of a stage. It is processed after ``pause`` seconds."""
        args, label = (batch.encode(),), describe(batch.objects)
        self._send(stage, f"wildtag.{stage}", args, label, pause=pause, retries=retries)

    def send_on(self, stage: str, data: bytes, objects: Sequence[ObjectRef]) -> None:
        """Send an encoded batch to the end of the queue of a stage."""
        self._send(stage, f"wildtag.{stage}", (data,), describe(objects), retries=1)

    def probe(self, stage: str, lifetime: float) -> None:
        """Send a probe to the consumers of a stage's queue. It expires after ``lifetime`` seconds."""
        self._send(stage, f"wildtag.probe.{stage}", (), f"({stage})", expires=lifetime)

    def queued(self, stage: str) -> int:
        """Number of messages in the queue of a stage that no worker has received. Raises ``BrokerUnavailable``."""
        with self._connected() as connection:
            return _declared(self._app, stage, connection.default_channel)

    def ready(self, stages: Iterable[str]) -> int:
        """Messages in the queues of these stages that no worker has received, over a connection of its own.

        Does not wait long for a broker that does not answer. Raises ``BrokerUnavailable``.
        """
        with self._connected(patience=PATIENCE_S) as connection:
            if self._delayed is not None:
                return sum(self._depth(connection, stage).ready for stage in stages)
            return sum(_declared(self._app, stage, connection.default_channel) for stage in stages)

    def depths(self) -> Depths:
        """How many messages are on the queues. Raises ``BrokerUnavailable``."""
        with self._connected() as connection:
            if self._delayed is not None:
                return Depths({name: self._depth(connection, name) for name in QUEUES}, None)
            channel: Any = connection.default_channel
            found = {name: QueueDepth(_declared(self._app, name, channel), None) for name in QUEUES}
            if not hasattr(channel, "unacked_index_key"):
                return Depths(found, None)
            with channel.conn_or_acquire() as client:
                return Depths(found, int(client.zcard(channel.unacked_index_key)))

    def _depth(self, connection: Any, name: str) -> QueueDepth:
        try:
            with connection.channel() as channel:
                declared: Any = self._app.amqp.queues[name].bind(channel).queue_declare(passive=True)
        except NotFound:  # nobody has used it yet; the fault closes its channel
            return QueueDepth(0, 0)
        return QueueDepth(int(declared.message_count), int(declared.consumer_count))

    def ask(self, queue: str, task: str, request: str, data: bytes, label: str, lifetime: float) -> None:
        """Send an RPC request to a queue. The answer comes under ``Keys.rpc(request)``; see ``workers.redis.rpc``."""
        self._send(queue, task, (request, data), label, expires=lifetime)

    def put_back(self, stage: str, delivery: str) -> bool:
        """Return an unacknowledged message to the head of its stage's queue, marked as redelivered.

        Returns ``False`` and changes nothing if the message is not unacknowledged any more, or if the broker is not
        Redis. ``delivery``: the message's delivery tag. The message gets a new one, because the worker acknowledges
        the old tag at the end of its task, when another worker may already hold the message.
        """
        if self._delayed is not None:
            return False
        with self._connected() as connection:
            channel: Any = connection.default_channel
            if not hasattr(channel, "unacked_key"):  # only the Redis transport has it
                return False
            with channel.conn_or_acquire() as client:
                return bool(client.transaction(
                    lambda pipe: _move(pipe, channel, stage, delivery), channel.unacked_key,
                    value_from_callable=True,
                ))  # fmt: skip

    def reach(self) -> None:
        """Open a new connection to the broker and close it. Raises ``BrokerUnavailable``.

        It also writes, to RabbitMQ a message for nobody: a broker that is short of memory still takes connections.
        """
        with self._connected(patience=PATIENCE_S) as connection:
            channel: Any = connection.default_channel  # opening a channel sends a request to the broker
            if self._delayed is not None:
                channel.ask()
            elif hasattr(channel, "unacked_key"):  # a full Redis still takes connections
                channel.client.set("probe", b"", ex=60)

    def consumers(self, patience_s: float = 1.5) -> list[str]:
        """The names of the Celery workers that answer within ``patience_s``. Raises ``BrokerUnavailable``."""
        with _translated():
            answers = self._app.control.ping(timeout=patience_s)
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
        options: dict[str, Any] = {"queue": queue, "eta": self._after(pause), "expires": self._after(expires)}
        if pause and self._delayed is not None:
            options = self._after_pause(queue, self._delayed, pause)
        with _translated():
            self._app.send_task(
                name, args=args, argsrepr=argsrepr, kwargsrepr="", ignore_result=True, retries=retries, **options
            )

    def _after(self, seconds: float | None) -> datetime | None:
        return datetime.fromtimestamp(self._clock() + seconds, UTC) if seconds else None

    def _after_pause(self, queue: str, delayed: Queue, pause: float) -> dict[str, Any]:
        """Where RabbitMQ holds a message for ``pause`` seconds before it puts it on a queue."""
        return {
            "queue": delayed, "exchange": delayed.exchange.name, "exchange_type": delayed.exchange.type,
            "routing_key": self._app.amqp.queues[queue].name, "expiration": pause,
        }  # fmt: skip

    @contextmanager
    def _connected(self, patience: float | None = None) -> Iterator[Any]:
        """A connection of its own, which is open. ``patience``: of the Redis transport, for each command, seconds."""
        options = {} if patience is None else {"socket_timeout": patience, "socket_connect_timeout": patience}
        with _translated(), self._app.connection_for_write(transport_options=options) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=PATIENCE_S)
            yield connection


@contextmanager
def _translated() -> Iterator[None]:
    """Raise ``BrokerUnavailable`` for what a broker that is out of reach, or refuses what is asked, raises."""
    try:
        yield
    except BrokerBlocked as exc:
        raise BrokerUnavailable(str(exc)) from exc
    except FAULTS as exc:
        if isinstance(exc.__cause__, Refused):
            raise BrokerRefused(str(exc)) from exc
        raise BrokerUnavailable(f"the broker is out of reach: {said(exc)}") from exc


def _declared(app: Celery, name: str, channel: Any) -> int:
    """Number of messages in a queue, which is made if it does not exist.

    Not passive: a passive declaration looks for a Redis queue without the key prefix.
    """
    declared: Any = app.amqp.queues[name].bind(channel).queue_declare()
    return int(declared.message_count)


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
