"""Runs the readers of binary formats in a process of their own, which may take so much memory and time and no more.

The libraries of Parquet, Arrow and faiss allocate what a file's headers say, and some damaged files end the process.
Here that is an error of the file. The process is reused, gets no secrets of the environment, and writes no files.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import msgspec
import numpy as np

from vectordb.decoders import from_msgpack
from vectordb.readers.choice import ChooseColumn
from vectordb.readers.rows import BadSource, OnProgress, Rows, Skipped

MEMORY_MAX = 1 << 30  # bytes of the process beside mapped files
DEADLINE_S = 600.0  # for 1,024 rows, and to count those of all files first; runs only while we wait
FRAME_MAX = 1 << 30  # bytes
LENGTH = struct.Struct("<Q")
# what Python and its libraries need to be found; keys of stores and services are not passed on
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "PYTHONPATH", "PYTHONHOME", "TMPDIR")


class Request(msgspec.Struct, frozen=True):
    """What to read. ``paths``: the files, as bytes. ``only_header``: ask for ``has_vectors``."""

    paths: list[bytes]
    format: str
    column: str | None
    only_header: bool = False


class Piece(msgspec.Struct, frozen=True, omit_defaults=True):
    """One answer: rows with the bytes consumed so far, or the end with ``done``.

    ``vectors``: float32, row by row. ``fault``: path, reason and position of a ``BadSource``, which is the end;
    ``columns``: those of a ``ChooseColumn``, and its reason. ``skipped``: position, reason and detail of such rows.
    ``spent``: the process met its limit of memory, and is not used again.
    """

    texts: list[str] = []
    consumed: int = 0
    vectors: bytes | None = None
    has_vectors: bool = False
    fault: tuple[bytes, str, str | None] | None = None
    skipped: list[tuple[int, str, str]] = []
    notes: list[str] = []
    columns: tuple[list[tuple[str, str]], str] | None = None
    done: bool = False
    spent: bool = False


class _Ended(Exception):
    """The process ended, or is too slow."""


def read(files: Sequence[Path], format: str, column: str | None, on_progress: OnProgress) -> Iterator[Rows]:  # noqa: A002 -- the callers' word for it
    """As ``Source.read``, in the process. Raises ``BadSource``, also if the file takes too much memory or time."""
    for piece in _asked(files, Request([os.fsencode(file) for file in files], format, column)):
        on_progress(piece.consumed)
        if piece.texts:
            vectors = None
            if piece.vectors is not None:
                vectors = np.frombuffer(piece.vectors, dtype=np.float32).reshape(len(piece.texts), -1).copy()
            skipped = {at: Skipped(reason, detail) for at, reason, detail in piece.skipped}
            yield Rows(piece.texts, vectors, skipped, piece.notes)


def has_vectors(file: Path, format: str) -> bool:  # noqa: A002 -- as above
    """Whether the rows of a Parquet or Arrow file have vectors. Raises ``BadSource``."""
    return any(piece.has_vectors for piece in _asked([file], Request([os.fsencode(file)], format, None, True)))  # noqa: FBT003 -- a field


def _asked(files: Sequence[Path], request: Request) -> Iterator[Piece]:
    process = _taken()
    consumed, clean = 0, False
    try:
        process.send(msgspec.msgpack.encode(request))
        while True:
            piece = from_msgpack(process.frame(), Piece)
            consumed = max(consumed, piece.consumed)
            if piece.fault is not None:
                path, fault, position = piece.fault
                clean = not piece.spent
                if piece.columns is not None:
                    raise ChooseColumn(Path(os.fsdecode(path)), *piece.columns, position)
                raise BadSource(Path(os.fsdecode(path)), fault, position)
            yield piece
            if piece.done:
                clean = True
                return
    except (_Ended, msgspec.DecodeError) as exc:
        raise BadSource(current(files, consumed), f"the file is damaged, or built to do harm: {exc}") from exc
    finally:
        process.give_back() if clean else process.kill()


def current(files: Sequence[Path], consumed: int) -> Path:
    """The file that is being read after so many bytes."""
    ends = accumulate(file.stat().st_size if file.exists() else 0 for file in files)
    return next((file for file, end in zip(files, ends, strict=True) if consumed < end), files[-1])


class _Process:
    """One process; it answers one request after the other."""

    def __init__(self) -> None:
        # without an installation the modules are found from here only
        paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        self.owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "vectordb.readers.reading_process"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
            start_new_session=True,
        )  # fmt: skip

    @property
    def usable(self) -> bool:
        """Whether it lives, and is a child of this process."""
        return self.owner == os.getpid() and self._process.poll() is None

    def send(self, data: bytes) -> None:
        """Raises ``_Ended``."""
        assert self._process.stdin is not None  # noqa: S101 -- a pipe, see above
        try:
            self._process.stdin.write(LENGTH.pack(len(data)) + data)
            self._process.stdin.flush()
        except BrokenPipeError as exc:
            raise self._ended() from exc

    def frame(self) -> bytes:
        """The next answer. Raises ``_Ended``."""
        until = time.monotonic() + DEADLINE_S
        (size,) = LENGTH.unpack(self._exactly(LENGTH.size, until))
        if size > FRAME_MAX:
            raise _Ended("its rows are too large")
        return self._exactly(size, until)

    def give_back(self) -> None:
        """Keep the process for the next request."""
        with _lock:
            _idle.append(self)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None  # noqa: S101 -- as above
            with contextlib.suppress(OSError):
                pipe.close()

    def _ended(self) -> _Ended:
        return _Ended(f"its reader ended with status {self._process.wait()}")

    def _exactly(self, size: int, until: float) -> bytes:
        assert self._process.stdout is not None  # noqa: S101 -- as above
        pipe = self._process.stdout.fileno()
        data = bytearray()
        while len(data) < size:
            ready, _, _ = select.select([pipe], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise _Ended(f"reading took longer than {DEADLINE_S:.0f} seconds")
            piece = os.read(pipe, min(size - len(data), 1 << 20))
            if not piece:
                raise self._ended()
            data += piece
        return bytes(data)


_lock = threading.Lock()
_idle: list[_Process] = []


def _taken() -> _Process:
    with _lock:
        while _idle:
            process = _idle.pop()
            if process.usable:
                return process
    return _Process()


@atexit.register
def end() -> None:
    """End the processes that wait; those of a parent end with its pipes."""
    with _lock:
        for process in _idle:
            if process.owner == os.getpid():
                process.kill()
        _idle.clear()
