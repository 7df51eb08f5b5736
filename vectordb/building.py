"""Building a version of a caption database: read, clean, drop what came before, encode, add; killed and resumed.

The source is gone through once, in chunks. A chunk is committed to the journal after its captions are in the index,
so a build that is killed repeats at most the chunks that were on their way, and repeating one changes nothing: a
caption's id follows from its text. Memory does not grow with the source.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Protocol, TypeVar

import numpy as np

from vectordb.captions import Caption
from vectordb.errors import Permanent, Transient
from vectordb.index import Floats, UnusableVectors, WrongDimension, paired
from vectordb.journal import Journal, Progress
from vectordb.library import ChangeableLibrary, Manifest, split

T = TypeVar("T")

CHUNK = 2048  # captions that are encoded together: enough to sort by length, a second or two of work


class Rows(Protocol):
    """A piece of a source, in its order: texts as they stand there, and their vectors where it has them."""

    @property
    def texts(self) -> Sequence[str]: ...

    @property
    def vectors(self) -> Floats | None: ...


@dataclass(frozen=True)
class Chunk:
    """New captions, cleaned, with the source's vectors (n, d) or none, and how far the source was read for them."""

    captions: Sequence[Caption]
    vectors: Floats | None
    progress: Progress


@dataclass(frozen=True)
class Prepared:
    """A chunk's vectors (n, d), and what goes into each caption's payload."""

    vectors: Floats
    payloads: Sequence[Mapping[str, object]] = ()


Prepare = Callable[[Iterator[Chunk]], Iterator[Prepared]]
"""Encodes chunks, in their order. It may take some ahead of those it gives; never none for one."""


@dataclass(frozen=True)
class Draft:
    """What is to be built. ``source`` tells one source, and the way it is read, from all others."""

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
    """What the builder tells and asks. ``wait`` is called when the index is away, and returns to try again."""

    tell: Callable[[Progress], None] = lambda _: None  # after each chunk
    graph: Callable[[], None] = lambda: None  # before the graph is built
    consumed: Callable[[int], None] = lambda _: None  # bytes of the source, while it is read
    wait: Callable[[Transient], None] | None = None


class NothingRead(Permanent):
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
    """Build a version from rows, which must be the same at every call for one ``draft.source``.

    A fault of the source (any ``Permanent`` that ``rows`` raises; vectors of another dimension, zero or not finite)
    ends the reading: what was read before becomes the version, and its manifest tells the fault. Where nothing was
    read, the fault is raised and nothing is left; ``NothingRead`` where there is none. Raises what
    ``ChangeableLibrary.building`` raises, ``OtherSource``, and what ``prepare`` raises.
    """
    split(draft.captions_version)
    made, fault = _built(library, draft, rows, clean, prepare, hooks, chunk, resume=resume)
    if made is not None:
        return made
    library.drop(draft.space_id, draft.captions_version)
    raise fault or NothingRead(f"there are no captions in {draft.origin or 'the source'}")


def _built(
    library: ChangeableLibrary, draft: Draft, rows: Iterable[Rows], clean: Callable[[str], str], prepare: Prepare,
    hooks: Hooks, chunk: int, *, resume: bool,
) -> tuple[Manifest | None, Permanent | None]:  # fmt: skip
    """The finished version, or none where nothing was read; and the source's fault, if it has one."""
    with (
        library.building(draft.space_id, draft.captions_version, draft.dimension, resume=resume) as building,
        Journal.opened(building.folder, draft.source) as journal,
    ):
        if building.index.count() < journal.progress.count:  # a power cut may keep the notes and lose the captions
            journal.begin_again()
        reading = _Reading(rows, clean, journal, draft.dimension, chunk)
        under_way: deque[Chunk] = deque()

        def chunks() -> Iterator[Chunk]:
            for one in reading.chunks():
                under_way.append(one)
                yield one

        for prepared in prepare(chunks()):
            done = under_way.popleft()
            captions = _with_payloads(done.captions, prepared.payloads)
            persistently(partial(building.index.add, captions, prepared.vectors), hooks.wait)
            journal.commit([caption.id for caption in captions], done.progress)
            reading.forget(done)
            hooks.tell(done.progress)
        journal.commit([], reading.progress)  # what came after the last new caption
        told, fault = reading.progress, reading.fault
        if not told.count:
            return None, fault
        hooks.graph()
        manifest = Manifest(
            draft.name, draft.version, draft.space_id, draft.dimension, building.index.count(), draft.template,
            draft.created.astimezone().isoformat(), draft.origin, told.read, told.empty, told.duplicate,
            draft.profile, draft.source, str(fault or ""),
        )  # fmt: skip
        persistently(partial(building.finish, manifest), hooks.wait)
        return manifest, fault


