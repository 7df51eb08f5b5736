"""Access to the captions of a home: through the retrieval worker of its running stack, or opened in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tasks.encoders.protocols import TextEncoder
from vectordb.index import CaptionIndex, IndexLocked, IndexMissing
from vectordb.library import Library
from workers.captions.versions import chosen
from workers.embedded.stack import running
from workers.images.archive import RemoteArchive
from workers.settings.settings import Settings
from workers.wiring.operations import archive
from workers.wiring.wiring import Wiring

TRIES = 10


@contextmanager
def captions_of(wiring: Wiring) -> Iterator[CaptionIndex]:
    """The captions that these settings search, opened in this process or through the running stack that owns them."""
    version = wiring.revision.captions_version
    try:
        index: CaptionIndex = wiring.library.open(wiring.space.id, version)
    except IndexLocked:
        up = running(wiring.settings)
        if up is None:
            raise
        index = Wiring(up).remote_index(version)
    try:
        yield index
    finally:
        index.close()


@dataclass(frozen=True)
class OpenCaptions:
    """One version and the text encoder of its vector space. ``encoder`` loads a model only if no stack runs.

    ``archive``: of the running stack, if this version is in use there.
    """

    captions_version: str
    index: CaptionIndex
    encoder: Callable[[], TextEncoder]
    archive: RemoteArchive | None = None


@contextmanager
def open_captions(settings: Settings, wanted: str | None = None) -> Iterator[OpenCaptions]:
    """Open a version for reading or teaching, through the workers of the running stack if there is one.

    Raises ``IndexMissing``.
    """
    up = running(settings)
    wiring = Wiring(up or settings)
    version = chosen(wiring.library, wiring.space.id, wanted or settings.captions)
    if wanted is None and settings.captions is None:
        _require(wiring.library, wiring.space.id, version)
    if up is not None and wiring.owned:
        index: CaptionIndex = wiring.remote_index(version)
    else:
        index = wiring.library.open(wiring.space.id, version)
    try:
        yield OpenCaptions(
            version,
            index,
            lambda: wiring.text_encoder if up is None else wiring.remote_encoder,
            archive(wiring) if up is not None and version == wiring.chosen() else None,
        )
    finally:
        index.close()


def _require(library: Library, space_id: str, version: str) -> None:
    """Raises ``IndexMissing`` with what to do if the version in use does not exist."""
    if library.find(space_id, version) is not None:
        return
    others = ", ".join(manifest.captions_version for manifest in library.manifests(space_id))
    if others:
        raise IndexMissing(
            f"no captions are in use; available: {others}. Choose some with `wildtag captions use NAME`, or name them"
            " with --captions"
        )
    raise IndexMissing(
        "there are no captions yet: create the starter captions with `wildtag captions use starter`, or import others"
        " with `wildtag captions import`"
    )


def taken_over(settings: Settings, captions_version: str, work: Callable[[], None]) -> None:
    """Call ``work``, which needs exclusive access to a version. A running stack closes the version first."""
    up = running(settings)
    for left in reversed(range(TRIES)):
        if up is not None and (wiring := Wiring(up)).owned:
            wiring.remote_index(captions_version).release()
        try:
            work()
        except IndexLocked:  # a batch opened it again in the meantime
            if not left:
                raise
        else:
            return
