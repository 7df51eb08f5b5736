"""The composed captions and their vectors, cached in a work folder in pieces. Encoding can be resumed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np

from ops.bench.composed import SEED, VERSION, texts
from tasks.encoders.protocols import TextEncoder
from vectordb.captions import Caption
from vectordb.index import Floats

PIECE = 8192  # captions per file
HELD_OUT = 1000


@dataclass(frozen=True)
class Prepared:
    """Captions and vectors in files, read piece by piece to save memory."""

    folder: Path
    count: int
    piece: int = PIECE
    held_out: int = HELD_OUT

    @classmethod
    def described(cls, description: str) -> Self:
        """The captions that another process passed with ``description``."""
        found = json.loads(description)
        return cls(**{**found, "folder": Path(found["folder"])})

    def description(self) -> str:
        """The argument for ``described`` in another process."""
        return json.dumps({**asdict(self), "folder": str(self.folder)})

    @property
    def truth(self) -> Path:
        """The file with the exact neighbours of the queries."""
        return self.folder / f"truth-{self.count}.npy"

    def queries(self) -> tuple[list[str], Floats]:
        """The held-out captions and their vectors."""
        return self._read("queries")

    def pieces(self) -> Iterator[tuple[list[Caption], Floats]]:
        """Captions with their vectors, ``count`` in all."""
        for number in range(-(-self.count // self.piece)):
            captions, vectors = self._read(f"piece-{number:05}")
            wanted = self.count - number * self.piece
            yield [Caption.of(text) for text in captions[:wanted]], vectors[:wanted]

    def make(self, encoder: Callable[[], TextEncoder], progress: Callable[[int], object]) -> int:
        """Compose and encode the missing captions. Returns how many were encoded.

        ``encoder`` is called only where something is missing: loading it takes seconds. ``progress`` receives the
        number of existing captions.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        names = ["queries", *(f"piece-{number:05}" for number in range(-(-self.count // self.piece)))]
        if all(self._vectors(name).exists() for name in names):
            return 0
        loaded, composed, made, done = encoder(), texts(SEED), 0, 0
        for name in names:
            captions = list(islice(composed, self.held_out if name == "queries" else self.piece))
            if not self._vectors(name).exists():
                self._write(name, captions, loaded.encode(captions))
                made += len(captions)
            done += len(captions)
            progress(done)
        return made

    def _vectors(self, name: str) -> Path:
        return self.folder / f"{name}.npy"

    def _read(self, name: str) -> tuple[list[str], Floats]:
        captions = self._vectors(name).with_suffix(".txt").read_text(encoding="utf-8").splitlines()
        vectors: Floats = np.load(self._vectors(name))
        return captions, vectors

    def _write(self, name: str, captions: list[str], vectors: Floats) -> None:
        self._vectors(name).with_suffix(".txt").write_text("\n".join(captions), encoding="utf-8")
        part = self._vectors(name).with_suffix(".part")
        with part.open("wb") as file:
            np.save(file, vectors)
        part.replace(self._vectors(name))


def folder_of(work: Path, space_id: str) -> Path:
    """The folder with the vectors of this recipe in this vector space."""
    return work / f"composed-{VERSION}-{SEED}-{space_id}"
