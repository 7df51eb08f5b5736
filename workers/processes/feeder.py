"""The feeder of an encoder that prepares: encodes the captions, then submits the images that its pipeline lacks.

It goes on after everything is prepared, so that new images, labels and captions follow. While a command changes the
encoder it submits nothing, because the command does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from workers.dispatch.preparation import Compared
from workers.processes.loops import Periodic, Stop, run_steps, running
from workers.redis.encoders import ChosenEncoder, FeederNote
from workers.settings.settings import Settings
from workers.wiring import encoder_change
from workers.wiring.encoder_in_use import in_use
from workers.wiring.wiring import Wiring

log = structlog.get_logger()

FEEDER = "feeder"
LOOK_EVERY_S = 2.0  # between two looks whether there is anything new, or a command is running
COMPARE_EVERY_S = 600.0  # all records, even if nothing seems new
TOUCH_EVERY_S = 5.0
RATE_S = 20.0  # over which the rate is measured
STILL_S = 60.0  # without an image that was prepared, after which that is said


class Interrupted(Exception):
    """The process is stopped, or a command changes the encoder."""


def run_feeder(settings: Settings, change: ChosenEncoder) -> None:
    """Run it until it is stopped. Raises ``EncoderChanged`` when the encoder prepares no more."""
    now, next_ = Wiring(in_use(settings)), Wiring(encoder_change.next_settings(settings, change))
    with running(next_, FEEDER) as stop:
        feeder = Feeder(now, next_, change, stop)
        run_steps(stop, next_.outage_tracker, feeder.step, feeder.beat)


class Progress:
    """The rate at which images are prepared, and whether it stands still."""

    def __init__(self) -> None:
        self.rate: float | None = None
        self.fault = ""
        self._since: tuple[float, int] | None = None
        self._moved = (0.0, -1)

    def add(self, now: float, done: int, *, waiting: bool) -> None:
        """``done``: images prepared at ``now`` (seconds). ``waiting``: whether some were submitted and are not."""
        if self._since is None or done < self._since[1]:
            self._since = (now, done)
        elif now - self._since[0] >= RATE_S:
            self.rate = (done - self._since[1]) / (now - self._since[0])
            self._since = (now, done)
        if done != self._moved[1] or not waiting:
            self._moved = (now, done)
        still = now - self._moved[0]
        self.fault = f"nothing was prepared for {still:.0f} s: do next-worker and next-dispatcher run?"
        self.fault = self.fault if still >= STILL_S else ""


class Feeder:
    """Prepares in calls of ``step``. Raises ``EncoderChanged``, and what is retried: ``Transient``."""

    def __init__(self, now: Wiring, next_: Wiring, change: ChosenEncoder, stop: Stop) -> None:
        """``now``, ``next_``: the adapters of the encoder in use and of the other one."""
        self._now, self._next, self._stop = now, next_, stop
        self._by = encoder_change.preparation(now, next_, change.space, change.rate, self._tick)
        self._state: object = None
        self._compared_at = float("-inf")
        self._progress = Progress()
        self.beat = Periodic(1.0, lambda: next_.health.beat(FEEDER))
        self._look = Periodic(LOOK_EVERY_S, self._looked)
        self._note = Periodic(LOOK_EVERY_S, lambda: self._say("images"))
        self._total = 0

    def step(self) -> None:
        """Prepare what is new, or wait for a short time."""
        self.beat()  # who waits for its end must know of it
        try:
            self._looked()
            state = encoder_change.encoder_switch(self._now).state()
            level = encoder_change.captions_are_level(self._now, self._next)
            if level and state == self._state and time.monotonic() - self._compared_at < COMPARE_EVERY_S:
                self._say("watching")
                self._wait()
                return
            if not level:
                self._encode()
            self._by.prepare()
            began = time.monotonic()
            found = self._by.complete()
        except Interrupted:
            self._wait()
            return
        self._state, self._compared_at = state, time.monotonic()
        self._total = found.images
        if time.monotonic() - began > LOOK_EVERY_S:
            log.info("prepared", images=found.prepared, of=found.images, refused=len(found.refused))
        self._say("watching")

    def _encode(self) -> None:
        with self._alive():
            encoder_change.encode_captions(self._now, self._next, self._captions)

    def _captions(self, doing: str, done: int, total: int) -> None:
        self._looked()
        self._stop.sign()
        self.beat()
        self._now.encoders.note_feeder(FeederNote(doing, done, total, self._now.clock()))

    def _tick(self, found: Compared) -> None:
        """Called again and again while images are prepared."""
        self._total = found.images or self._total
        self._stop.sign()
        self.beat()
        self._look()
        self._note()

    def _looked(self) -> None:
        """Raises ``Interrupted`` if there is a reason to stop. Takes over a new rate."""
        if self._stop.is_set():
            raise Interrupted
        if encoder_change.is_held(self._now):
            self._say("paused", "a command changes the encoder")
            raise Interrupted
        change = self._now.encoders.change()
        if change is not None:
            self._by.rate = change.rate

    def _say(self, doing: str, fault: str = "") -> None:
        done, rate = self._next.records.counts()["done"], self._progress
        rate.add(time.monotonic(), done, waiting=bool(self._by.unfinished()))
        note = FeederNote(doing, done, max(self._total, done), self._now.clock(), rate.rate, fault or rate.fault)
        self._now.encoders.note_feeder(note)

    def _wait(self) -> None:
        until = time.monotonic() + LOOK_EVERY_S
        while not self._stop.is_set() and time.monotonic() < until:
            self._stop.sign()
            self.beat()
            self._stop.wait(0.2)

    @contextmanager
    def _alive(self) -> Iterator[None]:
        """Show that the process is alive while a model is downloaded or a graph is built, which may take minutes."""
        ended = threading.Event()

        def touch() -> None:
            while not ended.wait(TOUCH_EVERY_S):
                self._next.liveness.touch(FEEDER)

        thread = threading.Thread(target=touch, name="alive", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
