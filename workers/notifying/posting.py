"""Sends the signed POST with a time limit and reads only the beginning of the response."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import httpx
from anyio.from_thread import start_blocking_portal

from vectordb.errors import Permanent
from workers.notifying.delivery import Delivery
from workers.notifying.plan import Answer
from workers.notifying.signing import signed

EXCERPT = 300  # characters of a response that are kept
READ_MOST = 4096  # bytes of a response that are read


class BadCertificates(Permanent):
    """The certificate file cannot be read."""


class BadReceiver(Permanent):
    """The address is not a valid URL for webhooks."""


class Poster:
    """Sends deliveries concurrently, on an event loop in its own thread. A context manager; opens nothing before.

    The event loop enforces the time limit for the whole attempt. A socket timeout in a thread would start again with
    each byte from a slow receiver.
    """

    def __init__(
        self, url: str, keys: Sequence[bytes], timeout_s: float, ca_file: Path | None, clock: Callable[[], float]
    ) -> None:
        self._url = url
        self._keys = keys
        self._timeout = timeout_s
        self._ca_file = ca_file
        self._clock = clock
        self._open = ExitStack()

    def __enter__(self) -> Self:
        try:
            context = ssl.create_default_context(cafile=self._ca_file) if self._ca_file else True  # always verified
            httpx.URL(self._url)
        except httpx.InvalidURL as exc:
            raise BadReceiver(f"WILDTAG_NOTIFY_URL is not a valid URL: {exc}") from exc
        except OSError as exc:
            raise BadCertificates(
                f"the certificates WILDTAG_NOTIFY_CA_FILE={self._ca_file} cannot be read: {exc}"
            ) from exc
        self._client = httpx.AsyncClient(
            verify=context, timeout=self._timeout, follow_redirects=False,
            headers={"user-agent": "wildtag", "content-type": "application/json", "accept-encoding": "identity"},
        )  # fmt: skip
        self._portal = self._open.enter_context(start_blocking_portal())
        self._open.callback(self._portal.call, self._client.aclose)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def post(self, delivery: Delivery) -> Future[Answer]:
        """Start an attempt. Its future always gives an answer; cancelling it abandons the attempt."""
        return self._portal.start_task_soon(self._post, delivery)

    async def _post(self, delivery: Delivery) -> Answer:
        headers = signed(self._keys, delivery.id, delivery.body, self._clock())
        try:
            with anyio.fail_after(self._timeout):
                async with self._client.stream("POST", self._url, content=delivery.body, headers=headers) as answer:
                    excerpt = await _beginning(answer)
        except TimeoutError:
            return Answer(None, f"no answer within {self._timeout:g} s")
        except httpx.TimeoutException:
            return Answer(None, f"no answer within {self._timeout:g} s")
        except Exception as exc:  # no error of one delivery may stop the notifier
            return Answer(None, f"{type(exc).__name__}: {exc}"[:EXCERPT])
        return Answer(answer.status_code, excerpt, retry_after(answer.headers.get("retry-after"), self._clock()))


async def _beginning(answer: httpx.Response) -> str:
    """The first characters of a body, not decompressed, so that it cannot expand."""
    found = b""
    async for part in answer.aiter_raw():
        found += part
        if len(found) > READ_MOST:
            break
    shown = found[: 4 * EXCERPT].decode("utf-8", "replace")
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
