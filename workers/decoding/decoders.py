"""Decodes images in processes that hold no secrets, reach nothing, and are ended when an image takes too long.

A process is used for many images. One that crashes, hangs or takes too much memory costs the image that it was
reading, and is replaced. If it had read other images before, one of these may have damaged it: the image is then read
once more, by a new process.
"""

from __future__ import annotations

import mmap
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self, TypeVar

import structlog
from PIL import Image

from tasks.images import BadImage, EmptyImage
from tasks.images.errors import DecoderCrashed, MemoryShort, TooMuchMemory, TooSlow, of_code
from tasks.message_parts import Media
from workers.decoding.decode_messages import DecodeReply, DecodeRequest, Ended, Ready, receive, send
from workers.decoding.spawner import Child, NoDecoder, Spawner

log = structlog.get_logger()

WALL = 3.0  # times the limit of processor time: until an image fails that waits for something
WANTED = frozenset({"memory", "no-new-privileges", "landlock", "seccomp"})
SLOW_S = 1.0  # from then on an image does not keep others from being decoded
KEPT = 32 * 2**20  # bytes of shared memory that an idle process keeps
_LOOK_S = 0.25  # between two looks at the processor time
_MOST_VIEWS = 8
_ATTEMPTS = 3
T = TypeVar("T")


