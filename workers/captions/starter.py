"""The starter captions: encoded and indexed on the first start."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from tasks.encoders import load_text_encoder, space_of
from vectordb.building import CHUNK, Draft, Hooks, build, encoding, rows_of
from vectordb.captions import normalise
from vectordb.index import IndexMissing
from vectordb.library import ChangeableLibrary, Manifest
from vectordb.starter import NAME, TEMPLATE, captions, version
from workers.captions.versions import chosen, library_of, starter
from workers.settings.settings import Settings

Progress = Callable[[str, int, int], None]
"""Receives the current activity, the number of encoded captions, and the total."""


def _quiet(_doing: str, _done: int, _total: int) -> None:
    pass


def prepared(settings: Settings) -> bool:
    """Whether there are captions to search. Loads no model."""
    library, space_id = library_of(settings), space_of(settings.encoder).id
    try:
        return library.find(space_id, chosen(library, space_id, settings.captions)) is not None
    except IndexMissing:
        return False


def prepare_captions(settings: Settings, progress: Progress = _quiet) -> None:
    """Make sure that there are captions to search: build the starter captions if they are wanted and missing.

    Returns at once if they exist; resumes an interrupted build. Raises ``BuildRunning`` if another process builds
    them, ``IndexMissing`` if other captions are configured but do not exist.
    """
    library, space_id = library_of(settings), space_of(settings.encoder).id
    wanted = chosen(library, space_id, settings.captions)
    if library.find(space_id, wanted) is None:
        if wanted != starter():
            raise IndexMissing(
                f"the captions in use, {wanted}, no longer exist; choose others with: wildtag captions use NAME"
            )
        build_starter(settings, library, datetime.now(UTC), progress)
    if settings.captions is None and library.active(space_id) is None:
        library.use(space_id, wanted)


def build_starter(
    settings: Settings, library: ChangeableLibrary, now: datetime, progress: Progress = _quiet
) -> Manifest:
    """Encode and index the starter captions."""
    space = space_of(settings.encoder)
    texts = [caption.text for caption in captions()]
    progress("Encoding captions", 0, len(texts))
    encoder = load_text_encoder(settings.encoder, cache_dir=settings.cache_folder, threads=settings.threads)
    draft = Draft(
        name=NAME, version=version(), space_id=space.id, dimension=space.dimension, created=now,
        source=f"starter {version()} {CHUNK}", template=TEMPLATE, origin="WordNet 3.0, nouns one can photograph",
    )  # fmt: skip
    hooks = Hooks(
        on_progress=lambda told: progress("Encoding captions", told.read, len(texts)),
        graph=lambda: progress("Building the index", len(texts), len(texts)),
    )
    return build(library, draft, rows_of(texts), normalise, encoding(encoder.encode, space.dimension), hooks)
