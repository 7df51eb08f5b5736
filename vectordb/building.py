"""Builds a version of a caption database: read, clean, remove duplicates, encode, add. Resumable.

The source is read once, in chunks. A chunk is committed to the journal after its captions are in the index. A build
that is killed repeats at most the chunks in progress. Repeating a chunk has no effect, because a caption's id is
derived from its text. Memory use does not grow with the source.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from vectordb.captions import Caption
from vectordb.errors import Permanent, Transient
from vectordb.index import CaptionIndex, Floats, paired
from vectordb.journal import Journal, Progress
from vectordb.library import ChangeableLibrary, Manifest, split
from vectordb.source_rows import Chunk, Reading, Rows, too_many_unusable

T = TypeVar("T")

CHUNK = 2048  # captions encoded together: enough to sort them by length, and one or two seconds of work


@dataclass(frozen=True)
class Prepared:
    """A chunk's vectors (n, d), and additions to the payload of each caption."""

    vectors: Floats
    payloads: Sequence[Mapping[str, object]] = ()


Prepare = Callable[[Iterator[Chunk]], Iterator[Prepared]]
"""Encodes chunks in order and returns one result per chunk. It may read ahead."""


@dataclass(frozen=True)
class Draft:
    """The parameters of a build. ``source`` identifies the source and how it is read."""

    name: str
    version: str
    space_id: str
    dimension: int
    created: datetime
    source: str
    template: str | None = None
    origin: str = ""
    profile: str | None = None

    @property
    def captions_version(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True)
class Hooks:
    """Callbacks of the builder. ``wait`` is called while the index is unavailable, and returns to retry."""

    on_progress: Callable[[Progress], None] = lambda _: None  # after each chunk
    graph: Callable[[], None] = lambda: None  # before the graph is built
    consumed: Callable[[int], None] = lambda _: None  # bytes of the source read so far
    note: Callable[[str], None] = lambda _: None  # what users should know of how the source is read
    wait: Callable[[Transient], None] | None = None
    # the thresholds of the complete index, before the version is published
    thresholds: Callable[[CaptionIndex], Mapping[str, object] | None] = lambda _: None


class NoCaptions(Permanent):
    """The source holds no captions."""


def build(
    library: ChangeableLibrary,
    draft: Draft,
    rows: Iterable[Rows],
    clean: Callable[[str], str],
    prepare: Prepare,
    hooks: Hooks = Hooks(),
    *,
    resume: bool = True,
    chunk: int = CHUNK,
) -> Manifest:
    """Build a version from rows, which must be the same in every call with one ``draft.source``.

    A fault of the source (any ``Permanent`` that ``rows`` raises; vectors of another dimension) ends the reading. The
    captions read before it become the version, and its manifest contains the fault. A row whose vector is zero or not
    finite is left out and counted; if that is more than 1 % of the rows, it is a fault, too. If nothing
    was read, raises the fault, or ``NoCaptions`` without one, and leaves nothing behind. Also raises what
    ``ChangeableLibrary.building`` and ``prepare`` raise, and ``OtherSource``.
    """
    split(draft.captions_version)
    made, fault = _built(library, draft, rows, clean, prepare, hooks, chunk, resume=resume)
    if made is not None:
        return made
    library.drop(draft.space_id, draft.captions_version)
    raise fault or NoCaptions(f"no captions found in {draft.origin or 'the source'}")


def _built(
    library: ChangeableLibrary, draft: Draft, rows: Iterable[Rows], clean: Callable[[str], str], prepare: Prepare,
    hooks: Hooks, chunk: int, *, resume: bool,
) -> tuple[Manifest | None, Permanent | None]:  # fmt: skip
    """The finished version, ``None`` if nothing was read; and the fault of the source, if any."""
    with (
        library.building(draft.space_id, draft.captions_version, draft.dimension, resume=resume) as building,
        Journal.opened(building.folder, draft.source) as journal,
    ):
        # after a power failure the journal may exist without its captions
        if building.index.count() < journal.progress.count:
            journal.reset()
        reading = Reading(rows, clean, journal, draft.dimension, chunk, hooks.note)
        under_way: deque[Chunk] = deque()

        def chunks() -> Iterator[Chunk]:
            for one in reading.chunks():
                under_way.append(one)
                yield one

        for prepared in prepare(chunks()):
            done = under_way.popleft()
            captions = _with_payloads(done.captions, prepared.payloads)
            retrying(partial(building.index.add, captions, prepared.vectors), hooks.wait)
            journal.commit([caption.id for caption in captions], done.progress)
            reading.forget(done)
            hooks.on_progress(done.progress)
        journal.commit([], reading.progress)  # the part after the last new caption
        progress, fault = reading.progress, reading.fault or too_many_unusable(reading.progress)
        if not progress.count:
            return None, fault
        thresholds = retrying(partial(hooks.thresholds, building.index), hooks.wait)
        hooks.graph()
        manifest = Manifest(
            draft.name, draft.version, draft.space_id, draft.dimension, building.index.count(), draft.template,
            draft.created.astimezone().isoformat(), draft.origin, progress.read, progress.empty, progress.duplicate,
            draft.profile, draft.source, str(fault or ""), thresholds, progress.skipped, progress.examples,
        )  # fmt: skip
        retrying(partial(building.finish, manifest), hooks.wait)
        return manifest, fault


def _with_payloads(captions: Sequence[Caption], payloads: Sequence[Mapping[str, object]]) -> Sequence[Caption]:
    if not payloads:
        return captions
    return [Caption(c.id, c.text, payload) for c, payload in zip(captions, payloads, strict=True)]


def retrying(call: Callable[[], T], wait: Callable[[Transient], None] | None) -> T:
    """Repeat a call until it succeeds, as long as ``wait`` returns."""
    while True:
        try:
            return call()
        except Transient as exc:
            if wait is None:
                raise
            wait(exc)


def encoding(encode: Callable[[Sequence[str]], Floats], dimension: int) -> Prepare:
    """Encode in this process, chunk by chunk; uses the source's vectors unchanged if there are some."""

    def prepare(chunks: Iterator[Chunk]) -> Iterator[Prepared]:
        for one in chunks:
            vectors = one.vectors
            if vectors is None:
                vectors = paired(one.captions, encode([caption.text for caption in one.captions]), dimension)
            yield Prepared(vectors)

    return prepare
