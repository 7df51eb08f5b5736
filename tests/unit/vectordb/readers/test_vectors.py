"""Captions with vectors in files of their own: clip-retrieval's folders and faiss' indexes."""

from __future__ import annotations

import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.unit.vectordb.readers.reading import broken, written
from tests.unit.vectordb.readers.test_parquet import arrow, table
from vectordb.index import Floats
from vectordb.readers import BadSource, faiss_folder, source_of

COUNT, DIMENSION = 2500, 8
CAPTIONS = [f"a photo of thing {i}" for i in range(COUNT)]
VECTORS: Floats = np.random.default_rng(0).normal(size=(COUNT, DIMENSION)).astype(np.float32)


def whole(*paths: Path) -> tuple[list[str], Any]:
    """All captions and all vectors of a source that has both."""
    source = source_of(paths)
    assert source.has_vectors
    consumed: list[int] = []
    pieces = list(source.read(consumed.append))
    assert all(rows.vectors is not None and len(rows.texts) == len(rows.vectors) <= 1024 for rows in pieces)
    assert consumed == sorted(consumed)
    assert consumed[-1] == source.size()
    return [text for rows in pieces for text in rows.texts], np.concatenate([rows.vectors for rows in pieces])


def clip_folder(folder: Path, files: int = 12, kind: Any = np.float16) -> Path:
    """The captions cut into numbered files, more than nine of them."""
    (folder / "text_emb").mkdir(parents=True)
    (folder / "metadata").mkdir()
    for i, part in enumerate(np.array_split(np.arange(COUNT), files)):
        np.save(folder / "text_emb" / f"text_emb_{i}.npy", VECTORS[part].astype(kind))
        columns = {"image_path": ["x"] * len(part), "caption": [CAPTIONS[j] for j in part]}
        table(folder / "metadata" / f"metadata_{i}.parquet", columns)
    return folder


def flat(kind: bytes = b"IxFI", vectors: Floats = VECTORS) -> bytes:
    """A flat index, byte for byte as faiss 1.15 writes it."""
    metric = {b"IxFI": 0, b"IxF2": 1, b"IxFl": 2}[kind]
    argument = struct.pack("<f", 0.0) if metric > 1 else b""
    head = struct.pack("<4siqqqBi", kind, vectors.shape[1], len(vectors), 1 << 20, 1 << 20, 1, metric)
    return head + argument + struct.pack("<Q", vectors.size) + vectors.tobytes()


def faiss_database(folder: Path, index: bytes) -> Path:
    """As the reference implementation lays it out, its metadata in eleven files."""
    written(folder / "text.index", index)
    (folder / "metadata").mkdir()
    for i, part in enumerate(np.array_split(np.arange(COUNT), 11)):
        arrow(folder / "metadata" / f"{i}.arrow", {"caption": [CAPTIONS[j] for j in part]})
    return folder


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_clip_retrieval_keeps_captions_and_vectors_together(tmp_path: Path, kind: Any) -> None:
    """Files go by number, not by name: 2 comes before 10. Half precision becomes float32."""
    texts, vectors = whole(clip_folder(tmp_path, kind=kind))
    assert texts == CAPTIONS
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, VECTORS.astype(kind).astype(np.float32))


def test_clip_retrieval_with_files_that_do_not_fit_is_refused(tmp_path: Path) -> None:
    """A file without its partner, or of another length: no vector goes to a wrong caption."""
    folder = clip_folder(tmp_path)
    np.save(folder / "text_emb" / "text_emb_1.npy", VECTORS[:5])
    texts, fault = broken(folder)
    assert texts == CAPTIONS[:209]
    assert "5 vectors, but there are 209 captions" in fault.fault
    (folder / "text_emb" / "text_emb_1.npy").unlink()
    with pytest.raises(BadSource, match="captions with the number 1, but no vectors"):
        source_of([folder])


