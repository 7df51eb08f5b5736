"""Encodes the captions of an import: in this process, in a process pool, or on the ``ingestion`` queue.

All three send chunks to the same stage and return its results in order. So the captions are the same, and the vectors
differ by rounding at most.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context

from tasks.encoders.protocols import TextEncoder
from tasks.extraction.phrases import Phrases
from tasks.ingestion import Ingested, Ingesting, ingest
from tasks.message_parts import Vectors
from vectordb.building import Prepare, Prepared
from vectordb.errors import Transient
from vectordb.source_rows import Chunk
from workers.captions.remote_index import ENCODE
from workers.redis.rpc import RpcClient
from workers.settings.settings import INGESTION

AHEAD = 8  # chunks on the queue at once; each result takes some megabytes in Redis
PATIENCE_S = 120  # seconds until a chunk without a result is sent again


class WorkerLost(Transient):
    """A process of the pool ended, possibly killed for lack of memory."""


def question(chunk: Chunk, space_id: str, *, parse: bool) -> Ingesting:
    """The stage's input for a chunk."""
    given = None if chunk.vectors is None else Vectors.of(chunk.vectors)
    return Ingesting(
        texts=tuple(caption.text for caption in chunk.captions), space_id=space_id, vectors=given, parse=parse
    )


def prepared(answer: Ingested) -> Prepared:
    """The stage's output as the builder expects it."""
    return Prepared(answer.vectors.array(), answer.payloads())


def in_this_process(encoder: Callable[[], TextEncoder], space_id: str, *, parse: bool) -> Prepare:
    """Encode one chunk after the other. ``encoder`` is called for chunks without vectors."""

    def prepare(chunks: Iterator[Chunk]) -> Iterator[Prepared]:
        phrases = Phrases()
        for chunk in chunks:
            model = encoder() if chunk.vectors is None else None
            yield prepared(ingest(question(chunk, space_id, parse=parse), model, phrases))

    return prepare


def in_a_pool(
    load: Callable[..., TextEncoder], processes: int, space_id: str, *, parse: bool, threads: int | None = None
) -> Prepare:
    """In so many processes, which share the cores. Raises ``WorkerLost``; what is committed stays.

    ``load`` is called in each with ``threads``; it must be possible to pickle it. ``threads``: an equal share of the
    cores when not given.
    """

    def prepare(chunks: Iterator[Chunk]) -> Iterator[Prepared]:
        each = partial(load, threads=threads or max(1, (os.cpu_count() or 1) // processes))
        # spawned: neither torch nor an open index survives a fork
        with ProcessPoolExecutor(processes, get_context("spawn"), _Pooled.begin, (each,)) as pool:
            under_way: deque[Future[bytes]] = deque()
            try:
                for chunk in chunks:
                    data = question(chunk, space_id, parse=parse).encode()
                    under_way.append(pool.submit(_Pooled.ingest, data))
                    if len(under_way) > processes:
                        yield prepared(Ingested.decode(under_way.popleft().result()))
                while under_way:
                    yield prepared(Ingested.decode(under_way.popleft().result()))
            except BrokenProcessPool as exc:
                raise WorkerLost(
                    "a process of the encoder pool was killed, perhaps for lack of memory; run the import"
                    " again to resume it"
                ) from exc
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    return prepare


def on_the_queue(rpc: RpcClient, space_id: str, *, parse: bool, silent: Callable[[int], None]) -> Prepare:
    """Encode in the workers of the queue. ``silent`` receives for how long no result has arrived."""

    def prepare(chunks: Iterator[Chunk]) -> Iterator[Prepared]:
        under_way: deque[tuple[bytes, str]] = deque()

        def send(data: bytes) -> str:
            return rpc.send(INGESTION, ENCODE, data, "captions", PATIENCE_S * AHEAD)

        def answer() -> Prepared:
            data, request = under_way.popleft()
            waited = 0
            while (got := rpc.take(request, 10)) is None:
                waited += 10
                silent(waited)
                if waited % PATIENCE_S == 0:
                    request = send(data)  # its worker was killed, or the result expired
            return prepared(Ingested.decode(got))

        for chunk in chunks:
            data = question(chunk, space_id, parse=parse).encode()
            under_way.append((data, send(data)))
            if len(under_way) >= AHEAD:
                yield answer()
        while under_way:
            yield answer()

    return prepare


class _Pooled:
    """State of a pool process between two chunks."""

    load: Callable[[], TextEncoder]
    encoder: TextEncoder | None = None
    phrases = Phrases()

    @classmethod
    def begin(cls, load: Callable[[], TextEncoder]) -> None:
        cls.load = staticmethod(load)

    @classmethod
    def ingest(cls, data: bytes) -> bytes:
        asked = Ingesting.decode(data)
        if asked.vectors is None and cls.encoder is None:
            cls.encoder = cls.load()
        return ingest(asked, cls.encoder, cls.phrases).encode()
