"""Sends requests, and retries after broken connections and as ``Retry-After`` says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from vectordb.errors import Permanent
from vectordb.proxies import httpx_options
from workers.client.body import Body
from workers.client.errors import Away, StrangeAnswer, problem_of
from workers.client.strangers import EVENTS, JSON, named, unlike
from workers.client.waiting import Waiting, attempts

SILENCE_S = 60.0  # read timeout of a stream; the gateway sends a keep-alive at least every 15 s


class Transport:
    """Sends requests to ``url``; see ``Client``."""

    def __init__(
        self,
        url: str,
        key: str | None,
        timeout: float,
        patience: float,
        on_wait: Callable[[Waiting], object] | None = None,
    ) -> None:
        """Raises ``Permanent`` for what is no URL, ``UnusableProxy``."""
        base = _base(url)
        self.patience = patience
        self._timeout = timeout
        self._on_wait = on_wait
        self._place = urlsplit(base).netloc.rpartition("@")[2]
        bearer = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=base, headers=bearer, **httpx_options(base))

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
        expected: str = JSON,
    ) -> httpx.Response:
        """The response of success, or 304. ``longer``: additional seconds to wait for it. ``expected``: its type.

        May send the request several times, so use it for idempotent requests only. Raises ``Refused``, ``Postponed``,
        ``Away``, ``StrangeAnswer``.
        """
        for attempt in attempts(self.patience if patience is None else patience, self._on_wait):
            with attempt:
                return self._sent(
                    method, path, read=self._timeout + longer, expected=expected, json=json, params=params,
                    headers={**(headers or {}), **({} if body is None else body.headers)},
                    content=None if body is None else body.pieces(),
                )  # fmt: skip
        raise AssertionError  # the last attempt returns or raises

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str]) -> Iterator[Iterator[bytes]]:
        """The bytes of a streaming response. Raises the errors of ``ask``, and ``Away`` if the connection breaks."""
        for attempt in attempts(self.patience, self._on_wait):
            with attempt:
                answer = self._sent("GET", path, read=SILENCE_S, expected=EVENTS, stream=True, headers=headers)
        try:
            with _translated(self._place):
                yield answer.iter_bytes()
        finally:
            answer.close()

    def _sent(
        self, method: str, path: str, *, read: float, expected: str, stream: bool = False, **parts: Any
    ) -> httpx.Response:
        with _translated(self._place):
            timeout = httpx.Timeout(self._timeout, read=read)
            answer = self._http.send(self._http.build_request(method, path, timeout=timeout, **parts), stream=stream)
            if answer.status_code == httpx.codes.NOT_MODIFIED:
                return answer
            if answer.is_success:
                fault = unlike(answer, {expected})
                if fault is None and stream and answer.status_code != httpx.codes.OK:  # it would never have an event
                    fault = named(answer)
                if fault is None:
                    return answer
                answer.close()
                raise StrangeAnswer(fault)
            answer.read()
            raise problem_of(answer)


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


def _base(url: str) -> str:
    """The URL without what an address of the page has: a fragment, which may be a key, and the name of the file."""
    wrong = Permanent(f"{url.partition('#')[0]!r} is not a gateway URL; expected one like http://127.0.0.1:8080")
    try:
        parts = urlsplit(url.strip())
        httpx.URL(url.strip())
        host, _ = parts.hostname, parts.port
    except (ValueError, httpx.InvalidURL):
        raise wrong from None
    if parts.scheme not in {"http", "https"} or not host:
        raise wrong
    return f"{parts.scheme}://{parts.netloc}{parts.path.removesuffix('/index.html').rstrip('/')}"
