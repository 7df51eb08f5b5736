"""Listens to a bucket over the listen API of MinIO, for as long as the process lives.

The server remembers nothing: what happens while nobody is connected is lost. So after every connection that is heard,
the first one included, the bucket is compared with the records (``CatchUp``), beside the listening and not before it,
since a listener that does not read loses events too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import structlog

from vectordb.errors import Transient
from workers.events.listen_api import Connect, Deaf, Refused
from workers.events.notification import LARGEST, Told, listened
from workers.events.sink import EventSink, ReceivedEvents, deposit
from workers.events.sources import State
from workers.redis.connection import StoreUnavailable

log = structlog.get_logger()

SOURCE = "listen"
FIRST_PAUSE = 0.5  # seconds
REST = 0.05  # seconds between two turns of catching up
LONGEST_PAUSE = 1.0  # a server that is back is heard again soon
DEAF_PAUSE = 30.0  # one that is deaf keeps a request of every try
REFUSED_PAUSE = 60.0  # a policy, a bucket or another server may change what is refused, but not soon
REMIND_S = 3600.0  # a server that is deaf stays so until somebody does something about it
RENEW_S = 10.0
LASTS_S = 3 * REFUSED_PAUSE  # a report that is older was left by a process that has ended
STEADY = 10.0  # a connection that was heard for so long was a good one

Report = Callable[[State, str], object]


class CatchUp(Protocol):
    """Looks through the bucket, in turns."""

    def __call__(self, *, connected: bool) -> bool:
        """Take a turn; true when all was looked at. It may raise ``Transient``, and then goes on where it was.

        ``connected``: a connection was made since the last turn, and what was seen before may have changed unheard.
        """
        ...


class Watched:
    """Logs and reports how listening is: when that changes, and again and again while it lasts.

    ``report`` hears it every ``RENEW_S`` seconds, so that whoever reads it knows that this process lives. The log has
    a line when listening begins to fail, one every ``REMIND_S`` seconds meanwhile, and one when it works again.
    """

    def __init__(self, bucket: str, report: Report) -> None:
        self._bucket = bucket
        self._report = report
        self._state: State | None = None
        self._reason = ""
        self._since = self._logged = self._reported = 0.0

    def is_(self, state: State, reason: str = "") -> None:
        """It is so now, or still."""
        now = time.monotonic()
        changed = state != self._state
        if changed or state != "working":
            self._log(state, reason, now, changed=changed)
        if changed:
            self._since, self._reported = now, 0.0
        self._state, self._reason = state, reason
        self.renew()

    def renew(self) -> None:
        """It is still so: report it, where that is due. Where Redis is away it is due until it is reported."""
        now = time.monotonic()
        if self._state is None or (self._reported and now - self._reported < RENEW_S):
            return
        try:
            self._report(self._state, self._reason)
        except Transient as exc:
            log.debug("not reported", reason=str(exc))
        else:
            self._reported = now

    def _log(self, state: State, reason: str, now: float, *, changed: bool) -> None:
        if not changed and now - self._logged < REMIND_S:
            return
        self._logged = now
        if state == "working":
            after = {"after_s": round(now - self._since)} if self._state is not None else {}
            log.info("listening", bucket=self._bucket, **after)
        elif state == "refused":
            log.warning("not listening: other sources tell of the bucket", bucket=self._bucket, reason=reason)
        else:
            lasting = {} if changed else {"for_s": round(now - self._since)}
            log.warning("not listening", bucket=self._bucket, reason=reason, **lasting)


class Listener:
    """Stores what a bucket tells; ``catch_up`` gets its turns after each connection, until it is at its end.

    ``alive`` is called for every sign of life, pings and keep-alives included, and for every try; ``report`` is told
    whether the server is heard.
    """

    def __init__(
        self,
        connect: Connect,
        bucket: str,
        event_sink: EventSink,
        catch_up: CatchUp,
        alive: Callable[[], object] = lambda: None,
        first_pause: float = FIRST_PAUSE,
        report: Report = lambda state, reason: None,  # noqa: ARG005 -- nobody wants to know
        refused_pause: float = REFUSED_PAUSE,
    ) -> None:
        self._connect = connect
        self._bucket = bucket
        self._event_sink = event_sink
        self._catch_up = catch_up
        self._alive = alive
        self._first_pause = first_pause
        self._refused_pause = refused_pause
        self._watched = Watched(bucket, report)
        self._heard = True  # whether the server was heard in the connection that is, or was last
        self._looked = False
        self._fault: Exception | None = None

    def follow(self, stop: threading.Event) -> None:
        """Listen until ``stop``, which is looked at whenever something comes in. Raises what is a bug.

        A server that refuses is asked again once a minute: what it lacks may come.
        """
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
            began = time.monotonic()
            state, reason = self._connected(stop, behind)
            if stop.is_set():
                return
            if self._heard and time.monotonic() - began > STEADY:
                pause = self._first_pause
            self._sign()
            if not self._looked:  # nothing is heard, and what is there is not known either
                self._look(behind)
            if state is not None:
                self._watched.is_(state, reason)
            if state == "refused":
                stop.wait(self._refused_pause)
                continue
            stop.wait(pause)
            pause = min(DEAF_PAUSE if state == "deaf" else LONGEST_PAUSE, pause * 2)

    def _connected(self, stop: threading.Event, behind: threading.Event) -> tuple[State | None, str]:
        """Listen as long as one connection lasts; gives how it ended, ``None`` where the server is not to blame."""
        # a server that is never heard is no reason to look through the bucket at each try
        trusted, self._heard = self._heard, False
        try:
            with self._connect() as chunks:
                if trusted:
                    self._look(behind)
                for line in lines(chunks):
                    if not self._heard:
                        self._heard = True
                        self._watched.is_("working")
                        if not trusted:
                            self._look(behind)
                    self._take(line)
                    if stop.is_set():
                        break
        except Deaf as exc:
            self._count("deaf")
            return "deaf", str(exc)
        except StoreUnavailable as exc:  # what could not be stored is found when it is caught up with
            return None, str(exc)
        except Transient as exc:
            return "away", str(exc)
        except Refused as exc:
            self._count("refused")
            return "refused", str(exc)
        return "away", "the server closed the connection"

    def _sign(self) -> None:
        """The process lives, whatever the server does."""
        self._watched.renew()
        try:
            self._alive()
        except Transient as exc:
            log.debug("not noted", reason=str(exc))

    def _look(self, behind: threading.Event) -> None:
        self._looked = True
        behind.set()

    def _count(self, what: str) -> None:
        try:
            self._event_sink.store([ReceivedEvents(counts={f"{SOURCE}:{what}": 1})])
        except Transient as exc:
            log.warning("not counted", reason=str(exc))

    def _take(self, line: bytes) -> None:
        self._alive()
        self._watched.renew()
        told = listened(line, self._bucket)
        if told != Told():
            self._event_sink.store([deposit(SOURCE, told, line)])

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
