"""The homes of captions that the contracts run on, and captions with vectors to put into them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from qdrant_client import QdrantClient

from vectordb.captions import Caption
from vectordb.index import CaptionIndex, Floats
from vectordb.server import ServerIndex
from vectordb.server_client import connect

DIMENSION = 48
# all homes compute in float32; sums of 48 products differ in their last bits only
NOISE = 1e-5


@dataclass(frozen=True)
class Home:
    """One way to keep an index: where it lies and how it is made and found again."""

    path: Path
    create: Callable[[Path, int], CaptionIndex]
    open: Callable[[Path], CaptionIndex]


class OwnClient(ServerIndex):
    """A collection with a client of its own, as every process has one: the folder that its path lies in."""

    @classmethod
    def create_at(cls, path: Path, dimension: int) -> Self:
        with cls._lent(connect(str(path.parent / "server"))) as client:
            return cls.create(client, path.name, dimension)

    @classmethod
    def open_at(cls, path: Path) -> Self:
        with cls._lent(connect(str(path.parent / "server"))) as client:
            return cls.open(client, path.name)

    @staticmethod
    @contextmanager
    def _lent(client: QdrantClient) -> Iterator[QdrantClient]:
        try:
            yield client
        except Exception:
            client.close()
            raise

    def close(self) -> None:
        super().close()
        self._client.close()


def vectors_like_texts(count: int, dimension: int = DIMENSION, seed: int = 7) -> Floats:
    """Unit vectors in clusters, as texts' vectors lie; evenly spread noise has no neighbours worth finding."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(max(count // 20, 1), dimension))
    rows = centres[random.integers(0, len(centres), count)] + 0.6 * random.normal(size=(count, dimension))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


def captions(count: int, start: int = 0) -> list[Caption]:
    return [Caption.of(f"caption number {i}") for i in range(start, start + count)]


def everything(index: CaptionIndex, source: str | None = None) -> list[Caption]:
    return [caption for page, _ in index.pages(source) for caption in page]
