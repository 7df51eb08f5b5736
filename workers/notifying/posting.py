"""Sends signed deliveries concurrently, and turns every result into an ``Answer``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self

import httpx
from anyio.from_thread import start_blocking_portal

from vectordb.errors import Permanent
from workers.notifying.delivery import Delivery
from workers.notifying.plan import Answer
from workers.notifying.signing import signed
from workers.outgoing.address_policy import OutgoingRefused
from workers.outgoing.http_client import OutgoingClient

EXCERPT = 300  # characters of a response that are kept


class BadReceiver(Permanent):
    """The address is not a valid URL for webhooks."""


class Poster:
    """Sends deliveries with an ``OutgoingClient``, on an event loop in its own thread. A context manager.

    The event loop enforces the time limit for the whole attempt. A socket timeout in a thread would start again with
    each byte from a slow receiver.
    """

    def __init__(self, url: str, keys: Sequence[bytes], client: OutgoingClient, clock: Callable[[], float]) -> None:
        """Raises ``BadReceiver``."""
        try:
            httpx.URL(url)
        except httpx.InvalidURL as exc:
            raise BadReceiver(f"the URL of a receiver is not valid: {exc}") from exc
        self._url = url
        self._keys = keys
        self._client = client
        self._clock = clock
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._portal = self._open.enter_context(start_blocking_portal())
        self._open.enter_context(self._portal.wrap_async_context_manager(self._client))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def post(self, delivery: Delivery) -> Future[Answer]:
        """Start an attempt. Its future always gives an answer; cancelling it abandons the attempt."""
        return self._portal.start_task_soon(self._post, delivery)

    async def _post(self, delivery: Delivery) -> Answer:
        headers = {
            "content-type": "application/json",
            **signed(self._keys, delivery.id, delivery.body, self._clock()),
        }
        try:
            answer = await self._client.post(self._url, delivery.body, headers)
        except (TimeoutError, httpx.TimeoutException):
            return Answer(None, f"no answer within {self._client.timeout_s:g} s")
        except OutgoingRefused as exc:
            return Answer(None, str(exc))
        except Exception as exc:  # no error of one delivery may stop the notifier
            return Answer(None, f"{type(exc).__name__}: {exc}"[:EXCERPT])
        return Answer(answer.status, excerpt(answer.beginning), retry_after(
            answer.headers.get("retry-after"), self._clock()
        ))  # fmt: skip


def excerpt(beginning: bytes) -> str:
    """The first characters of a body that can be printed, on one line."""
    shown = beginning[: 4 * EXCERPT].decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in shown).split())[:EXCERPT]


def retry_after(header: str | None, now: float) -> float:
    """Seconds of a ``Retry-After`` header, given as number or date; 0 if it is missing or invalid."""
    if not header:
        return 0.0
    if header.strip().isdecimal() and len(header) < 10:
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0
