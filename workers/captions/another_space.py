"""Encodes the captions of one vector space for another one: the same ones, what was taught too, under one name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from tasks.encoders.protocols import Space, TextEncoder
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
    if library.active(space.id) is None:
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
        made = replace(
            manifest, space_id=space.id, dimension=space.dimension, count=building.index.count(),
            created=now.astimezone().isoformat(), thresholds=derived,
        )  # fmt: skip
        building.finish(made)
    return made


def level(source: CaptionIndex, target: CaptionIndex, load: Callable[[], TextEncoder]) -> int:
    """Add the captions that were taught to the source since, and remove those that were taken back.

    Returns the number of changes.
    """
    taught = {one.id: one for captions, _ in source.pages(taught=True) for one in captions}
    there = [one.id for captions, _ in target.pages(taught=True) for one in captions]
    gone = [one for one in there if one not in taught]
    new = [one for number, one in taught.items() if number not in set(there)]
    if gone:
        target.remove(gone)
    if new:
        target.add(new, load().encode([one.text for one in new]))
    return len(gone) + len(new)
