"""Indexes of images in folders of this machine: ``ROOT/SPACE/images`` with a Qdrant Edge index.

One that cannot be opened is set aside as ``images.damaged-N``.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import structlog

from vectordb.image_edge import DEFAULT
from vectordb.image_growth import GrowingImages
from vectordb.index import IndexMissing
from vectordb.library import safe
from vectordb.options import IndexOptions

log = structlog.get_logger()

ASIDE_KEPT = 2  # damaged indexes of a space


def set_aside(place: Path) -> Path:
    """Rename a damaged index. The one before it is kept, older ones are removed: it is made again from the images."""

    def number(one: Path) -> int:
        return int(one.name.rpartition("-")[2])

    name = f"{place.name}.damaged-"
    before = sorted((one for one in place.parent.glob(f"{name}*") if one.name[len(name) :].isdecimal()), key=number)
    for old in before[: 1 - ASIDE_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    aside = place.with_name(f"{name}{number(before[-1]) + 1 if before else 1}")
    return place.rename(aside)


class FolderImages:
    """An ``ImageLibrary`` of embedded indexes, under the root folder, which need not exist yet."""

    def __init__(self, root: Path, options: IndexOptions = DEFAULT) -> None:
        self._root = root
        self._options = options

    def open(self, space_id: str, dimension: int) -> GrowingImages:
        """See ``ImageLibrary``. Raises ``DiskFull``, too."""
        place = self._place(space_id)
        if not (place / "index.json").exists():
            shutil.rmtree(place, ignore_errors=True)  # created in part
            return GrowingImages.create(place, dimension, self._options)
        try:
            index = GrowingImages.open(place, self._options)
            if index.dimension == dimension:
                return index
            index.close()
            reason = f"it has {index.dimension} dimensions, the space {dimension}"
        except IndexMissing as exc:
            reason = str(exc)
        aside = set_aside(place)
        log.warning("image index set aside", at=str(aside), reason=reason, then="an empty one is created")
        return GrowingImages.create(place, dimension, self._options)

    def drop(self, space_id: str) -> None:
        """See ``ImageLibrary``."""
        place = self._place(space_id)
        with contextlib.suppress(FileNotFoundError):
            (place / "index.json").unlink()
        shutil.rmtree(place, ignore_errors=True)

    def _place(self, space_id: str) -> Path:
        return self._root / safe(space_id) / "images"