class _Lost(Exception):
    """The process has ended. ``status``: as of ``os.waitpid``."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Worker:
    """One process and the memory that is shared with it."""

    def __init__(self, spawner: Spawner) -> None:
        self._spawner = spawner
        self.child: Child = spawner.child()
        self.used = 0
        self._mapped: mmap.mmap | None = None
        try:
            self.isolated = receive(self.child.connection.fileno(), Ready).isolated
        except (OSError, Ended) as exc:
            raise NoDecoder(f"a process for decoding images ends at its start: {self.lost().status}") from exc

    def ask(self, data: bytes, request: DecodeRequest, limit_s: float, on_slow: Callable[[], None]) -> DecodeReply:
        """``on_slow``: called, perhaps often, once it has taken more than ``SLOW_S``.

        Raises ``TooSlow``, ``_Lost``; then the process has ended.
        """
        self.used += 1
        child = self.child
        try:
            left, at = memoryview(data), 0
            while left:
                written = os.pwrite(child.given, left, at)
                left, at = left[written:], at + written
            send(child.connection.fileno(), request)
            if not self._answers(limit_s, on_slow):
                self._spawner.end(child, at_once=True)
                raise TooSlow(
                    f"decoding the image was stopped after {limit_s:g} s of processor time or {limit_s * WALL:g} s in"
                    " all"
                )
            return receive(child.connection.fileno(), DecodeReply)
        except (OSError, Ended) as exc:
            raise self.lost() from exc

    def lost(self) -> _Lost:
        """End the process, if it has not ended yet. Returns the error for that."""
        return _Lost(self._spawner.end(self.child))

    def _answers(self, limit_s: float, on_slow: Callable[[], None]) -> bool:
        """Wait for an answer or the end of the process. Returns whether it came in time."""
        connection = select.poll()
        connection.register(self.child.connection, select.POLLIN)
        began, clock = time.monotonic(), (~self.child.pid << 3) | 2  # CPUCLOCK_SCHED of the process
        start: float | None = None
        while not connection.poll(_LOOK_S * 1000):
            with suppress(OSError):
                used = time.clock_gettime(clock)
                # the first look comes after a quarter of a second, of which all may be of this image
                start = used - min(used, _LOOK_S) if start is None else start
                if used - start > limit_s:
                    return False
            waited = time.monotonic() - began
            if waited > limit_s * WALL:
                return False
            if waited > SLOW_S:
                on_slow()
        return True

    def views(self, reply: DecodeReply, most: int) -> list[Image.Image]:
        """The images in the shared memory, copied. Raises ``_Lost`` for an answer that cannot be right."""
        sizes = reply.sizes
        if not 0 < len(sizes) <= _MOST_VIEWS or any(w < 1 or h < 1 or w * h > most for w, h in sizes):
            raise self.lost()
        found, at = [], 0
        memory = self._memory(sum(4 * w * h for w, h in sizes))
        for width, height in sizes:
            length = 4 * width * height
            image = Image.new("RGB", (width, height), None)  # to fill it first would take as long as to copy
            image.frombytes(memory[at : at + length], "raw", "RGBX")
            found.append(image)
            at += length
        return found

    def encoded(self, reply: DecodeReply) -> bytes:
        """The encoded image in the shared memory. Raises ``_Lost`` as ``views``."""
        return bytes(self._memory(reply.encoded))

    def _memory(self, length: int) -> memoryview:
        """The first bytes of what the process wrote. They are mapped once: mapping takes longer than copying."""
        if self._mapped is None or len(self._mapped) < length:
            size = os.fstat(self.child.made).st_size
            if not 0 < length <= size:
                raise self.lost()
            self._mapped = mmap.mmap(self.child.made, size, prot=mmap.PROT_READ)
        return memoryview(self._mapped)[:length]

    @property
    def large(self) -> bool:
        """Whether it keeps so much shared memory that a new one is better."""
        return os.fstat(self.child.made).st_size > KEPT or os.fstat(self.child.given).st_size > KEPT


class _Turn:
    """A place among the images that are decoded at a time; a slow one makes room for others, as far as it can."""

    def __init__(self, quick: threading.Semaphore, slow: threading.Semaphore) -> None:
        self._quick, self._slow = quick, slow
        self._held = quick

    def __enter__(self) -> Self:
        self._quick.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.release()

    def slow(self) -> None:
        """Take a place for slow images, if there is one, and give the other to the next image."""
        if self._held is self._quick and self._slow.acquire(blocking=False):
            self._held = self._slow
            self._quick.release()


class Decoders:
    """A pool of processes. Thread-safe; after a fork, the child process has a pool of its own.

    It is a ``tasks.images.decoder.Decoder``: called, it gives the views of an image and its media.
    """

    def __init__(self, spawner: Spawner, most: int, limit_s: float, slow: int | None = None) -> None:
        """``most``: images at a time. ``slow``: how many more, that take longer than ``SLOW_S``; by default as many.

        ``limit_s``: seconds of processor time for one image, if none are named.
        """
        self._spawner = spawner
        self._limit_s = limit_s
        self._quick, self._slow = threading.Semaphore(most), threading.Semaphore(slow or most)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._owner = os.getpid()
        self._told = False

    def __call__(
        self, data: bytes, *, max_pixels: int, near: int | None = None, gps: bool = False, video: bool = False
    ) -> tuple[list[Image.Image], Media]:
        """See ``tasks.images.decoder.Decoder``. Raises ``NoDecoder`` as well."""

        def taken(worker: _Worker, reply: DecodeReply) -> tuple[list[Image.Image], Media]:
            if reply.media is None:
                raise worker.lost()
            return worker.views(reply, max_pixels), reply.media

        return self._run(data, DecodeRequest(len(data), max_pixels, near, gps, video), self._limit_s, taken)

    def thumbnail(
        self, data: bytes, side: int, *, max_pixels: int, limit_s: float | None = None, video: bool = False
    ) -> bytes:
        """A WebP of at most ``side`` pixels per side. Raises a ``BadImage``, ``NoDecoder``."""
        request = DecodeRequest(len(data), max_pixels, side, video=video, thumbnail=side)
        limit_s = min(limit_s or self._limit_s, self._limit_s)
        return self._run(data, request, limit_s, lambda worker, reply: worker.encoded(reply))

    def warm(self) -> None:
        """Start a process, so that the first image does not wait for it. Raises ``NoDecoder``."""
        self._back(self._worker())

    def close(self) -> None:
        """End all processes."""
        with self._lock:
            idle, self._idle = self._idle, []
        for one in idle:
            one.lost()
        self._spawner.close()

    def _run(
        self, data: bytes, request: DecodeRequest, limit_s: float, take: Callable[[_Worker, DecodeReply], T]
    ) -> T:
        if not data:
            raise EmptyImage("the file is empty")
        with _Turn(self._quick, self._slow) as turn:
            for attempt in range(_ATTEMPTS):
                worker = self._worker(fresh=attempt > 0)
                alone = worker.used == 0
                try:
                    reply = worker.ask(data, request, limit_s, turn.slow)
                    made = None if reply.code else take(worker, reply)
                except _Lost as exc:
                    log.warning("decoder ended", status=exc.status, images=worker.used, bytes=len(data))
                    if exc.status and alone:  # no other image can have damaged it
                        raise _fault(exc.status) from exc
                    continue
                except TooSlow:
                    raise
                except BaseException:  # interrupted: its answer would be taken for the next one's
                    worker.lost()
                    raise
                self._back(worker, spent=reply.spent)
                if made is None:
                    raise of_code(reply.code, reply.reason)
                return made
            raise DecoderCrashed(f"the decoder ended {_ATTEMPTS} times while it read the image")

    def _worker(self, *, fresh: bool = False) -> _Worker:
        with self._lock:
            if self._owner != os.getpid():  # forked: those of the parent process are not ours
                self._owner, self._idle = os.getpid(), []
            if self._idle and not fresh:
                return self._idle.pop()
        worker = _Worker(self._spawner)
        if (lacking := WANTED - set(worker.isolated)) and not self._told:
            self._told = True
            log.warning("the kernel does not isolate the decoders fully", lacking=sorted(lacking))
        return worker

    def _back(self, worker: _Worker, *, spent: bool = False) -> None:
        if spent or worker.large:
            worker.lost()
        else:
            with self._lock:
                self._idle.append(worker)


def _fault(status: int) -> BadImage:
    """The error for an image at which a new process has ended."""
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if number == signal.SIGKILL:
        return MemoryShort(f"{TooMuchMemory.TEXT}: the system has ended the decoder")
    how = f"by signal {signal.Signals(number).name}" if number else f"with status {os.waitstatus_to_exitcode(status)}"
    return DecoderCrashed(f"the decoder ended {how} while it read the image")