class _Reading:
    """Goes through the rows from where the journal says, and forms chunks of new captions."""

    def __init__(
        self, rows: Iterable[Rows], clean: Callable[[str], str], journal: Journal, dimension: int, chunk: int
    ) -> None:
        self._rows = rows
        self._clean = clean
        self._journal = journal
        self._dimension = dimension
        self._chunk = chunk
        self._under_way: set[int] = set()  # ids that the journal does not know yet
        self.progress = journal.progress
        self.fault: Permanent | None = None

    def chunks(self) -> Iterator[Chunk]:
        """Chunks of at least ``chunk`` captions, but for the last; none without captions."""
        captions: list[Caption] = []
        vectors: list[Floats] = []
        for texts, given in self._remaining():
            usable = len(texts) if given is None else self._usable(given)
            fresh = self._fresh(texts[:usable])
            captions += fresh.values()
            if given is not None:
                vectors.append(given[list(fresh)])
            if self.fault is not None:
                break
            if len(captions) >= self._chunk:
                yield Chunk(captions, np.concatenate(vectors) if vectors else None, self.progress)
                captions, vectors = [], []
        if captions:
            yield Chunk(captions, np.concatenate(vectors) if vectors else None, self.progress)

    def forget(self, chunk: Chunk) -> None:
        """The journal knows these now."""
        self._under_way.difference_update(caption.id for caption in chunk.captions)

    def _remaining(self) -> Iterator[tuple[Sequence[str], Floats | None]]:
        """What the journal says is still to be read."""
        skip = self.progress.read
        try:
            for rows in self._rows:
                if skip >= len(rows.texts):
                    skip -= len(rows.texts)
                    continue
                yield rows.texts[skip:], None if rows.vectors is None else rows.vectors[skip:]
                skip = 0
        except Permanent as exc:
            self.fault = exc

    def _fresh(self, texts: Sequence[str]) -> dict[int, Caption]:
        """The captions of these texts that have not come before, by their position; everything is counted."""
        found: dict[int, Caption] = {}
        empty = 0
        for position, text in enumerate(texts):
            kept = self._clean(text)
            if kept:
                found[position] = Caption.of(kept)
            else:
                empty += 1
        known = self._journal.seen([caption.id for caption in found.values()]) | self._under_way
        fresh: dict[int, Caption] = {}
        for position, caption in found.items():
            if caption.id not in known:
                known.add(caption.id)
                fresh[position] = caption
        self._under_way.update(caption.id for caption in fresh.values())
        self.progress = self.progress.plus(len(texts), empty, len(found) - len(fresh))
        return fresh

    def _usable(self, vectors: Floats) -> int:
        """How many of these vectors, from the first on, can be used; where that is not all, the fault says why."""
        if vectors.ndim != 2 or vectors.shape[1] != self._dimension:
            self.fault = WrongDimension(
                f"the source's vectors have {vectors.shape[-1]} dimensions, those of this space {self._dimension}:"
                " they were made by another model; choose that encoder, or leave the vectors out (--no-vectors)"
            )
            return 0
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = np.linalg.norm(vectors.astype(np.float32, copy=False), axis=1)
        usable = np.isfinite(lengths) & (lengths > 0)
        if usable.all():
            return len(vectors)
        first = int(np.argmin(usable))
        number = self.progress.read + first + 1
        self.fault = UnusableVectors(f"the vector of caption {number:,} of the source is zero or not finite")
        return first


def _with_payloads(captions: Sequence[Caption], payloads: Sequence[Mapping[str, object]]) -> Sequence[Caption]:
    if not payloads:
        return captions
    return [Caption(c.id, c.text, payload) for c, payload in zip(captions, payloads, strict=True)]


def persistently(call: Callable[[], T], wait: Callable[[Transient], None] | None) -> T:
    """Repeat a call as long as ``wait`` is willing to wait."""
    while True:
        try:
            return call()
        except Transient as exc:
            if wait is None:
                raise
            wait(exc)


def encoding(encode: Callable[[Sequence[str]], Floats], dimension: int) -> Prepare:
    """Encode in this process, chunk by chunk; vectors that the source has are taken as they are."""

    def prepare(chunks: Iterator[Chunk]) -> Iterator[Prepared]:
        for one in chunks:
            vectors = one.vectors
            if vectors is None:
                vectors = paired(one.captions, encode([caption.text for caption in one.captions]), dimension)
            yield Prepared(vectors)

    return prepare


@dataclass(frozen=True)
class Texts:
    """``Rows`` without vectors."""

    texts: Sequence[str]
    vectors: Floats | None = None


def rows_of(texts: Iterable[str], size: int = 1024) -> Iterator[Texts]:
    """Texts as ``Rows``."""
    remaining = iter(texts)
    while part := list(islice(remaining, size)):
        yield Texts(part)