def test_damaged_vectors_are_told(tmp_path: Path) -> None:
    """A file that is cut off, pickled objects, and numbers that are no vectors."""
    folder = clip_folder(tmp_path, files=1)
    path = folder / "text_emb" / "text_emb_0.npy"
    data = path.read_bytes()
    assert "truncated" in broken(written(path, data[: len(data) // 2]) and folder)[1].fault
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert broken(folder)[1].path == path
    np.save(path, np.arange(COUNT))
    assert "not rows of floats" in broken(folder)[1].fault


def test_a_folder_with_vectors_of_images_alone_is_told(tmp_path: Path) -> None:
    """They are no captions' vectors."""
    (tmp_path / "img_emb").mkdir()
    with pytest.raises(BadSource, match="vectors of images only"):
        source_of([tmp_path], format="clip-retrieval")
    (tmp_path / "metadata").mkdir()
    with pytest.raises(BadSource, match=r"neither text_emb nor text\.index"):
        source_of([tmp_path])


@pytest.mark.parametrize("kind", [b"IxFI", b"IxF2", b"IxFl"])
def test_flat_indexes_are_read_without_faiss(tmp_path: Path, kind: bytes) -> None:
    """By the folder, or by the index in it; metadata in the order of their numbers."""
    folder = faiss_database(tmp_path, flat(kind))
    for path in (folder, folder / "text.index"):
        texts, vectors = whole(path)
        assert texts == CAPTIONS
        np.testing.assert_array_equal(vectors, VECTORS)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (flat()[:20], "truncated within its header"),
        (flat()[:-1], "truncated: it should have 80,045 bytes"),
        (flat(vectors=VECTORS[:-1]), "2,499 vectors, but there are 2,500 captions"),
        (b"IxFI" + struct.pack("<iqqqBiQ", 8, 2500, 0, 0, 1, 0, 77), "header is invalid"),
        (b"IxFI" + struct.pack("<iqqqBiQ", -8, -2500, 0, 0, 1, 0, 20000), "header is invalid"),
        (b"", "faiss-cpu"),
    ],
)
def test_a_damaged_index_is_refused(tmp_path: Path, index: bytes, said: str) -> None:
    """Before the first row: its vectors would be others' vectors."""
    texts, fault = broken(faiss_database(tmp_path, index))
    assert texts == []
    assert said in fault.fault


class FakeFaiss:
    """What of faiss is used, over the vectors above."""

    IO_FLAG_MMAP, IO_FLAG_READ_ONLY = 1, 2

    def __init__(self, broken_at: int = COUNT) -> None:
        self.broken_at = broken_at
        self.mapped = False

    def read_index(self, path: str, flags: int) -> Any:
        assert (Path(path).name, flags) == ("text.index", 3)
        return SimpleNamespace(ntotal=COUNT, reconstruct_n=self._vectors)

    def try_extract_index_ivf(self, index: Any) -> Any:
        def mapped() -> None:
            self.mapped = True

        assert index.ntotal == COUNT
        return SimpleNamespace(make_direct_map=mapped)

    def _vectors(self, start: int, count: int) -> Any:
        if start + count > self.broken_at:
            raise RuntimeError("reconstruct not implemented")
        return VECTORS[start : start + count]


def test_other_indexes_are_read_by_faiss_where_it_is_installed(tmp_path: Path) -> None:
    """Inverted lists get the map without which they do not give vectors back."""
    source = source_of([faiss_database(tmp_path, b"IwFl rest")])
    fake = FakeFaiss()
    pieces = list(faiss_folder.read(source.files, None, lambda _: None, lambda: fake))
    np.testing.assert_array_equal(np.concatenate([rows.vectors for rows in pieces]), VECTORS)
    assert fake.mapped
    with pytest.raises(BadSource, match=r"row 912.*cannot return its vectors"):
        list(faiss_folder.read(source.files, None, lambda _: None, lambda: FakeFaiss(broken_at=1000)))


def test_other_indexes_name_the_package_that_reads_them(tmp_path: Path) -> None:
    """Where it is not installed."""
    source = source_of([faiss_database(tmp_path, b"IwFl rest")])

    def missing() -> Any:
        raise ImportError

    with pytest.raises(BadSource, match="install the package faiss-cpu"):
        list(faiss_folder.read(source.files, None, lambda _: None, missing))


def test_an_index_without_captions_is_told(tmp_path: Path) -> None:
    """And a folder with an index of images alone."""
    written(tmp_path / "a" / "text.index", flat())
    with pytest.raises(BadSource, match="captions are missing"):
        source_of([tmp_path / "a"])
    written(tmp_path / "b" / "image.index", flat())
    with pytest.raises(BadSource, match=r"there is no text.index in it \(there are vectors of images"):
        source_of([tmp_path / "b"], format="faiss")
