"""Caption versions: where they are stored, which one is active, and which this process has open."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

import structlog

from tasks.extraction.phrases import BY
from tasks.message_parts import DerivedThresholds
from tasks.thresholds.derived import UnreadableThresholds, read
from vectordb.errors import Permanent
from vectordb.index import CaptionIndex, Floats, IndexMissing, sample
from vectordb.library import ChangeableLibrary, Library
from vectordb.starter import NAME, TEMPLATE, version
from workers.monitoring.measured import measured_index

log = structlog.get_logger()

LOOK_EVERY_S = 0.5  # maximum delay until a switch of version is noticed
OPEN_MAX = 2  # versions at once: the active one, and the previous one for work in progress
IDLE_S = 120.0


def starter() -> str:
    """The starter captions of this installation: ``starter@…``."""
    return f"{NAME}@{version()}"


def chosen(library: Library, space_id: str, wanted: str | None) -> str:
    """``name@version`` of the captions to search.

    ``wanted`` is ``NAME@VERSION``, ``NAME`` for its newest version, or ``None`` for the active version (the starter
    captions by default). Raises ``IndexMissing``, which lists the existing ones.
    """
    if wanted is None:
        return library.active(space_id) or starter()
    if wanted == NAME:
        return starter()
    found = [m for m in library.manifests(space_id) if wanted in (m.name, m.captions_version)]
    if found:
        return found[-1].captions_version
    elsewhere = sorted({m.space_id for m in library.manifests() if wanted in (m.name, m.captions_version)})
    if elsewhere:
        raise IndexMissing(
            f"the captions {wanted} are for the space {' and '.join(elsewhere)}, but the current encoder"
            f" uses {space_id}: set WILDTAG_ENCODER to the encoder that made them, or import them for this"
            " one"
        )
    known = ", ".join(sorted({m.name for m in library.manifests(space_id)})) or "none"
    raise IndexMissing(f"there are no captions {wanted!r}; there are: {known}")


def derived_for(library: Library, space_id: str, captions_version: str) -> DerivedThresholds | None:
    """The thresholds derived for a version; ``None`` if it has none, or none that can be read."""
    manifest = library.find(space_id, captions_version)
    try:
        derived = read(manifest.thresholds) if manifest else None
    except UnreadableThresholds as exc:
        log.warning("thresholds not used", captions_version=captions_version, reason=str(exc))
        return None
    return None if derived is None else derived.thresholds


def known_phrases(library: Library, space_id: str, captions_version: str) -> bool:
    """Whether the phrases of a version's captions are known without a parser, but for those that were taught.

    They are if they were parsed when they were imported, or if all of them are definitions.
    """
    manifest = library.find(space_id, captions_version)
    return manifest is not None and (manifest.profile == BY or manifest.template == TEMPLATE)


def only(library: Library, space_id: str, wanted: str) -> str:
    """``name@version`` of the only version, including unfinished ones, for irreversible operations.

    Raises ``SeveralVersions``, ``IndexMissing``.
    """
    if "@" in wanted:
        return wanted
    found = [m.captions_version for m in library.manifests(space_id) if m.name == wanted]
    found += [v for space, v in library.unfinished() if space == space_id and v.partition("@")[0] == wanted]
    if len(found) > 1:
        raise SeveralVersions(f"there are several versions of {wanted}; choose one of: {', '.join(found)}")
    return found[0] if found else chosen(library, space_id, wanted)


class CaptionsDropped(Permanent):
    """The captions that an object was tagged with no longer exist, and others are active."""


class SeveralVersions(Permanent):
    """A name has more than one version, but must identify one."""


class ActiveVersion:
    """The version that new images are tagged with, looked up at most twice a second."""

    def __init__(
        self, library: Library, space_id: str, wanted: str | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._library = library
        self._space_id = space_id
        self._wanted = wanted
        self._clock = clock
        self._known = ""
        self._until = -1.0

    def __call__(self) -> str:
        """``name@version``."""
        if self._clock() >= self._until:
            self._known = chosen(self._library, self._space_id, self._wanted)
            self._until = self._clock() + LOOK_EVERY_S
        return self._known


class OpenIndexes:
    """The versions that this process has open. A version is opened on first use."""

    def __init__(self, library: Library, space_id: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._library = library
        self._space_id = space_id
        self._clock = clock
        self._open: OrderedDict[str, tuple[CaptionIndex, float]] = OrderedDict()  # least recently used first
        self._samples: dict[str, Floats] = {}
        self._derived: dict[str, DerivedThresholds | None] = {}

    def open(self, captions_version: str) -> CaptionIndex:
        """The index of a version. Raises ``IndexMissing``, ``IndexLocked``."""
        index, _ = self._open.get(captions_version) or (self._opened(captions_version), 0)
        self._open[captions_version] = index, self._clock()
        self._open.move_to_end(captions_version)
        for other, (_, used) in list(self._open.items())[:-1]:
            if len(self._open) > OPEN_MAX or self._clock() - used > IDLE_S:
                self.release(other)
        return index

    def _opened(self, captions_version: str) -> CaptionIndex:
        return measured_index(self._library.open(self._space_id, captions_version), "captions")

    def background(self, captions_version: str) -> Floats:
        """A sample of a version's vectors (see ``vectordb.index.sample``), read once while it is open."""
        index = self.open(captions_version)
        if captions_version not in self._samples:
            self._samples[captions_version] = sample(index)
        return self._samples[captions_version]

    def thresholds(self, captions_version: str) -> DerivedThresholds | None:
        """The thresholds derived for a version, read once while it is open."""
        if captions_version not in self._derived:
            self._derived[captions_version] = derived_for(self._library, self._space_id, captions_version)
        return self._derived[captions_version]

    def release(self, captions_version: str) -> None:
        """Close a version; does nothing if it is not open."""
        self._derived.pop(captions_version, None)
        self._samples.pop(captions_version, None)
        index, _ = self._open.pop(captions_version, (None, 0))
        if index is not None:
            index.close()


def switch(library: ChangeableLibrary, space_id: str, wanted: str, pinned: str | None) -> str:
    """Activate a version; returns ``name@version``. Raises ``IndexMissing``.

    ``pinned``: what the settings name; then nothing can be switched, and ``Permanent`` is raised.
    """
    if pinned is not None:
        raise Permanent(f"the captions are set by WILDTAG_CAPTIONS={pinned}; unset it to switch")
    to = chosen(library, space_id, wanted)
    library.use(space_id, to)
    return to
