"""Sends requests, and retries after broken connections and as ``Retry-After`` says."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import stamina

from vectordb.errors import Permanent, Transient
from workers.client.body import Body
from workers.client.errors import ApiError, Away, problem_of

SILENCE_S = 60.0  # read timeout of a stream; the gateway sends a keep-alive at least every 15 s
SOONEST_S = 0.1  # minimum pause before a retry


class Transport:
    """Sends requests to ``url``; see ``Client``."""

    def __init__(self, url: str, key: str | None, timeout: float, patience: float) -> None:
        host = urlsplit(url).hostname
        if urlsplit(url).scheme not in {"http", "https"} or not host:
            raise Permanent(f"{url!r} is not a gateway URL; expected one like http://127.0.0.1:8080")
        self.patience = patience
        self._timeout = timeout
        self._place = urlsplit(url).netloc.rpartition("@")[2]
        self._http = httpx.Client(
            base_url=url, headers={} if key is None else {"Authorization": f"Bearer {key}"},
            trust_env=not _loopback(host),  # no proxy for this machine
        )  # fmt: skip

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: Body | None = None,
        json: object = None,
        params: Mapping[str, str | list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
        longer: float = 0.0,
        patience: float | None = None,
    ) -> httpx.Response:
        """The response of success, or 304. ``longer``: additional seconds to wait for it.

        May send the request several times, so use it for idempotent requests only. Raises ``Refused``, ``Postponed``,
        ``Away``.
        """
        for attempt in _attempts(self.patience if patience is None else patience):
            with attempt:
                return self._sent(
                    method, path, read=self._timeout + longer, json=json, params=params,
                    headers={**(headers or {}), **({} if body is None else body.headers)},
                    content=None if body is None else body.pieces(),
                )  # fmt: skip
        raise AssertionError  # the last attempt returns or raises

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str]) -> Iterator[Iterator[bytes]]:
        """The bytes of a streaming response. Raises the errors of ``ask``, and ``Away`` if the connection breaks."""
        for attempt in _attempts(self.patience):
            with attempt:
                answer = self._sent("GET", path, read=SILENCE_S, stream=True, headers=headers)
        try:
            with _translated(self._place):
                yield answer.iter_bytes()
        finally:
            answer.close()

    def _sent(self, method: str, path: str, *, read: float, stream: bool = False, **parts: Any) -> httpx.Response:
        with _translated(self._place):
            timeout = httpx.Timeout(self._timeout, read=read)
            answer = self._http.send(self._http.build_request(method, path, timeout=timeout, **parts), stream=stream)
            if answer.is_success or answer.status_code == httpx.codes.NOT_MODIFIED:
                return answer
            answer.read()
            raise problem_of(answer)


def _attempts(patience: float) -> Iterator[stamina.Attempt]:
    def pause(exc: Exception) -> bool | float:
        if not isinstance(exc, Transient):
            return False
        if not isinstance(exc, ApiError) or exc.retry_after is None:
            return True
        return exc.retry_after <= patience and max(exc.retry_after, SOONEST_S)

    return iter(stamina.retry_context(
        on=pause, attempts=None if patience > 0 else 1, timeout=patience or None, wait_initial=0.2, wait_max=5.0,
        wait_jitter=0.3,
    ))  # fmt: skip


@contextmanager
def _translated(place: str) -> Iterator[None]:
    try:
        yield
    except (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL) as exc:
        raise Permanent(f"the request cannot be sent: {exc}") from exc
    except httpx.TimeoutException as exc:
        raise Away(f"the gateway at {place} did not answer in time ({type(exc).__name__})") from exc
    except httpx.TransportError as exc:
        raise Away(f"cannot reach the gateway at {place}: {str(exc) or type(exc).__name__}") from exc


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
