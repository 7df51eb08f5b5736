"""Copies a version with its vectors to another library: resumable, and published after verification.

Captions are copied in the order of their ids, page by page. A journal on this machine stores the last id of each
copied page, so a copy that is killed repeats at most one page. Captions taught or removed in the source meanwhile are
synchronised at the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from vectordb.building import retrying
from vectordb.captions import Caption
from vectordb.errors import Permanent, Transient
from vectordb.index import PAGE, CaptionIndex, Floats, Neighbours
from vectordb.journal import Journal, OtherSource, Progress
from vectordb.library import ChangeableLibrary, Manifest

SEARCHES = 10  # searches to compare a copy with its source
NEAREST = 10  # captions per search
_SAME = 1e-5  # tolerance of a component or a similarity: libraries compute in float32
_LOOK_AT = 32  # captions among which one with this vector must be: several may have the same
_ROUNDS = 5  # rounds to synchronise taught captions of a source in use


class CopyDiffers(Permanent):
    """The copy differs from its source and is not published."""


@dataclass(frozen=True)
class Hooks:
    """Callbacks of a copy. ``wait`` is called while a library is unavailable, and returns to retry."""

    on_progress: Callable[[int], None] = lambda _: None  # number of copied captions, including earlier attempts
    step: Callable[[str], None] = lambda _: None  # the current step, for users
    wait: Callable[[Transient], None] | None = None


@dataclass(frozen=True)
class Copied:
    """``count`` captions are in the copy; ``brought`` were copied by this call, ``taught`` were taught."""

    count: int
    brought: int
    taught: int


def copy(
    source: CaptionIndex,
    manifest: Manifest,
    library: ChangeableLibrary,
    hooks: Hooks = Hooks(),
    *,
    resume: bool = True,
) -> Copied:
    """Copy the version that ``manifest`` describes; resumes an interrupted copy.

    Raises ``CopyDiffers``, what ``ChangeableLibrary.building`` raises, and ``OtherSource`` if an unfinished build of
    this version has another source; ``resume=False`` deletes that build.
    """
    identity = json.dumps(["copy", replace(manifest, thresholds=None).stored()])
    version = manifest.captions_version
    with library.building(manifest.space_id, version, manifest.dimension, resume=resume) as building:
        target = building.index
        if target.count() and not Journal.is_in(building.folder):
            raise OtherSource(
                f"an unfinished build of {version} from another source exists; use --no-resume to delete it"
            )
        with Journal.opened(building.folder, identity) as journal:
            # after a power failure the journal may exist without its captions
            if target.count() < journal.progress.count:
                journal.reset()
            brought = _bring(source, target, journal, hooks)
            hooks.step("comparing")
            taught = retrying(lambda: _compared(source, target, journal), hooks.wait)
            hooks.step("building the index")
            count = target.count()
        retrying(lambda: building.finish(manifest), hooks.wait)
    return Copied(count, brought, taught)


def _bring(source: CaptionIndex, target: CaptionIndex, journal: Journal, hooks: Hooks) -> int:
    brought = 0

    def go_on() -> None:
        nonlocal brought
        for captions, vectors in source.pages(after=journal.last()):
            target.add(captions, vectors)
            journal.commit([captions[-1].id], journal.progress.plus(len(captions), 0, 0))
            brought += len(captions)
            hooks.on_progress(journal.progress.count)

    retrying(go_on, hooks.wait)
    return brought


def _compared(source: CaptionIndex, target: CaptionIndex, journal: Journal) -> int:
    """Synchronise taught captions, then compare; returns the number of taught ones. Raises ``CopyDiffers``."""
    for left in reversed(range(_ROUNDS)):
        taught = level(source, target)
        count = target.count()
        journal.commit([], Progress(read=count, count=count))
        if source.count() == count:
            break
        if not left:
            raise CopyDiffers(
                f"the copy holds {count:,} captions, but its source {source.count():,}; it was not"
                " published. Start again with --no-resume"
            )
    compare(source, target)
    return taught


def level(source: CaptionIndex, target: CaptionIndex) -> int:
    """Make the taught captions of the target equal to those of the source; returns their number."""
    there = {caption.id: caption for page, _ in target.pages(taught=True) for caption in page}
    count = 0
    for captions, vectors in source.pages(taught=True):
        fresh = [row for row, caption in enumerate(captions) if there.pop(caption.id, None) != caption]
        if fresh:
            target.add([captions[row] for row in fresh], vectors[fresh])
        count += len(captions)
    gone = list(there)
    for start in range(0, len(gone), PAGE):
        target.remove(gone[start : start + PAGE])
    return count


def missing(source: CaptionIndex, target: CaptionIndex, *, bring: bool) -> int:
    """The number of captions that were taught only to the source; ``bring`` adds them to the target."""
    count = 0
    for captions, vectors in source.pages(taught=True):
        known = {caption.id for caption in target.get([caption.id for caption in captions])}
        fresh = [row for row, caption in enumerate(captions) if caption.id not in known]
        if fresh and bring:
            target.add([captions[row] for row in fresh], vectors[fresh])
        count += len(fresh)
    return count


def compare(source: CaptionIndex, target: CaptionIndex) -> None:
    """Compare both by their counts and by ten searches. Raises ``CopyDiffers``.

    An approximate search may miss captions in either library. What one search finds must exist in the other library
    with the same text, payload and vector, but need not be found by the same search.
    """
    ours, theirs = source.count(), target.count()
    if ours != theirs:
        raise CopyDiffers(f"the copy holds {theirs:,} captions, but its source {ours:,}")
    queries = _queries(source)
    if not len(queries):
        return
    for here, there in zip(source.search(queries, NEAREST), target.search(queries, NEAREST), strict=True):
        _covered(here, there, target, "the copy")
        _covered(there, here, source, "the source")


def _queries(index: CaptionIndex) -> Floats:
    """Up to ``SEARCHES`` query vectors, each between two captions, spread over the ids, which are hashes."""
    rows = []
    for part in range(SEARCHES):
        page = next(index.pages(after=part * 2**64 // SEARCHES - 1), None)
        if page is not None:
            _, vectors = page
            rows.append(vectors[0] + 0.5 * vectors[-1])
    queries = np.array(rows, dtype=np.float32).reshape(-1, index.dimension)
    # opposite vectors have no usable mean
    kept: Floats = queries[np.linalg.norm(queries, axis=1) > _SAME]
    return kept


def _covered(found: Neighbours, other: Neighbours, index: CaptionIndex, name: str) -> None:
    """Check that what one search found exists in the other library; looks up what its search missed."""
    known = {caption.id: (caption, row) for caption, row in zip(other.captions, other.vectors, strict=True)}
    for caption, row in zip(found.captions, found.vectors, strict=True):
        if caption.id not in known:
            (near,) = index.search(row[np.newaxis], _LOOK_AT)
            known |= {one.id: (one, vector) for one, vector in zip(near.captions, near.vectors, strict=True)}
        there = known.get(caption.id)
        if there is None or not _same(caption, row, *there):
            raise CopyDiffers(
                f"{name} does not hold the caption {caption.text[:80]!r} ({caption.id:016x}) as the other"
                " does; the copy was not published. Start again with --no-resume"
            )


def _same(caption: Caption, row: Floats, other: Caption, its: Floats) -> bool:
    return caption == other and bool(np.allclose(row, its, rtol=0, atol=_SAME))
