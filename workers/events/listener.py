"""Consumes bucket events from MinIO's listen API until the process stops.

The server does not buffer events: what happens while no client is connected is lost. After every successful
connection, including the first, the bucket is therefore compared with the records (``CatchUp``). This runs in
parallel with listening, because a listener that does not read loses events too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import structlog

from vectordb.errors import Transient
from workers.events.listen_api import Connect, Deaf, Refused
from workers.events.notification import LARGEST, Notification, listen_line
from workers.events.sink import EventSink, ReceivedEvents, received_events
from workers.events.sources import State
from workers.redis.connection import StoreUnavailable

log = structlog.get_logger()

SOURCE = "listen"
FIRST_PAUSE = 0.5  # seconds
REST = 0.05  # seconds between two steps of the catch-up
LONGEST_PAUSE = 1.0  # reconnect soon after the server is back
DEAF_PAUSE = 30.0  # every attempt leaves a request open on a deaf server
REFUSED_PAUSE = 60.0  # what is refused may change with a policy, bucket or server, but not soon
REMIND_S = 3600.0  # a deaf server stays deaf until somebody fixes it
RENEW_S = 10.0
LASTS_S = 3 * REFUSED_PAUSE  # an older report was left by a process that has ended
STEADY = 10.0  # a connection that worked for this long resets the backoff

Report = Callable[[State, str], object]


class CatchUp(Protocol):
    """Compares the bucket with the records, step by step."""

    def __call__(self, *, connected: bool) -> bool:
        """Run one step; true when the whole bucket has been compared. May raise ``Transient``, and then resumes.

        ``connected``: a connection was made since the last step, so changes in what was already compared may have
        been missed.
        """
        ...


class ListenerStatus:
    """Logs and reports the state of the listener: on every change, and repeatedly while it lasts.

    ``report`` is called every ``RENEW_S`` seconds, so that readers know that this process is alive. The log gets one
    line when listening starts to fail, one every ``REMIND_S`` seconds while it fails, and one when it works again.
    """

    def __init__(self, bucket: str, report: Report) -> None:
        self._bucket = bucket
        self._report = report
        self._state: State | None = None
        self._reason = ""
        self._since = self._logged = self._reported = 0.0

    def set_state(self, state: State, reason: str = "") -> None:
        """Set or confirm the state."""
        now = time.monotonic()
        changed = state != self._state
        if changed or state != "working":
            self._log(state, reason, now, changed=changed)
        if changed:
            self._since, self._reported = now, 0.0
        self._state, self._reason = state, reason
        self.renew()

    def renew(self) -> None:
        """Report the current state again if that is due. If Redis is unavailable, it stays due."""
        now = time.monotonic()
        if self._state is None or (self._reported and now - self._reported < RENEW_S):
            return
        try:
            self._report(self._state, self._reason)
        except Transient as exc:
            log.debug("state not reported", reason=str(exc))
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
            log.warning("not listening, other sources report events", bucket=self._bucket, reason=reason)
        else:
            lasting = {} if changed else {"for_s": round(now - self._since)}
            log.warning("not listening", bucket=self._bucket, reason=reason, **lasting)


class Listener:
    """Stores the events of a bucket. After each connection, runs ``catch_up`` until it has finished.

    ``alive`` is called whenever bytes arrive, including pings and keep-alives, and on every attempt. ``report``
    receives whether events arrive.
    """

    def __init__(
        self,
        connect: Connect,
        bucket: str,
        event_sink: EventSink,
        catch_up: CatchUp,
        alive: Callable[[], object] = lambda: None,
        first_pause: float = FIRST_PAUSE,
        report: Report = lambda state, reason: None,  # noqa: ARG005 -- reporting is optional
        refused_pause: float = REFUSED_PAUSE,
    ) -> None:
        self._connect = connect
        self._bucket = bucket
        self._event_sink = event_sink
        self._catch_up = catch_up
        self._alive = alive
        self._first_pause = first_pause
        self._refused_pause = refused_pause
        self._status = ListenerStatus(bucket, report)
        self._heard = True  # whether anything was received on the current or last connection
        self._looked = False
        self._fault: Exception | None = None
        self._behind = threading.Event()

    def catch_up_again(self) -> None:
        """Have the bucket compared again, as after a connection: Redis has lost what was compared."""
        self._behind.set()

    def follow(self, stop: threading.Event) -> None:
        """Listen until ``stop``, which is checked whenever something arrives. Raises unexpected errors only.

        If the server refuses, tries again once a minute: a policy or bucket may change.
        """
        behind = self._behind
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
            if not self._looked:  # no events arrive, and the current content is unknown too
                self._look(behind)
            if state is not None:
                self._status.set_state(state, reason)
            if state == "refused":
                stop.wait(self._refused_pause)
                continue
            stop.wait(pause)
            pause = min(DEAF_PAUSE if state == "deaf" else LONGEST_PAUSE, pause * 2)

    def _connected(self, stop: threading.Event, behind: threading.Event) -> tuple[State | None, str]:
        """Listen for one connection. Returns how it ended, ``None`` if the server is not the cause."""
        # a server that never sends anything must not trigger a catch-up on each attempt
        trusted, self._heard = self._heard, False
        try:
            with self._connect() as chunks:
                if trusted:
                    self._look(behind)
                for line in lines(chunks):
                    if not self._heard:
                        self._heard = True
                        self._status.set_state("working")
                        if not trusted:
                            self._look(behind)
                    self._take(line)
                    if stop.is_set():
                        break
        except Deaf as exc:
            self._count("deaf")
            return "deaf", str(exc)
        except StoreUnavailable as exc:  # events that could not be stored are found by the catch-up
            return None, str(exc)
        except Transient as exc:
            return "away", str(exc)
        except Refused as exc:
            self._count("refused")
            return "refused", str(exc)
        return "away", "the server closed the connection"

    def _sign(self) -> None:
        """Report that the process is alive, regardless of the server."""
        self._status.renew()
        try:
            self._alive()
        except Transient as exc:
            log.debug("keep-alive not stored", reason=str(exc))

    def _look(self, behind: threading.Event) -> None:
        self._looked = True
        behind.set()

    def _count(self, what: str) -> None:
        try:
            self._event_sink.store([ReceivedEvents(counts={f"{SOURCE}:{what}": 1})])
        except Transient as exc:
            log.warning("event count not stored", reason=str(exc))

    def _take(self, line: bytes) -> None:
        self._alive()
        self._status.renew()
        notification = listen_line(line, self._bucket)
        if notification != Notification():
            self._event_sink.store([received_events(SOURCE, notification, line)])

    def _catching_up(self, stop: threading.Event, behind: threading.Event) -> None:
        pause = self._first_pause
        done = True
        while not stop.is_set():
            # a connection made during a step counts for the next step, so that nothing is skipped
            connected = behind.wait(None if done else REST)
            behind.clear()
            if stop.is_set():
                return
            try:
                done = self._catch_up(connected=connected)
                pause = self._first_pause
            except Transient as exc:
                done = False
                log.warning("catch-up postponed", reason=str(exc))
                stop.wait(pause)
                pause = min(LONGEST_PAUSE, pause * 2)
            except Exception as exc:  # errors in this thread would go unnoticed: ``follow`` raises them
                self._fault = exc
                stop.set()


def lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Split chunks of any size into lines; yields an empty one for a chunk that completes none, such as a keep-alive.

    A line that is too long is yielded once, truncated; the rest of it is dropped.
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
