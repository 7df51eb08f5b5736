"""A version as one file that any server can take in: captions and vectors, and no engine's own files.

A tar archive whose order counts: ``manifest.json``; for every page ``pages/N.json``, a list of ``[id, text,
payload]``, and ``pages/N.npy``, the (n, dimension) float32 unit vectors; at last ``end.json`` with the number of
captions, by which a file that was cut off is told from a whole one. Written and read a page at a time.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np

from vectordb.captions import Caption
from vectordb.index import CaptionIndex, Floats
from vectordb.library import BadSnapshot, Manifest

_MANIFEST, _END = "manifest.json", "end.json"


def write(file: Path, manifest: Manifest, index: CaptionIndex) -> None:
    """All captions of the index, into a file that is put in its place when it is whole."""
    part = file.with_name(f".{file.name}.part")
    try:
        with tarfile.open(part, "w") as archive:
            _put(archive, _MANIFEST, json.dumps(asdict(manifest), indent=2).encode())
            count = 0
            for number, (captions, vectors) in enumerate(index.pages()):
                texts = [(caption.id, caption.text, dict(caption.payload)) for caption in captions]
                _put(archive, f"pages/{number:06}.json", json.dumps(texts).encode())
                matrix = io.BytesIO()
                np.save(matrix, vectors, allow_pickle=False)
                _put(archive, f"pages/{number:06}.npy", matrix.getvalue())
                count += len(captions)
            _put(archive, _END, json.dumps({"captions": count}).encode())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


class Saved:
    """A file that is being read."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        """For ``reading``."""
        self._archive = archive
        with _understood():
            self.manifest = Manifest(**json.loads(self._member(_MANIFEST)))

    def pages(self) -> Iterator[tuple[list[Caption], Floats]]:
        """All captions with their vectors. Raises ``BadSnapshot``, possibly at the end."""
        with _understood():
            yield from self._pages()

    def _pages(self) -> Iterator[tuple[list[Caption], Floats]]:
        count = 0
        while (member := self._archive.next()) and member.name != _END:
            captions = [Caption(*row) for row in json.loads(self._read(member))]
            vectors = np.load(
                io.BytesIO(self._member(f"{member.name.removesuffix('.json')}.npy")), allow_pickle=False
            )
            if vectors.shape != (len(captions), self.manifest.dimension) or vectors.dtype != np.float32:
                raise BadSnapshot(f"{member.name} and its vectors do not belong together")
            count += len(captions)
            yield captions, vectors
        if member is None or json.loads(self._read(member)) != {"captions": count}:
            raise BadSnapshot("the end of the snapshot is missing")

    def _member(self, name: str) -> bytes:
        """The next member, which must be this one."""
        member = self._archive.next()
        if member is None or member.name != name:
            raise BadSnapshot(f"no {name} where it should be")
        return self._read(member)

    def _read(self, member: tarfile.TarInfo) -> bytes:
        content = self._archive.extractfile(member)
        if content is None:
            raise BadSnapshot(f"{member.name} is not a file")
        return content.read()


@contextmanager
def reading(file: Path) -> Iterator[Saved]:
    """A file that ``write`` wrote. Raises ``BadSnapshot``."""
    with _understood():
        archive = tarfile.open(file)  # noqa: SIM115 -- the block that closes it is not the one that translates
    with archive:
        yield Saved(archive)


@contextmanager
def _understood() -> Iterator[None]:
    """``BadSnapshot`` for whatever a file that ``write`` did not write, or not to its end, is bound to raise."""
    try:
        yield
    except (tarfile.TarError, EOFError, FileNotFoundError, IsADirectoryError, KeyError, TypeError, ValueError) as exc:
        raise BadSnapshot(f"this is not a whole snapshot of captions: {exc}") from exc


def _put(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
