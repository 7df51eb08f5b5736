"""Asking another process over its queue: the question is a task, the answer comes in a Redis list.

What an answer holds is between the two sides; an error travels as its branch, ``Transient`` or ``Permanent``, and its
text.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec

from vectordb.errors import Permanent, Transient, WildtagError
from workers.redis.connection import Client, translated
from workers.redis.keys import Keys

PATIENCE_S = 60
AGAIN_S = 15.0  # seconds without an answer after which a question is asked again
SLICE_S = 5.0
ANSWER_LIFETIME_S = 120


class Sender(Protocol):
    """Sends a task to a queue."""

    def ask(self, queue: str, task: str, request: str, data: bytes, label: str, lifetime: float) -> None:
        """Send a request; it is dropped after ``lifetime`` seconds. Raises ``BrokerUnavailable``."""
        ...


class RpcTimeout(Transient):
    """Nobody answered."""


class RpcTransient(Transient):
    """The other process met a fault that passes."""


class RpcPermanent(Permanent):
    """The other process refused."""


class _Answer(msgspec.Struct, frozen=True):
    """What came back: data, or an error's branch and text."""

    data: bytes = b""
    error: tuple[Literal["transient", "permanent"], str] | None = None


class RpcClient:
    """Questions to the processes of one stack."""

    def __init__(self, publisher: Sender, client: Client, keys: Keys, patience_s: float = PATIENCE_S) -> None:
        self._publisher = publisher
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._patience_s = patience_s

    def ask(self, queue: str, task: str, data: bytes, label: str, patience_s: float | None = None) -> bytes:
        """Ask and wait. ``label`` is for people who watch the workers. Raises ``RpcTimeout`` or what was answered."""
        patience_s = self._patience_s if patience_s is None else patience_s
        until = time.monotonic() + patience_s
        while (left := until - time.monotonic()) > 0:
            # again, for a question whose worker was killed is lost; asking twice changes nothing
            answer = self.take(self.send(queue, task, data, label, left), min(left, AGAIN_S))
            if answer is not None:
                return answer
        raise RpcTimeout(f"no answer from the queue {queue} within {patience_s:.0f} s; see its worker's log")

    def send(self, queue: str, task: str, data: bytes, label: str, lifetime_s: float) -> str:
        """Ask without waiting; gives the request that ``take`` wants. Worthless after ``lifetime_s``."""
        request = secrets.token_hex(8)
        self._publisher.ask(queue, task, request, data, f"({label} {request})", lifetime_s)
        return request

    def take(self, request: str, patience_s: float) -> bytes | None:
        """The answer, ``None`` when it does not come in time. It is given once. Raises what was answered."""
        until = time.monotonic() + patience_s
        got = None
        while got is None and (left := until - time.monotonic()) > 0:
            with translated():  # in slices, since a connection that is silent for long counts as broken
                got = self._redis.blpop([self._keys.rpc(request)], timeout=min(left, SLICE_S))
        if got is None:
            return None
        answer = msgspec.msgpack.decode(got[1], type=_Answer)
        if answer.error is not None:
            kind, text = answer.error
            raise (RpcTransient if kind == "transient" else RpcPermanent)(text)
        return answer.data


def answering(client: Client, keys: Keys, request: str, work: Callable[[], bytes]) -> None:
    """The other side: do the work and put its answer, or its error, where the asker waits."""
    redis: Any = client  # as above
    try:
        answer = _Answer(work())
    except WildtagError as exc:
        answer = _Answer(error=("transient" if isinstance(exc, Transient) else "permanent", str(exc)))
    except Exception as exc:  # a bug must not leave the asker waiting, nor end the worker
        answer = _Answer(error=("permanent", f"{type(exc).__name__}: {exc}"))
    with translated():
        pipe = redis.pipeline()
        pipe.rpush(keys.rpc(request), msgspec.msgpack.encode(answer))
        pipe.expire(keys.rpc(request), ANSWER_LIFETIME_S)
        pipe.execute()
