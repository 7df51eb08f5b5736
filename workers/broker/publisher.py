"""Messages onto the queues, with a line in Flower that a person can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import uuid4

from celery import Celery
from kombu.exceptions import OperationalError
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads
from redis.exceptions import RedisError

from tasks.messages import Batch, ObjectRef
from vectordb.errors import Transient
from workers.settings.dependencies import BROKER

PATIENCE_S = 5


class BrokerUnavailable(Transient):
    """The broker did not take the message."""

    service = BROKER


class Sender(Protocol):
    """What the dispatcher and the keeper need of a publisher."""

    def send(self, stage: str, batch: Batch) -> None:
        """Put a batch on the queue of a stage."""
        ...

    def probe(self, stage: str, lifetime: float) -> None:
        """Ask whoever consumes a stage's queue for a sign of life."""
        ...

    def queued(self, stage: str) -> int:
        """Number of messages on the queue of a stage that no worker has taken."""
        ...


class Publisher:
    """Sends batches to stages. Raises ``BrokerUnavailable`` and has then sent nothing."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def send(self, stage: str, batch: Batch, *, pause: float = 0.0, retries: int = 0) -> None:
        """Put a batch on the queue of a stage, to be taken after ``pause`` seconds."""
        args, label = (batch.encode(),), describe(batch.objects)
        self._send(stage, f"wildtag.{stage}", args, label, pause=pause, retries=retries)

    def probe(self, stage: str, lifetime: float) -> None:
        """Ask whoever consumes a stage's queue for a sign of life; worthless after ``lifetime`` seconds."""
        self._send(stage, f"wildtag.probe.{stage}", (), f"({stage})", expires=lifetime)

    def queued(self, stage: str) -> int:
        """Number of messages on the queue of a stage that no worker has taken. Raises ``BrokerUnavailable``."""
        try:
            with self._app.connection_for_write() as connection:
                # not passively: kombu looks for a Redis queue under its name without the prefix of the keys
                declared: Any = self._app.amqp.queues[stage].bind(connection.default_channel).queue_declare()
                return int(declared.message_count)
        except (OperationalError, RedisError, OSError) as exc:
            raise BrokerUnavailable(f"the broker is out of reach: {exc}") from exc

    def ask(self, queue: str, task: str, request: str, data: bytes, label: str, lifetime: float) -> None:
        """Ask whoever consumes a queue; the answer comes under ``Keys.rpc(request)``. See ``workers.redis.rpc``."""
        self._send(queue, task, (request, data), label, expires=lifetime)

    def put_back(self, stage: str, delivery: str) -> bool:
        """Put a message that a worker holds back to the head of its stage's queue; it counts as redelivered.

        False, and nothing is put back, where nobody holds it any more, or the broker is not Redis. ``delivery``: the
        tag under which it was handed out. It gets another: whoever acknowledges the old one, as the worker does in
        the end, must not acknowledge it for the worker that has it by then.
        """
        try:
            with self._app.connection_for_write() as connection:
                channel: Any = connection.default_channel
                if not hasattr(channel, "unacked_key"):  # which only Redis keeps what is handed out under
                    return False
                with channel.conn_or_acquire() as client:
                    return bool(client.transaction(
                        lambda pipe: _move(pipe, channel, stage, delivery), channel.unacked_key,
                        value_from_callable=True,
                    ))  # fmt: skip
        except (OperationalError, RedisError, OSError) as exc:
            raise BrokerUnavailable(f"the broker is out of reach: {exc}") from exc

    def reach(self) -> None:
        """Connect to the broker anew, and hang up. Raises ``BrokerUnavailable``."""
        try:
            patience = {"socket_timeout": PATIENCE_S, "socket_connect_timeout": PATIENCE_S}  # of Redis; AMQP has none
            with self._app.connection_for_write(transport_options=patience) as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=PATIENCE_S)
                _ = connection.default_channel  # which says something to the broker
        except (OperationalError, RedisError, OSError) as exc:
            raise BrokerUnavailable(f"the broker is out of reach: {exc}") from exc

    def consumers(self, patience_s: float = 1.5) -> list[str]:
        """The names of the Celery workers that answer within this time. Raises ``BrokerUnavailable``."""
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
    """A message of kombu's from what is handed out to where a consumer takes its next one; whether it was there."""
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
