"""The process that ``vectordb.readers.isolated`` starts: requests come on standard input."""

from __future__ import annotations

import os
import queue
import resource
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from vectordb.decoders import from_msgpack
from vectordb.readers.choice import ChooseColumn
from vectordb.readers.isolated import LENGTH, MEMORY_MAX, Piece, Request, current
from vectordb.readers.rows import BadSource

_NO_MEMORY = f"reading it takes more than {MEMORY_MAX >> 20} MiB of memory: it is damaged, or built to do harm"


def main() -> None:
    """Answer until standard input ends. Everything that a library prints is dropped."""
    answers = os.fdopen(os.dup(1), "wb", closefd=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for limit, most in ((resource.RLIMIT_DATA, MEMORY_MAX), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        resource.setrlimit(limit, (most, most))
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # the others reserve more than they use
    waiting: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen, args=(waiting,), daemon=True).start()
    while True:
        request = from_msgpack(waiting.get(), Request)
        for piece in _pieces(request):
            data = msgspec.msgpack.encode(piece)
            answers.write(LENGTH.pack(len(data)))
            answers.write(data)
            answers.flush()


def _listen(waiting: queue.Queue[bytes]) -> None:
    """Pass requests on, and end this process with the one that asks, also while a library works."""
    asked: BinaryIO = sys.stdin.buffer
    while len(head := asked.read(LENGTH.size)) == LENGTH.size:
        waiting.put(asked.read(*LENGTH.unpack(head)))
    os._exit(0)


def _pieces(request: Request) -> Iterator[Piece]:
    from vectordb.readers import parquet  # noqa: PLC0415 -- after the limits are set
    from vectordb.readers.source import read_here  # noqa: PLC0415 -- as above

    files = tuple(Path(os.fsdecode(path)) for path in request.paths)
    consumed = 0

    def so_far(count: int) -> None:
        nonlocal consumed
        consumed = count

    try:
        if request.only_header:
            yield Piece(has_vectors=parquet.has_vectors(files[0]))
        else:
            for rows in read_here(files, request.format, request.column, so_far):
                vectors = None if rows.vectors is None else np.ascontiguousarray(rows.vectors, np.float32).tobytes()
                skipped = [(at, one.reason, one.detail) for at, one in rows.skipped.items()]
                yield Piece(list(rows.texts), consumed, vectors, skipped=skipped, notes=list(rows.notes))
    except ChooseColumn as exc:
        fault = os.fsencode(exc.path), exc.fault, exc.position
        yield Piece(consumed=consumed, fault=fault, columns=(list(exc.columns), exc.why))
    except BadSource as exc:
        yield Piece(consumed=consumed, fault=(os.fsencode(exc.path), exc.fault, exc.position))
    except MemoryError:
        yield Piece(consumed=consumed, fault=(os.fsencode(current(files, consumed)), _NO_MEMORY, None), spent=True)
    else:
        yield Piece(consumed=consumed, done=True)


if __name__ == "__main__":
    main()
