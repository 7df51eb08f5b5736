"""RPC to another process: the request is a task in its queue, the response arrives in a Redis list.

The payload is opaque to this module. An error is sent as its branch, ``Transient`` or ``Permanent``, and its text.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec

from vectordb.decoders import from_msgpack
from vectordb.errors import Permanent, Transient, WildtagError
from workers.redis.connection import Client, translated
from workers.redis.keys import Keys

PATIENCE_S = 60
RETRY_S = 15.0  # seconds without a response after which the request is sent again
BLOCK_S = 5.0  # longest single wait
RESPONSE_LIFETIME_S = 120


class Sender(Protocol):
    """Sends a task to a queue."""

    def ask(self, queue: str, task: str, request: str, data: bytes, label: str, lifetime: float) -> None:
        """Send a request; it is dropped after ``lifetime`` seconds. Raises ``BrokerUnavailable``."""
        ...


class RpcTimeout(Transient):
    """There was no response in time."""


class RpcTransient(Transient):
    """The other process met a transient fault."""


class RpcPermanent(Permanent):
    """The other process met a permanent fault."""


class _Response(msgspec.Struct, frozen=True):
    """A response: data, or the branch and text of an error."""

    data: bytes = b""
    error: tuple[Literal["transient", "permanent"], str] | None = None


class RpcClient:
    """Sends requests to the processes of one stack."""

    def __init__(self, publisher: Sender, client: Client, keys: Keys, patience_s: float = PATIENCE_S) -> None:
        self._publisher = publisher
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._patience_s = patience_s

    def ask(self, queue: str, task: str, data: bytes, label: str, patience_s: float | None = None) -> bytes:
        """Send a request and wait for the response. ``label`` is shown by monitors such as Flower.

        Raises ``RpcTimeout``, and ``RpcTransient`` or ``RpcPermanent`` with the error of the other process.
        """
        patience_s = self._patience_s if patience_s is None else patience_s
        until = time.monotonic() + patience_s
        while (left := until - time.monotonic()) > 0:
            # sent again, since a request is lost if its worker is killed; requests are idempotent
            answer = self.take(self.send(queue, task, data, label, left), min(left, RETRY_S))
            if answer is not None:
                return answer
        raise RpcTimeout(f"no response from the queue {queue} within {patience_s:.0f} s; see the log of its worker")

    def send(self, queue: str, task: str, data: bytes, label: str, lifetime_s: float) -> str:
        """Send a request without waiting. Returns its id for ``take``. It expires after ``lifetime_s`` seconds."""
        request = secrets.token_hex(8)
        self._publisher.ask(queue, task, request, data, f"({label} {request})", lifetime_s)
        return request

    def take(self, request: str, patience_s: float) -> bytes | None:
        """The response, or ``None`` on timeout. It can be taken once. Raises ``RpcTransient`` or ``RpcPermanent``."""
        until = time.monotonic() + patience_s
        got = None
        while got is None and (left := until - time.monotonic()) > 0:
            with translated():  # in short waits, since a connection that is silent for long counts as broken
                # some releases of Redis take less than a millisecond for no limit
                got = self._redis.blpop([self._keys.rpc(request)], timeout=max(0.001, min(left, BLOCK_S)))
        if got is None:
            return None
        answer = from_msgpack(got[1], _Response)
        if answer.error is not None:
            kind, text = answer.error
            raise (RpcTransient if kind == "transient" else RpcPermanent)(text)
        return answer.data


def answering(client: Client, keys: Keys, request: str, work: Callable[[], bytes | None]) -> None:
    """The server side: do the work, and send its result or error to the client.

    ``None`` is not sent: another process answers.
    """
    redis: Any = client  # as above
    try:
        done = work()
        if done is None:
            return
        answer = _Response(done)
    except WildtagError as exc:
        answer = _Response(error=("transient" if isinstance(exc, Transient) else "permanent", str(exc)))
    except Exception as exc:  # a bug must neither leave the client waiting nor end the worker
        answer = _Response(error=("permanent", f"{type(exc).__name__}: {exc}"))
    with translated():
        pipe = redis.pipeline()
        pipe.rpush(keys.rpc(request), msgspec.msgpack.encode(answer))
        pipe.expire(keys.rpc(request), RESPONSE_LIFETIME_S)
        pipe.execute()
