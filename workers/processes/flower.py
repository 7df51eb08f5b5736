"""The process of Flower: its application behind a guard that asks for a password on every address.

Flower's own command is not used: it leaves ``/metrics`` and static files open, accepts any ``Host``, and reads a
Python file of the current folder.
"""

from __future__ import annotations

import html
import json
import signal
import sys
import time
from base64 import b64encode
from collections import deque
from collections.abc import Iterable, Mapping
from hmac import compare_digest
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import structlog
from flower.app import Flower  # type: ignore[import-untyped]  # it has no types
from flower.events import Events  # type: ignore[import-untyped]  # as above
from flower.options import options  # type: ignore[import-untyped]  # as above
from flower.urls import settings as flower_settings  # type: ignore[import-untyped]  # as above
from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.ioloop import PeriodicCallback
from tornado.web import OutputTransform, RequestHandler

from vectordb.errors import Permanent
from workers.processes.flower_state import SAVE_EVERY_S, StateFile
from workers.processes.flower_views import VIEWS, Lengths, Queues, forget_workers, lengths_of
from workers.processes.logs import configure
from workers.processes.request_host import served
from workers.redis.redis_clock import OFF_FROM_S
from workers.settings.monitoring import HIDDEN_FROM
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring

log = structlog.get_logger()

PUBLIC = "guest"  # RabbitMQ's first user and password, which it accepts from its own machine only
FORGET_EVERY_S = 5
TASKS = 5000  # that are kept, at 3 KB each
WORKERS = 500  # that are kept
GATHER_S = 0.5  # between two updates of what Flower shows
READS = frozenset({"GET", "HEAD", "OPTIONS"})
READING_POST = "/tasks/datatable"  # the page of tasks asks for its rows by POST; all others change something
# Flower's pages have scripts and styles of their own in them, so this does not name what they may load
POLICY = "frame-ancestors 'none'; object-src 'none'; base-uri 'self'; form-action 'self'"
OPEN = "/healthcheck"  # answers OK and nothing else; health checks have no password


def run_flower(settings: Settings, port: int, address: str = "127.0.0.1") -> None:
    """Run Flower. Raises ``Permanent`` without ``flower_auth``: Flower can stop workers."""
    if not settings.flower_auth:
        raise Permanent("Flower requires a user and a password: set WILDTAG_FLOWER_AUTH=USER:PASSWORD")
    urls = settings.broker, settings.redis_url
    secrets = passwords_of(*urls) - {PUBLIC}
    if any(0 < len(form) < HIDDEN_FROM for one in secrets for form in (one, unquote(one))):
        raise Permanent(
            f"the password of Redis or of the broker is shorter than {HIDDEN_FROM} characters, and Flower could not"
            " hide it on its pages: choose a longer one"
        )
    configure(settings, "flower")
    options.port, options.address = port, address
    options.basic_auth = [settings.flower_auth]
    options.max_tasks, options.max_workers, options.natural_time = TASKS, WORKERS, True
    options.read_only = settings.flower_read_only
    options.enable_events = False  # all workers always send them; it would ask them to every five seconds
    options.url_prefix = urlsplit(settings.flower_url or "").path.strip("/")
    wiring = Wiring(settings)
    application = GuardedFlower(
        wiring.app, settings.flower_auth, host_of(settings.flower_url),
        {*secrets, settings.flower_auth.partition(":")[2]},
        lambda: lengths_of(wiring), StateFile(settings.home / "flower" / "tasks"),
    )  # fmt: skip
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    application.start_http_server()
    log.info("flower", address=address, port=port, read_only=settings.flower_read_only)
    try:
        application.start()
    except (KeyboardInterrupt, SystemExit):
        pass
    finally:
        application.stop()


class GuardedFlower(Flower):  # type: ignore[misc]  # Flower has no types
    """Flower, whose requests pass a guard before any handler of Flower sees them.

    ``host``: of the URL at which people reach it, beside this machine and plain addresses. ``secrets``: what no
    answer may contain.
    """

    def __init__(
        self, app: Any, auth: str, host: str | None, secrets: Iterable[str], lengths: Lengths = lambda: (),
        file: StateFile | None = None,
    ) -> None:  # fmt: skip
        """``lengths``: of the queues. ``file``: keeps the tasks; without it they end with the process."""
        self._prefix = f"/{options.url_prefix}" if options.url_prefix else ""
        at_prefix = {name: f"{self._prefix}{flower_settings[name]}" for name in ("login_url", "static_url_prefix")}
        super().__init__(options=options, capp=app, **{**flower_settings, **at_prefix})
        self.queues = Queues(lengths, lambda call: self.io_loop.run_in_executor(None, call))
        self._forgetting = PeriodicCallback(self._forget, FORGET_EVERY_S * 1000)
        self.io_loop.add_callback(self._forgetting.start)
        self.events = GatheredEvents(
            app, self.io_loop, enable_events=options.enable_events, max_workers_in_memory=options.max_workers,
            max_tasks_in_memory=options.max_tasks, file=file,
        )  # fmt: skip
        self._expected = b"Basic " + b64encode(auth.encode())
        self._host = host
        hidden = spellings(secrets)
        self.add_transform(lambda _request: _Hiding(hidden))

    def _forget(self) -> None:
        forget_workers(self, time.time())

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """See Tornado: chooses the handler of a request. Refused requests get one of our own.

        Flower serves its paths below that of its URL only. Some proxies remove it, and so do checks of its health.
        """
        if self._prefix and not f"{request.path}/".startswith(f"{self._prefix}/"):
            request.path = self._prefix + request.path
        elif self._prefix and request.path == self._prefix:
            request.path += "/"
        if (refusal := self._refusal(request)) is not None:
            return self.get_handler_delegate(request, _Refused, dict(zip(("status", "reason"), refusal, strict=True)))
        if (view := VIEWS.get(request.path.removeprefix(self._prefix).rstrip("/"))) is not None:
            return self.get_handler_delegate(request, view)
        return super().find_handler(request, **kwargs)

    def _refusal(self, request: HTTPServerRequest) -> tuple[int, str] | None:
        if not served(request.headers.get("Host", ""), self._host):
            return 403, "This host name is not served. If it is yours, set WILDTAG_FLOWER_URL to its URL."
        shown = request.headers.get("Authorization", "").encode()
        path = request.path.removeprefix(self._prefix)
        if path == OPEN:
            return None
        if not compare_digest(shown, self._expected):
            return 401, "A user and a password are required."
        if options.read_only and request.method not in READS and (request.method, path) != ("POST", READING_POST):
            return 403, "Flower only shows: WILDTAG_FLOWER_READ_ONLY=false allows changes."
        return None


