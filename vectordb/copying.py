"""Copying a version from one home to another, with its vectors as they are: resumable, and seen when it is right.

Captions go over in the order of their ids, a page at a time, and a journal on this machine notes the last id of each
page that has arrived. So a copy that is killed repeats one page at the most. What is taught to the source, or taken
back there, meanwhile is brought into line at the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from vectordb.building import persistently
from vectordb.captions import Caption
from vectordb.errors import Permanent, Transient
from vectordb.index import PAGE, CaptionIndex, Floats, Neighbours
from vectordb.journal import Journal, OtherSource, Progress
from vectordb.library import ChangeableLibrary, Manifest

SEARCHES = 10  # by which a copy is compared with its source
NEAREST = 10  # captions of each
_SAME = 1e-5  # of a component, or of a similarity: homes compute in float32
_LOOK_AT = 32  # captions among which one with this vector must be: several may have the same
_ROUNDS = 5  # in which the taught captions of a source that is in use are brought into line


class CopyDiffers(Permanent):
    """The copy does not hold what its source holds; it is not seen."""


@dataclass(frozen=True)
class Hooks:
    """What a copy tells and asks. ``wait`` is called when either home is away, and returns to try again."""

    tell: Callable[[int], None] = lambda _: None  # captions that have arrived, those of earlier attempts included
    step: Callable[[str], None] = lambda _: None  # what is done now, for people
    wait: Callable[[Transient], None] | None = None


@dataclass(frozen=True)
class Copied:
    """``count`` captions are in the copy; ``brought`` of them came by this call, ``taught`` were taught."""

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
    """Copy the version that ``manifest`` describes; a copy that was interrupted is gone on with.

    Raises ``CopyDiffers``, what ``ChangeableLibrary.building`` raises, and ``OtherSource`` where something else that
    is not finished has this version's place; ``resume=False`` throws that away.
    """
    identity = json.dumps(["copy", asdict(manifest)])
    version = manifest.captions_version
    with library.building(manifest.space_id, version, manifest.dimension, resume=resume) as building:
        target = building.index
        if target.count() and not Journal.is_in(building.folder):
            raise OtherSource(
                f"a build of {version} is there that was begun elsewhere and not finished; run the copy with"
                " --no-resume to throw it away"
            )
        with Journal.opened(building.folder, identity) as journal:
            if target.count() < journal.progress.count:  # a power cut may keep the notes and lose the captions
                journal.begin_again()
            brought = _bring(source, target, journal, hooks)
            hooks.step("comparing")
            taught = persistently(lambda: _compared(source, target, journal), hooks.wait)
            hooks.step("building the index")
            count = target.count()
        persistently(lambda: building.finish(manifest), hooks.wait)
    return Copied(count, brought, taught)


def _bring(source: CaptionIndex, target: CaptionIndex, journal: Journal, hooks: Hooks) -> int:
    brought = 0

    def go_on() -> None:
        nonlocal brought
        for captions, vectors in source.pages(after=journal.last()):
            target.add(captions, vectors)
            journal.commit([captions[-1].id], journal.progress.plus(len(captions), 0, 0))
            brought += len(captions)
            hooks.tell(journal.progress.count)

    persistently(go_on, hooks.wait)
    return brought


def _compared(source: CaptionIndex, target: CaptionIndex, journal: Journal) -> int:
    """Bring taught captions into line, then compare; gives how many are taught. Raises ``CopyDiffers``."""
    for left in reversed(range(_ROUNDS)):
        taught = level(source, target)
        count = target.count()
        journal.commit([], Progress(read=count, count=count))
        if source.count() == count:
            break
        if not left:
            raise CopyDiffers(
                f"the copy holds {count:,} captions, its source {source.count():,}; it is not made usable. Run the"
                " copy with --no-resume"
            )
    compare(source, target)
    return taught


def level(source: CaptionIndex, target: CaptionIndex) -> int:
    """Let the target hold exactly the taught captions that the source holds; gives how many these are."""
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
    """How many captions were taught to the source alone; ``bring`` teaches them to the target, too."""
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

    A search may miss what it should find, in either home. So what one of them finds must be in the other, with the
    same text, payload and vector, and nothing is said about which of two near captions a graph comes across.
    """
    ours, theirs = source.count(), target.count()
    if ours != theirs:
        raise CopyDiffers(f"the copy holds {theirs:,} captions, its source {ours:,}")
    queries = _queries(source)
    if not len(queries):
        return
    for here, there in zip(source.search(queries, NEAREST), target.search(queries, NEAREST), strict=True):
        _covered(here, there, target, "the copy")
        _covered(there, here, source, "the source")


def _queries(index: CaptionIndex) -> Floats:
    """Up to ``SEARCHES`` vectors, spread over the ids, which are hashes; each between two captions."""
    rows = []
    for part in range(SEARCHES):
        page = next(index.pages(after=part * 2**64 // SEARCHES - 1), None)
        if page is not None:
            _, vectors = page
            rows.append(vectors[0] + 0.5 * vectors[-1])
    queries = np.array(rows, dtype=np.float32).reshape(-1, index.dimension)
    # two that point away from each other leave nothing between them
    kept: Floats = queries[np.linalg.norm(queries, axis=1) > _SAME]
    return kept


def _covered(found: Neighbours, other: Neighbours, index: CaptionIndex, name: str) -> None:
    """Whether what was found in one home is in the other, whose ``index`` is asked for what its search missed."""
    known = {caption.id: (caption, row) for caption, row in zip(other.captions, other.vectors, strict=True)}
    for caption, row in zip(found.captions, found.vectors, strict=True):
        if caption.id not in known:
            (near,) = index.search(row[np.newaxis], _LOOK_AT)
            known |= {one.id: (one, vector) for one, vector in zip(near.captions, near.vectors, strict=True)}
        there = known.get(caption.id)
        if there is None or not _same(caption, row, *there):
            raise CopyDiffers(
                f"{name} does not hold the caption {caption.text[:80]!r} ({caption.id:016x}) as the other does; the"
                " copy is not made usable. Run it with --no-resume"
            )


def _same(caption: Caption, row: Floats, other: Caption, its: Floats) -> bool:
    return caption == other and bool(np.allclose(row, its, rtol=0, atol=_SAME))
