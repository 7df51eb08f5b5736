"""Encodes the captions of one vector space for another one: the same ones, what was taught too, under one name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from tasks.encoders.protocols import Space, TextEncoder
from tasks.message_parts import Floats
from vectordb.captions import Caption
from vectordb.index import CaptionIndex
from vectordb.library import ChangeableLibrary, Manifest
from workers.captions.starter import Progress, Thresholds, none, quiet


def encode_for(
    library: ChangeableLibrary, manifest: Manifest, source: CaptionIndex, space: Space,
    load: Callable[[], TextEncoder], now: datetime, progress: Progress = quiet, thresholds: Thresholds = none,
) -> Manifest:  # fmt: skip
    """Encode a version for another space, or resume that. Returns at once, but for taught captions, if it is there.

    ``source``: its index. ``load`` gives the text encoder of ``space``. ``thresholds``: see
    ``vectordb.building.Hooks``. The version becomes the active one of its space.
    """
    made = library.find(space.id, manifest.captions_version)
    if made is None:
        made = _built(library, manifest, source, space, load, now, progress, thresholds)
    if library.active(space.id) != manifest.captions_version:
        library.use(space.id, manifest.captions_version)
    return made


def _built(
    library: ChangeableLibrary, manifest: Manifest, source: CaptionIndex, space: Space,
    load: Callable[[], TextEncoder], now: datetime, progress: Progress, thresholds: Thresholds,
) -> Manifest:  # fmt: skip
    total, done = source.count(), 0
    with library.building(space.id, manifest.captions_version, space.dimension) as building:
        for captions, _ in source.pages():
            progress("Encoding captions", done, total)
            known = {caption.id for caption in building.index.get([one.id for one in captions])}
            if left := [one for one in captions if one.id not in known]:
                building.index.add(left, load().encode([one.text for one in left]))
            done += len(captions)
        progress("Deriving thresholds", done, total)
        derived = thresholds(building.index)
        progress("Building the index", done, total)
        # taught captions come with the others, and the manifest counts the imported ones
        imported = building.index.count() - len(_taught(building.index))
        made = replace(
            manifest, space_id=space.id, dimension=space.dimension, count=imported,
            created=now.astimezone().isoformat(), thresholds=derived,
        )  # fmt: skip
        building.finish(made)
    return made


def level(
    source: CaptionIndex, target: CaptionIndex, load: Callable[[], TextEncoder],
    before: Callable[[Floats], object] = lambda _: None,
) -> int:  # fmt: skip
    """Add the captions that were taught to the source since, and remove those that were taken back.

    ``before``: called with the vectors (n, dimension) of both before anything changes. Returns the number of changes.
    """
    taught, there = _taught(source), _taught(target)
    gone = [one for number, one in there.items() if number not in taught]
    new = [one for number, one in taught.items() if number not in there]
    if not gone and not new:
        return 0
    vectors = load().encode([one.text for one in (*gone, *new)])
    before(vectors)
    if gone:
        target.remove([one.id for one in gone])
    if new:
        target.add(new, vectors[len(gone) :])
    return len(gone) + len(new)


def is_level(source: CaptionIndex, target: CaptionIndex) -> bool:
    """Whether both have been taught the same."""
    return _taught(source).keys() == _taught(target).keys()


def _taught(index: CaptionIndex) -> dict[int, Caption]:
    return {one.id: one for captions, _ in index.pages(taught=True) for one in captions}