class GatheredEvents(Events):  # type: ignore[misc]  # Flower has no types
    """Celery's events, which the event loop takes together and in order every ``GATHER_S`` seconds.

    Flower's own wakes up the event loop for each, which takes more time than to count it.
    """

    def __init__(self, app: Any, io_loop: Any, *, file: StateFile | None = None, **given: Any) -> None:
        """``file``: what the state is loaded from and saved to."""
        self._file = file
        super().__init__(
            app, io_loop, persistent=file is not None, state_save_interval=SAVE_EVERY_S * 1000, **given
        )  # fmt: skip
        self._waiting: deque[Any] = deque()

    def load_state(self) -> Any | None:
        """See Flower."""
        return self._file and self._file.load()

    def save_state(self) -> None:
        """See Flower: called every ``SAVE_EVERY_S`` seconds, and when it ends."""
        if self._file is not None:
            self._take()
            self._file.save(self.state)

    def on_event(self, event: Any) -> None:
        """Called by the thread that receives the events."""
        self._waiting.append(event)
        if len(self._waiting) <= 1:  # otherwise the call that was asked for takes it, too
            self.io_loop.add_callback(self.io_loop.call_later, GATHER_S, self._take)

    def _take(self) -> None:
        while self._waiting:
            event = self._waiting.popleft()
            received = event.get("local_received")
            if received is not None and abs(received - event.get("timestamp", received)) > OFF_FROM_S:
                event["timestamp"] = received  # the clock of the worker's host is wrong
            try:
                self.state.event(event)
            # what Flower or Celery raise for an event that they do not understand; the others count
            except Exception:
                log.exception("event not shown", type=event.get("type"))


class _Refused(RequestHandler):
    """Answers what the guard refuses, whatever the method."""

    def initialize(self, status: int, reason: str) -> None:
        self._status, self._said = status, reason

    def check_xsrf_cookie(self) -> None:
        """Nothing is changed here."""

    def prepare(self) -> None:
        self.set_status(self._status)
        if self._status == 401:
            self.set_header("WWW-Authenticate", 'Basic realm="flower", charset="UTF-8"')
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.finish(f"{self._said}\n")


class _Hiding(OutputTransform):
    """Replaces secrets in whole answers. What is sent in pieces is a static file, which contains none."""

    def __init__(self, hidden: Mapping[bytes, bytes]) -> None:
        self._hidden = hidden

    def transform_first_chunk(
        self,
        status_code: int,
        headers: HTTPHeaders,
        chunk: bytes,
        finishing: bool,  # noqa: FBT001 -- Tornado's
    ) -> tuple[int, HTTPHeaders, bytes]:
        headers["X-Frame-Options"] = "DENY"
        headers["Referrer-Policy"] = "no-referrer"
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Content-Security-Policy"] = POLICY
        headers.pop("Server", None)
        if (kind := headers.get("Content-Type", "")).startswith("text/") and "charset" not in kind:
            headers["Content-Type"] = f"{kind}; charset=UTF-8"  # of a static file
        if finishing:
            for secret, mask in self._hidden.items():
                chunk = chunk.replace(secret, mask)
            if "Content-Length" in headers:
                headers["Content-Length"] = str(len(chunk))
        return status_code, headers, chunk


def passwords_of(*urls: str) -> set[str]:
    """The passwords in URLs, as they are written there; empty for a URL without one."""
    return {urlsplit(one).password or "" for url in urls for one in url.split(";")}


def spellings(secrets: Iterable[str]) -> Mapping[bytes, bytes]:
    """Every form in which an answer may show a secret, longest first, with what replaces it."""
    forms = set()
    for secret in {each for one in secrets for each in (one, unquote(one))}:
        if len(secret) >= HIDDEN_FROM:
            forms |= {secret, quote(secret, safe=""), quote(secret), html.escape(secret), json.dumps(secret)[1:-1]}
            forms |= {html.escape(json.dumps(secret)[1:-1]), html.escape(repr(secret)[1:-1])}
    return {form.encode(): b"***" for form in sorted(forms, key=len, reverse=True)}


def host_of(url: str | None) -> str | None:
    """The host name in a URL."""
    return urlsplit(url).hostname if url else None
