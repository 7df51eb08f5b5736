"""The rows of a source: what they are, and how a build reads them, from where an earlier one was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

import numpy as np

from vectordb.captions import Caption
from vectordb.errors import Permanent
from vectordb.index import Floats, UnusableVectors, WrongDimension
from vectordb.journal import Journal, Progress

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


class Reading:
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
        for texts, given, left_out in self._remaining():
            skipped = left_out if given is None else {**self._unusable(given), **left_out}
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


def too_many_unusable(progress: Progress) -> UnusableVectors | None:
    """The fault of a source of which too many vectors cannot be used."""
    count = progress.skipped.get(UNUSABLE, 0)
    if count <= progress.read * UNUSABLE_SHARE:
        return None
    told = next((one for one in progress.examples if one.startswith("its vector")), "")
    return UnusableVectors(
        f"{count:,} of {progress.read:,} vectors of the source cannot be used, more than {UNUSABLE_SHARE:.0%}; the"
        f" first one: {told}. Whatever made them failed: make them again, or ignore them with --no-vectors"
    )


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
