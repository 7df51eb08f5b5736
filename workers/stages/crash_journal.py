"""What a process of a worker works on, in a file that outlives it: its successor reads what it died over.

A process that crashes, exceeds the time limit or its memory says nothing. So it writes beforehand what it begins, and
removes it when that has ended. The file also has what the processes before it found, such as that a model crashes for
every object. It belongs to the worker: a new worker begins with an empty folder.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import structlog

from tasks.message_parts import Hit, Revision
from vectordb.decoders import from_msgpack

log = structlog.get_logger()

CAPTION_S = 60.0  # for one caption, which takes milliseconds: sooner than the default limit of its message


class Held(msgspec.Struct, frozen=True):
    """Something that a process works on. ``batch``: a ``Submitted`` with its objects; empty for a request.

    ``began``: seconds of the machine's clock. ``request``: of RPC; empty for a message.
    """

    stage: str
    batch: bytes
    began: float
    request: str = ""


class Pause(msgspec.Struct):
    """Why a stage pauses. ``since``, ``until`` (the next trial): Unix seconds. ``trials``: so far, all in vain.

    ``for_all``: its model fails the self-test, so that no object is to blame; otherwise its last objects all crashed.
    """

    reason: str
    since: float
    until: float
    trials: int
    for_all: bool


class CaptionHeld(msgspec.Struct, frozen=True):
    """A caption that a process extracts alone. ``began``: as in ``Held``."""

    revision: Revision
    id: int
    caption: str
    began: float

    @property
    def hit(self) -> Hit:
        """As it was retrieved; its similarity says nothing here."""
        return Hit(self.id, self.caption, 0.0)


class State(msgspec.Struct):
    """``held``: by number. ``testing``: the stage whose self-test runs. ``doubted``: stages to test before work.

    ``crashes``: by stage, the objects that it crashed over since one ended well, each as a ``Submitted``.
    ``left``: the process ended on purpose. ``caption``: extracted alone just now. ``suspects``: over which
    processes ended, by stage, until its self-test has shown that it works. ``methods``: of segmentation that were
    used.
    """

    held: dict[int, Held] = {}
    testing: str = ""
    doubted: set[str] = set()
    paused: dict[str, Pause] = {}
    crashes: dict[str, list[bytes]] = {}
    left: bool = False
    caption: CaptionHeld | None = None
    suspects: dict[str, CaptionHeld] = {}
    methods: set[str] = set()


@contextmanager
def while_alive(forget: Callable[[], object]) -> Iterator[None]:
    """Remove what the journal has of the block when it ends or fails, but not when the process is ended meanwhile.

    Celery ends a process whose task exceeds its time limit with SIGTERM first, which raises ``SystemExit`` in it.
    """
    try:
        yield
    except Exception:
        forget()
        raise
    forget()


class CrashJournal:
    """The file of one process of a worker and of its successors. Thread-safe.

    It is a help, never a hindrance: without a folder, or with a full disk, nothing is remembered, and the ledger
    sends again after their deadline what a process died over.
    """

    def __init__(self, folder: Path | None, place: int, clock: Callable[[], float] = time.monotonic) -> None:
        """``folder``: of the worker. ``place``: of the process in its pool, which its successor takes.

        ``clock``: seconds that only grow, the same for all processes of a machine.
        """
        self._path = None if folder is None else folder / f"process-{place}"
        self._clock = clock
        self._lock = threading.Lock()
        self._number = 0
        self._complained = False
        self.alone = False
        """Whether what is worked on is an object over which a process has ended."""
        self.state = self._read()

    @property
    def ending(self) -> Path | None:
        """The file in which the worker, or the process itself, says how it ended."""
        return None if self._path is None else ending_of(self._path)

    def ended(self) -> str:
        """How the process before ended, as far as anybody knows. Forgets it."""
        if self.ending is None:
            return ""
        try:
            how = self.ending.read_text(encoding="utf-8")
            self.ending.unlink()
        except OSError:
            return ""
        return how

    @contextmanager
    def holding(self, stage: str, batch: bytes, request: str = "") -> Iterator[None]:
        """Have in the file what is worked on meanwhile."""
        with self._lock:
            self._number += 1
            number = self._number
            self.state.held[number] = Held(stage, batch, self._clock(), request)
            self._write()
        with while_alive(lambda: self.update(lambda state: state.held.pop(number, None))):
            yield

    @contextmanager
    def trying(self, revision: Revision, hit: Hit) -> Iterator[None]:
        """Have in the file which caption is extracted alone meanwhile."""
        held = CaptionHeld(revision, hit.id, hit.caption, self._clock())
        self.update(lambda state: setattr(state, "caption", held))
        with while_alive(lambda: self.update(lambda state: setattr(state, "caption", None))):
            yield

    def age(self, held: Held) -> float:
        """Seconds since something was begun."""
        return self._clock() - held.began

    def overdue(self, time_limits: Mapping[str, float]) -> str:
        """How this process is to be ended if something that it works on exceeds its limit in seconds; else empty."""
        with self._lock:
            held, caption = list(self.state.held.values()), self.state.caption
        if caption is not None and self._clock() - caption.began > CAPTION_S:
            return f"was ended since a caption took longer than {CAPTION_S:.0f} s"
        for one in held:
            limit = time_limits.get(one.stage)
            if limit is not None and self.age(one) > limit:
                return f"was ended since {one.stage} took longer than {limit:.0f} s"
        return ""

    def update(self, change: Callable[[State], object]) -> None:
        """Change the state, and write it."""
        with self._lock:
            change(self.state)
            self._write()

    def _read(self) -> State:
        try:
            if self._path is not None:
                return from_msgpack(self._path.read_bytes(), State)
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError) as exc:
            log.warning("crashes not known", reason=str(exc))
        return State()

    def _write(self) -> None:
        if self._path is None:
            return
        try:
            draft = self._path.with_suffix(".new")
            draft.write_bytes(msgspec.msgpack.encode(self.state))
            os.replace(draft, self._path)  # noqa: PTH105 -- as fast as it can be: twice a message
        except OSError as exc:
            if not self._complained:
                log.warning("what is worked on is not written down", reason=str(exc),
                            then="after a crash the ledger sends it again when its deadline has passed")  # fmt: skip
            self._complained = True


def ending_of(path: Path) -> Path:
    """Beside the file of a process: how it ended."""
    return path.with_suffix(".ended")


def note_ending(folder: Path, place: int, how: str) -> None:
    """Say how a process ended, unless it is known. Never raises."""
    try:
        with ending_of(folder / f"process-{place}").open("x", encoding="utf-8") as file:
            file.write(how)
    except OSError:
        pass
