"""RPC to another process: the request is a task in its queue, the response arrives in a Redis list.

The payload is opaque to this module. An error is sent as what follows from it (``workers.errors``), and its text.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec
import structlog

from vectordb.decoders import from_msgpack
from vectordb.errors import Permanent, Transient, WildtagError
from workers.errors.consequences import Consequence, of
from workers.redis.connection import Client, translated
from workers.redis.keys import Keys

log = structlog.get_logger()

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
    """The other process met a fault that may pass. ``kind``: the name of its class there."""

    def __init__(self, text: str, service: str | None = None, kind: str = "") -> None:
        super().__init__(text)
        self.service = service
        self.kind = kind


class RpcPermanent(Permanent):
    """The other process refuses what was asked for."""


class RpcFailed(Permanent):
    """The other process failed over the request: a bug there, or the request ended it. See its log."""


class _Response(msgspec.Struct, frozen=True):
    """A response: data, or the branch and text of an error; fields that older releases ignore say more of it.

    ``failed``: the error is a bug of the other process, and not the fault of the request. ``service``: what is away.
    ``kind``: the name of the error's class.
    """

    data: bytes = b""
    error: tuple[Literal["transient", "permanent"], str] | None = None
    failed: bool = False
    service: str | None = None
    kind: str = ""


class RpcClient:
    """Sends requests to the processes of one stack."""

    def __init__(self, publisher: Sender, client: Client, keys: Keys, patience_s: float = PATIENCE_S) -> None:
        self._publisher = publisher
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._patience_s = patience_s

    def ask(self, queue: str, task: str, data: bytes, label: str, patience_s: float | None = None) -> bytes:
        """Send a request and wait for the response. ``label`` is shown by monitors such as Flower.

        Raises ``RpcTimeout``, and ``RpcTransient``, ``RpcPermanent`` or ``RpcFailed`` with the error of the other
        process.
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
            branch, text = answer.error
            if branch == "transient":
                raise RpcTransient(text, answer.service, answer.kind)
            raise (RpcFailed if answer.failed else RpcPermanent)(text)
        return answer.data


def answering(client: Client, keys: Keys, request: str, work: Callable[[], bytes | None]) -> None:
    """The server side: do the work, and send its result or error to the client.

    ``None`` is not sent: another process answers.
    """
    try:
        done = work()
        if done is None:
            return
        answer = _Response(done)
    except Exception as exc:  # a bug must neither leave the client waiting nor end the worker
        answer = _of_error(exc)
    _respond(client, keys, request, answer)


def answer_crashed(client: Client, keys: Keys, request: str, reason: str) -> None:
    """Tell the client of a request that it ended the process that handled it, so that it is not sent again."""
    _respond(client, keys, request, _Response(error=("permanent", reason), failed=True))


def _of_error(exc: Exception) -> _Response:
    effect = of(exc)
    text = str(exc) if isinstance(exc, WildtagError) else f"{type(exc).__name__}: {exc}"
    if effect.passes:
        return _Response(error=("transient", text), service=effect.service, kind=type(exc).__name__)
    failed = effect.consequence is Consequence.BUG
    if failed:
        log.error("request failed", request_error=text, exc_info=exc)
    return _Response(error=("permanent", text), failed=failed, kind=type(exc).__name__)


def _respond(client: Client, keys: Keys, request: str, answer: _Response) -> None:
    redis: Any = client  # as above
    with translated():
        pipe = redis.pipeline()
        pipe.rpush(keys.rpc(request), msgspec.msgpack.encode(answer))
        pipe.expire(keys.rpc(request), RESPONSE_LIFETIME_S)
        pipe.execute()
