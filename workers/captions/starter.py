"""The starter captions: encoded and indexed on the first start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from tasks.encoders.protocols import Space, TextEncoder
from vectordb.building import CHUNK, Draft, Hooks, build, encoding
from vectordb.captions import normalise
from vectordb.index import CaptionIndex, IndexMissing
from vectordb.library import ChangeableLibrary, Library, Manifest
from vectordb.source_rows import rows_of
from vectordb.starter import NAME, TEMPLATE, captions, version
from workers.captions.versions import chosen, starter

Progress = Callable[[str, int, int], None]
"""Receives the current activity, the number of encoded captions, and the total."""

Thresholds = Callable[[CaptionIndex], Mapping[str, object] | None]
"""Derives the thresholds of captions, as JSON values."""


def none(_: CaptionIndex) -> None:
    """A ``Thresholds`` that derives none."""


def quiet(_doing: str, _done: int, _total: int) -> None:
    """A ``Progress`` that shows nothing."""


def prepared(library: Library, space_id: str, wanted: str | None) -> bool:
    """Whether there are captions to search. ``wanted``: see ``workers.captions.versions.chosen``."""
    try:
        return library.find(space_id, chosen(library, space_id, wanted)) is not None
    except IndexMissing:
        return False


def prepare_captions(
    library: ChangeableLibrary, space: Space, load: Callable[[], TextEncoder], wanted: str | None, now: datetime,
    progress: Progress = quiet, thresholds: Thresholds = none,
) -> None:  # fmt: skip
    """See that there are captions to search: the starter captions are encoded if they are wanted and missing.

    ``load`` gives the text encoder of ``space``; it is called only where captions are encoded. ``thresholds``: see
    ``vectordb.building.Hooks``. Returns at once if that was done before; an interrupted build is resumed. Raises
    ``BuildRunning`` if another process builds them, ``IndexMissing`` if other captions are wanted that do not exist.
    """
    version_wanted = chosen(library, space.id, wanted)
    if library.find(space.id, version_wanted) is None:
        if version_wanted != starter():
            raise IndexMissing(
                f"the captions in use, {version_wanted}, are gone; choose others: wildtag captions use NAME"
            )
        build_starter(library, space, load, now, progress, thresholds)
    if wanted is None and library.active(space.id) is None:
        library.use(space.id, version_wanted)


def build_starter(
    library: ChangeableLibrary,
    space: Space,
    load: Callable[[], TextEncoder],
    now: datetime,
    progress: Progress = quiet,
    thresholds: Thresholds = none,
) -> Manifest:
    """Encode and index the starter captions."""
    texts = [caption.text for caption in captions()]
    progress("Encoding captions", 0, len(texts))
    draft = Draft(
        name=NAME, version=version(), space_id=space.id, dimension=space.dimension, created=now,
        source=f"starter {version()} {CHUNK}", template=TEMPLATE, origin="WordNet 3.0, nouns one can photograph",
    )  # fmt: skip

    def derived(index: CaptionIndex) -> Mapping[str, object] | None:
        if thresholds is not none:
            progress("Deriving thresholds", len(texts), len(texts))
        return thresholds(index)

    hooks = Hooks(
        on_progress=lambda done: progress("Encoding captions", done.read, len(texts)),
        graph=lambda: progress("Building the index", len(texts), len(texts)),
        thresholds=derived,
    )
    return build(library, draft, rows_of(texts), normalise, encoding(load().encode, space.dimension), hooks)
