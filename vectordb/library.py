"""Caption databases on disk: ``<root>/<space>/<name>@<version>/``, each with its index and a manifest.

A database is built in a hidden sibling folder and moved into its place when it is whole, manifest and all: what
``find`` and ``open`` see was finished. A build that was killed leaves the vectors it had encoded; the next one of
the same version takes them up and makes the index anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from vectordb.captions import Caption
from vectordb.edge import EdgeIndex
from vectordb.errors import Permanent, Transient
from vectordb.index import Floats, IndexMissing, paired

# what may be a folder's name anywhere, and cannot leave the folder it is in
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


class UnsafeName(Permanent):
    """A space, name or version that cannot be the name of a folder."""


class BuildRunning(Transient):
    """Somebody is building this version of this database at this moment."""


@dataclass(frozen=True)
class Manifest:
    """What is known of a database. ``template`` made its captions, where one did; ``created`` is ISO 8601."""

    name: str
    version: str
    space_id: str
    dimension: int
    count: int
    template: str | None
    created: str

    @property
    def captions_version(self) -> str:
        """``name@version``: names the database within its space."""
        return f"{self.name}@{self.version}"


class Library:
    """All caption databases under one root folder, which need not exist yet."""

    def __init__(self, root: Path) -> None:
        """Touches nothing."""
        self._root = root

    def find(self, space_id: str, captions_version: str) -> Manifest | None:
        """The database of this space called ``name@version``, if there is a whole one."""
        return _manifest(self._place(space_id, captions_version))

    def versions(self, space_id: str) -> list[Manifest]:
        """All whole databases of a space, the oldest first."""
        found = map(_manifest, (self._root / _safe(space_id)).glob("[!.]*@*"))
        return sorted(filter(None, found), key=lambda m: (datetime.fromisoformat(m.created), m.captions_version))

    def open(self, space_id: str, captions_version: str, *, ef: int = 128) -> EdgeIndex:
        """The index of a database. Raises ``IndexMissing`` or ``IndexLocked``."""
        place = self._place(space_id, captions_version)
        manifest = _manifest(place)
        if manifest is None:
            raise IndexMissing(f"no captions {captions_version} for the space {space_id} in {self._root}")
        index = EdgeIndex.open(place / "index", ef=ef)
        if index.dimension != manifest.dimension or (manifest.count and not index.count()):
            index.close()
            raise IndexMissing(f"the captions in {place} are damaged: remove the folder and build them again")
        return index

    def build(
        self,
        captions: Iterable[Caption],
        encode: Callable[[Sequence[str]], Floats],
        *,
        name: str,
        version: str,
        space_id: str,
        dimension: int,
        created: datetime,
        template: str | None = None,
        progress: Callable[[int, int], None] | None = None,
        chunk: int = 1024,
    ) -> Manifest:
        """Encode captions and index them. A version that is whole already is returned as it is.

        Of captions with one id the first counts. ``encode`` gets ``chunk`` texts at a time, short ones first, so
        that texts of one length come together; it gives (n, dimension) vectors. ``progress`` is told how many
        captions are encoded, of how many; the index is built after the last, in silence. ``created`` needs a
        time zone. Raises ``BuildRunning``, ``WrongDimension``, ``UnusableVectors``, and what ``encode`` raises.
        """
        place = self._place(space_id, f"{_safe(name)}@{_safe(version)}")
        work = place.with_name(f".{place.name}.building")
        place.parent.mkdir(parents=True, exist_ok=True)
        with _alone(place.with_name(f".{place.name}.lock")):
            if whole := _manifest(place):
                return whole
            unique = {caption.id: caption for caption in reversed(list(captions))}
            ordered = sorted(unique.values(), key=lambda caption: (len(caption.text), caption.id))
            encoded = work / "vectors"
            encoded.mkdir(parents=True, exist_ok=True)
            parts = []
            for start in range(0, len(ordered), chunk):
                part = ordered[start : start + chunk]
                parts.append((part, _encoded(part, encode, encoded, dimension)))
                if progress:
                    progress(start + len(part), len(ordered))
            _index(work / "index", parts, dimension)
            shutil.rmtree(encoded)
            manifest = Manifest(
                name, version, space_id, dimension, len(ordered), template, created.astimezone().isoformat()
            )
            (work / "manifest.json").write_text(json.dumps(asdict(manifest), indent=2) + "\n", encoding="utf-8")
            shutil.rmtree(place, ignore_errors=True)  # a folder without a manifest is nobody's database
            work.rename(place)
            return manifest

    def _place(self, space_id: str, captions_version: str) -> Path:
        name, _, version = captions_version.partition("@")
        return self._root / _safe(space_id) / f"{_safe(name)}@{_safe(version)}"


def _safe(name: str) -> str:
    """The name, if a folder may bear it."""
    if not _SAFE.fullmatch(name):
        raise UnsafeName(f"{name!r} cannot name a folder: letters, digits and . _ + - only, a letter or digit first")
    return name


def _manifest(place: Path) -> Manifest | None:
    """The manifest of the database in a folder, if there is one."""
    try:
        return Manifest(**json.loads((place / "manifest.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _encoded(
    part: Sequence[Caption], encode: Callable[[Sequence[str]], Floats], folder: Path, dimension: int
) -> Path:
    """The file with the vectors of these captions, encoded now unless a build before did it."""
    texts = [caption.text for caption in part]
    file = folder / f"{hashlib.blake2b(json.dumps([dimension, texts]).encode(), digest_size=16).hexdigest()}.npy"
    if not file.exists():
        vectors = paired(part, encode(texts), dimension)
        beside = file.with_suffix(".part")
        with beside.open("wb") as out:
            np.save(out, vectors)
        beside.rename(file)
    return file


def _index(path: Path, parts: Sequence[tuple[Sequence[Caption], Path]], dimension: int) -> None:
    """A finished index at ``path``, made anew. The vectors are read a part at a time."""
    shutil.rmtree(path, ignore_errors=True)
    index = EdgeIndex.create(path, dimension)
    try:
        for captions, file in parts:
            index.add(captions, np.load(file, allow_pickle=False))
        index.optimize()
    finally:
        index.close()


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Nobody else, in any process, is in this block with the same lock. A killed holder's lock goes with it."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise BuildRunning(f"{lock.name.strip('.').removesuffix('.lock')} is being built already") from exc
        file.write(str(os.getpid()))
        file.flush()
        yield
