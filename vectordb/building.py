"""Builds a version of a caption database: read, clean, remove duplicates, encode, add. Resumable.

The source is read once, in chunks. A chunk is committed to the journal after its captions are in the index. A build
that is killed repeats at most the chunks in progress. Repeating a chunk has no effect, because a caption's id is
derived from its text. Memory use does not grow with the source.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Protocol, TypeVar

import numpy as np

from vectordb.captions import Caption
from vectordb.errors import Permanent, Transient
from vectordb.index import CaptionIndex, Floats, UnusableVectors, WrongDimension, paired
from vectordb.journal import Journal, Progress
from vectordb.library import ChangeableLibrary, Manifest, split

T = TypeVar("T")

CHUNK = 2048  # captions encoded together: enough to sort them by length, and one or two seconds of work


UNUSABLE = "unusable_vector"  # a reason to leave a row out
UNUSABLE_SHARE = 0.01  # of the vectors of a source; if more are unusable, the source is at fault


class Skipped(Protocol):
    """A row that is left out, and why."""

    @property
    def reason(self) -> str: ...

    @property
    def detail(self) -> str: ...


class Rows(Protocol):
    """A piece of a source: its texts, and their vectors if the source has some.

    ``skipped``: rows that are left out, by position; their texts are empty. ``notes``: for users.
    """

    @property
    def texts(self) -> Sequence[str]: ...

    @property
    def vectors(self) -> Floats | None: ...

    @property
    def skipped(self) -> Mapping[int, Skipped]: ...

    @property
    def notes(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class Chunk:
    """New cleaned captions, the source's vectors (n, d) or ``None``, and the read position after them."""

    captions: Sequence[Caption]
    vectors: Floats | None
    progress: Progress


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
        reading = _Reading(rows, clean, journal, draft.dimension, chunk, hooks.note)
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
        progress, fault = reading.progress, reading.fault or _too_many(reading.progress)
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


class _Reading:
    """Reads the rows from the journal's position and groups new captions into chunks."""

    def __init__(
        self, rows: Iterable[Rows], clean: Callable[[str], str], journal: Journal, dimension: int, chunk: int,
        note: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._rows = rows
        self._clean = clean
        self._journal = journal
        self._dimension = dimension
        self._chunk = chunk
        self._note = note
        self._under_way: set[int] = set()  # ids that are not in the journal yet
        self.progress = journal.progress
        self.fault: Permanent | None = None

    def chunks(self) -> Iterator[Chunk]:
        """Yield chunks of at least ``chunk`` captions; the last may be smaller. Never yields an empty one."""
        captions: list[Caption] = []
        vectors: list[Floats] = []
        for texts, given, skipped in self._remaining():
            if given is not None:
                skipped = {**self._unusable(given), **skipped}
                if self.fault is not None:
                    break
            fresh = self._fresh(texts, skipped)
            captions += fresh.values()
            if given is not None:
                vectors.append(given[list(fresh)])
            if len(captions) >= self._chunk:
                yield Chunk(captions, np.concatenate(vectors) if vectors else None, self.progress)
                captions, vectors = [], []
        if captions:
            yield Chunk(captions, np.concatenate(vectors) if vectors else None, self.progress)

    def forget(self, chunk: Chunk) -> None:
        """Remove a committed chunk from the pending ids."""
        self._under_way.difference_update(caption.id for caption in chunk.captions)

    def _remaining(self) -> Iterator[tuple[Sequence[str], Floats | None, Mapping[int, Skipped]]]:
        """Yield the rows after the journal's position."""
        skip = self.progress.read
        try:
            for rows in self._rows:
                for note in rows.notes:
                    self._note(note)
                if skip >= len(rows.texts):
                    skip -= len(rows.texts)
                    continue
                left_out = {at - skip: one for at, one in rows.skipped.items() if at >= skip}
                yield rows.texts[skip:], None if rows.vectors is None else rows.vectors[skip:], left_out
                skip = 0
        except Permanent as exc:
            self.fault = exc

    def _fresh(self, texts: Sequence[str], skipped: Mapping[int, Skipped]) -> dict[int, Caption]:
        """The new captions of these texts by position; updates all counts."""
        found: dict[int, Caption] = {}
        empty = 0
        for position, text in enumerate(texts):
            if position in skipped:
                continue
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
        left_out = [(one.reason, one.detail) for _, one in sorted(skipped.items())]
        self.progress = self.progress.plus(len(texts), empty, len(found) - len(fresh), left_out)
        return fresh

    def _unusable(self, vectors: Floats) -> dict[int, Skipped]:
        """The rows whose vectors have no direction; sets the fault if they have another dimension."""
        if vectors.ndim != 2 or vectors.shape[1] != self._dimension:
            self.fault = WrongDimension(
                f"the source's vectors have {vectors.shape[-1]} dimensions, but this space has"
                f" {self._dimension}: another model made them. Choose that model as encoder,"
                " or ignore the vectors with --no-vectors"
            )
            return {}
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = np.linalg.norm(vectors.astype(np.float32, copy=False), axis=1)
        found: dict[int, Skipped] = {}
        for at in np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0))).tolist():
            row = vectors[at]
            what = "has no number (NaN)" if np.isnan(row).any() else "is zero" if not row.any() else "is infinite"
            found[at] = _Unusable(detail=f"its vector {what} (caption {self.progress.read + at + 1:,} of the source)")
        return found


@dataclass(frozen=True)
class _Unusable:
    detail: str
    reason: str = UNUSABLE


def _too_many(progress: Progress) -> UnusableVectors | None:
    """The fault of a source of which too many vectors cannot be used."""
    count = progress.skipped.get(UNUSABLE, 0)
    if count <= progress.read * UNUSABLE_SHARE:
        return None
    told = next((one for one in progress.examples if one.startswith("its vector")), "")
    return UnusableVectors(
        f"{count:,} of {progress.read:,} vectors of the source cannot be used, more than {UNUSABLE_SHARE:.0%}; the first"
        f" one: {told}. Whatever made them failed: make them again, or ignore them with --no-vectors"
    )


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


@dataclass(frozen=True)
class Texts:
    """``Rows`` without vectors."""

    texts: Sequence[str]
    vectors: Floats | None = None
    skipped: Mapping[int, Skipped] = field(default_factory=dict)
    notes: Sequence[str] = ()


def rows_of(texts: Iterable[str], size: int = 1024) -> Iterator[Texts]:
    """Texts as ``Rows``."""
    remaining = iter(texts)
    while part := list(islice(remaining, size)):
        yield Texts(part)
