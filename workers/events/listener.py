"""Listens to a bucket over the listen API of MinIO, for as long as the process lives.

The server remembers nothing: what happens while nobody is connected is lost. So after every connection, the first one
included, the bucket is compared with the records (``CatchUp``), beside the listening and not before it, since a
listener that does not read loses events too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import structlog
import urllib3
from minio.error import MinioException, S3Error

from vectordb.errors import Permanent, Transient
from workers.events.notification import LARGEST, Told, listened
from workers.events.reception import Reception, deposit

log = structlog.get_logger()

SOURCE = "listen"
EVENTS = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")
FIRST_PAUSE = 0.5  # seconds
REST = 0.05  # seconds between two turns of catching up
LONGEST_PAUSE = 30.0
STEADY = 10.0  # a connection that lasted so long was a good one
# answers that time alone does not change
REFUSALS = frozenset({
    "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "NoSuchBucket",
    "NotImplemented", "MethodNotAllowed",
})  # fmt: skip

Connect = Callable[[], AbstractContextManager[Iterable[bytes]]]


class Dropped(Transient):
    """The connection could not be made, or ended without a farewell."""


class Listening(Protocol):
    """What is needed of minio's client."""

    def listen_bucket_notification(self, bucket_name: str, prefix: str, suffix: str, events: tuple[str, ...]) -> Any:
        """As minio-py has it."""
        ...


def connecting(client: Listening, bucket: str, prefix: str = "", suffix: str = "") -> Connect:
    """Opens the listen API through minio's client: gives the bytes as they come. ``Dropped`` for what ends it.

    The client's own iterator hides keep-alives and makes a new connection by itself when the server closes one,
    silently and at once: then nobody would catch up. So the response is read here.
    """

    @contextmanager
    def connect() -> Iterator[Iterable[bytes]]:
        with _dropped():
            events = client.listen_bucket_notification(bucket, prefix, suffix, EVENTS)
            response: urllib3.BaseHTTPResponse = events._func()  # noqa: SLF001 -- see above
            try:
                yield response.stream()
            finally:
                response.close()
                response.release_conn()

    return connect


@contextmanager
def _dropped() -> Iterator[None]:
    try:
        yield
    except S3Error as exc:
        if exc.code in REFUSALS:
            raise Permanent(f"the bucket cannot be listened to: {exc.code}: {exc.message}") from exc
        raise Dropped(f"{exc.code}: {exc.message}") from exc
    except (urllib3.exceptions.HTTPError, MinioException, OSError) as exc:
        raise Dropped(f"{type(exc).__name__}: {exc}") from exc
    except ValueError as exc:  # what minio-py says of a bucket's name, and of Amazon
        raise Permanent(f"cannot be listened to: {exc}") from exc


class CatchUp(Protocol):
    """Looks through the bucket, in turns."""

    def __call__(self, *, connected: bool) -> bool:
        """Take a turn; true when all was looked at. It may raise ``Transient``, and then goes on where it was.

        ``connected``: a connection was made since the last turn, and what was seen before may have changed unheard.
        """
        ...


class Listener:
    """Stores what a bucket tells; ``catch_up`` gets its turns after each connection, until it is at its end.

    ``alive`` is called for every sign of life, keep-alives included: at most every half second from a quiet MinIO.
    A server that sends none looks silent until something happens.
    """

    def __init__(
        self,
        connect: Connect,
        bucket: str,
        reception: Reception,
        catch_up: CatchUp,
        alive: Callable[[], object] = lambda: None,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self._connect = connect
        self._bucket = bucket
        self._reception = reception
        self._catch_up = catch_up
        self._alive = alive
        self._first_pause = first_pause
        self._fault: Exception | None = None

    def follow(self, stop: threading.Event) -> None:
        """Listen until ``stop``, which is looked at whenever something comes in. Raises what is not ``Transient``."""
        behind = threading.Event()
        catching = threading.Thread(target=self._catching_up, args=(stop, behind), daemon=True, name="catch-up")
        catching.start()
        try:
            self._listening(stop, behind)
        finally:
            stop.set()
            behind.set()
            catching.join(5)
        if self._fault is not None:
            raise self._fault

    def _listening(self, stop: threading.Event, behind: threading.Event) -> None:
        pause = self._first_pause
        while not stop.is_set():
            began, reason = time.monotonic(), "the server closed the connection"
            try:
                with self._connect() as chunks:
                    log.info("listening", bucket=self._bucket)
                    behind.set()
                    for line in lines(chunks):
                        self._take(line)
                        if stop.is_set():
                            return
            except Transient as exc:  # what could not be stored is found when it is caught up with
                reason = str(exc)
            if time.monotonic() - began > STEADY:
                pause = self._first_pause
            log.warning("connects again", reason=reason, pause=pause)
            stop.wait(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    def _take(self, line: bytes) -> None:
        self._alive()
        told = listened(line, self._bucket)
        if told != Told():
            self._reception.store([deposit(SOURCE, told, line)])

    def _catching_up(self, stop: threading.Event, behind: threading.Event) -> None:
        pause = self._first_pause
        done = True
        while not stop.is_set():
            # what was connected during a turn counts for the next one, so that nothing is taken for seen
            connected = behind.wait(None if done else REST)
            behind.clear()
            if stop.is_set():
                return
            try:
                done = self._catch_up(connected=connected)
                pause = self._first_pause
            except Transient as exc:
                done = False
                log.warning("not caught up", reason=str(exc))
                stop.wait(pause)
                pause = min(LONGEST_PAUSE, pause * 2)
            except Exception as exc:  # of a thread that nobody would hear end: ``follow`` raises it
                self._fault = exc
                stop.set()


def lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines out of pieces of any size; an empty one for a piece that ends none, as keep-alives do.

    A line that is too long is given as far as it goes, once, and what is left of it is dropped.
    """
    held, dropping = b"", False
    for chunk in chunks:
        *whole, held = (held + chunk).split(b"\n")
        if dropping and whole:
            whole, dropping = whole[1:], False
        yield from whole
        held = held.lstrip()  # keep-alives are spaces within a line that never ends
        if dropping:
            held = b""
        elif len(held) > LARGEST:
            yield held
            held, dropping = b"", True
        if not whole:
            yield b""
