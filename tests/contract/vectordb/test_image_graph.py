"""Graphs of images are built by another process while the index is searched and changed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import qdrant_edge as edge

from ops.bench.image_vectors import MadeImages
from tests.contract.vectordb.image_graph_samples import (
    DIMENSION,
    LEAST,
    OPTIONS,
    building,
    built,
    change,
    created,
    entries,
    everything,
    in_graphs,
    rows,
)
from vectordb import image_edge, image_graph
from vectordb.image_edge import EdgeImages
from vectordb.image_folder import FolderImages
from vectordb.image_growth import GrowingImages
from vectordb.images import ImageEntry, ImageFilter, ImageLabels
from vectordb.index import IndexLocked


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GrowingImages]:
    monkeypatch.setattr(image_graph, "NICE", 0)
    index = created(tmp_path / "images")
    yield index
    index.close()


def test_a_build_gives_all_images_a_graph_and_changes_no_image(index: GrowingImages) -> None:
    before = everything(index)
    index.maintain(LEAST)
    assert building(index) is not None
    built(index)
    assert in_graphs(index) == 300
    assert everything(index) == before
    (found,) = index.search(rows(300)[17:18], 5)
    expected = np.argsort(-(rows(300) @ rows(300)[17]))[:5]
    assert [entry.key for entry in found.entries] == [f"{n:05}.jpg" for n in expected]


def test_few_images_without_a_graph_start_no_build(index: GrowingImages) -> None:
    index.maintain(300)
    assert building(index) is None


def test_the_folder_library_opens_an_index_that_grows(tmp_path: Path) -> None:
    index = FolderImages(tmp_path).open("space", DIMENSION)
    index.put(entries(300), rows(300))
    index.maintain(LEAST)
    built(index)
    assert in_graphs(index) == 300
    index.close()


@pytest.mark.parametrize("again", [False, True], ids=["first build", "second build"])
def test_changes_during_a_build_are_there_afterwards(index: GrowingImages, again: bool) -> None:
    if again:
        index.maintain(LEAST)
        built(index)
        index.put(entries(200, 5000), rows(200, 5000))
    index.maintain(LEAST)
    assert building(index) is not None
    change(index)
    before = everything(index)
    built(index)
    assert everything(index) == before
    assert index.count(ImageFilter(tags=("cat",))) == 2
    assert {entry.key for entry in index.search_words({"cat": 1.0}, 5).entries} == {"00007.jpg", "00310.jpg"}
    (found,) = index.search(rows(1, 900), 1)
    assert (found.entries[0].key, found.entries[0].etag) == ("00005.jpg", "new")
    (found,) = index.search(rows(300)[10:11], 400)
    names = [entry.key for entry in found.entries]
    assert "00010.jpg" not in names
    assert len(names) == len(set(names))


def test_equal_labels_are_no_change(index: GrowingImages) -> None:
    labels = [ImageLabels("photos", f"{n:05}.jpg", f"e{n}", ("cat",), {"cat": 0.3, "pet": 0.1}) for n in range(3)]
    index.label(labels)
    index.maintain(LEAST)
    built(index)
    assert index.without_graph() == 0
    index.label(labels)
    assert index.without_graph() == 0
    index.label([*labels[:2], replace(labels[2], words={"cat": 0.3})])
    assert index.without_graph() == 1


def test_changes_survive_the_next_opening(index: GrowingImages, tmp_path: Path) -> None:
    index.maintain(LEAST)
    change(index)
    before = everything(index)
    built(index)
    index.close()
    assert sorted(file.name for file in (tmp_path / "images").iterdir()) == ["index.json", "owner.lock", "shard"]
    opened = GrowingImages.open(tmp_path / "images")
    assert everything(opened) == before
    opened.close()


def test_an_opening_that_is_refused_disturbs_no_build(tmp_path: Path, index: GrowingImages) -> None:
    index.maintain(LEAST)
    with pytest.raises(IndexLocked):
        GrowingImages.open(tmp_path / "images")
    built(index)
    assert in_graphs(index) == 300


def test_closing_ends_a_build(tmp_path: Path, index: GrowingImages) -> None:
    index.maintain(LEAST)
    process = building(index)
    assert process is not None
    index.close()
    index.close()
    assert process.returncode is not None
    assert not list((tmp_path / "images").glob("building-*"))


@pytest.mark.parametrize(("tag", "share"), [("half", 0.5), ("some", 0.1), ("few", 0.01)])
def test_filters_find_what_an_exact_search_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tag: str, share: float
) -> None:
    """In an index with a graph, few images that pass are scanned, and the others are found by the graph."""
    monkeypatch.setattr(image_edge, "SCANNED", 100)
    made = MadeImages(4000, dimension=64)
    index = EdgeImages.create(tmp_path / "images", made.dimension)
    has_tag = (np.random.default_rng(1).random(made.count) < share).tolist()
    vectors = np.vstack([rows for _, rows in made.pieces()])
    keys = [f"{n:04}.jpg" for n in range(made.count)]
    index.put([ImageEntry("b", key, "e", tags=(tag,) * has) for key, has in zip(keys, has_tag, strict=True)], vectors)
    index.optimize()
    hits = 0
    for query in made.queries(50):
        (found,) = index.search(query[None], 10, ImageFilter(tags=(tag,)))
        true = np.argsort(-np.where(has_tag, vectors @ query, -2))[:10]
        assert all(entry.tags == (tag,) for entry in found.entries)
        hits += len({keys[n] for n in true} & {entry.key for entry in found.entries})
    index.close()
    assert hits / 500 >= 0.98


@pytest.mark.parametrize("limit", [1, 10])
def test_images_without_a_graph_are_found_as_an_exact_search_finds_them(tmp_path: Path, limit: int) -> None:
    """Their codes are compared first; then the best are compared by their vectors."""
    made = MadeImages(4000, dimension=64)
    index = EdgeImages.create(tmp_path / "images", made.dimension)
    vectors = np.vstack([rows for _, rows in made.pieces()])
    keys = [f"{n:04}.jpg" for n in range(made.count)]
    index.put([ImageEntry("b", key, "e") for key in keys], vectors)
    hits = 0
    for query in made.queries(50):
        (found,) = index.search(query[None], limit)
        true = np.argsort(-(vectors @ query))[:limit]
        hits += len({keys[n] for n in true} & {entry.key for entry in found.entries})
        expected = [float(vectors[keys.index(entry.key)] @ query) for entry in found.entries]
        assert list(found.scores) == pytest.approx(expected, abs=1e-5)
    index.close()
    assert hits / (50 * limit) >= 0.98


def test_an_index_with_older_codes_is_searched_and_gets_new_ones(tmp_path: Path) -> None:
    index = created(tmp_path / "images")
    index.close()
    with_int8_codes(tmp_path / "images/shard")
    opened = GrowingImages.open(tmp_path / "images", OPTIONS)
    assert codes(opened) == {"scalar"}
    opened.put(entries(200, 300), rows(200, 300))
    before = everything(opened)
    (found,) = opened.search(rows(300)[17:18], 5)
    assert found.entries[0].key == "00017.jpg"
    opened.maintain(LEAST)
    built(opened)
    assert codes(opened) == {"turbo"}
    assert everything(opened) == before
    opened.close()


def codes(index: GrowingImages) -> set[str]:
    """The kinds of codes of the images with a graph."""
    files = (index._path / "shard").glob("segments/*/segment.json")
    configs = [json.loads(file.read_text())["config"]["vector_data"]["image"] for file in files]
    return {kind for one in configs if one["index"]["type"] == "hnsw" for kind in one["quantization_config"]}


def with_int8_codes(shard: Path) -> None:
    """Build the graphs of a closed shard with the codes that were used before."""
    int8 = edge.ScalarQuantizationConfig(edge.ScalarType.Int8, memory=edge.Memory.Pinned)
    vectors = edge.EdgeVectorParams(
        size=DIMENSION, distance=edge.Distance.Cosine, memory=edge.Memory.Cold, quantization_config=int8
    )
    few = edge.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1)
    opened = edge.EdgeShard.load(str(shard), edge.EdgeConfig(vectors={"image": vectors}, optimizers=few))
    opened.optimize()
    opened.close()


def test_no_linked_file_changes(tmp_path: Path, index: GrowingImages) -> None:
    """A copy shares its large files with the index: neither may write to them."""
    index.maintain(LEAST)
    built(index)
    shard = tmp_path / "images/shard"
    before = {file: digest(file) for file in image_graph._linked(shard)}
    assert {file.name for file in before} == set(image_graph.LINKED)
    index.put(entries(200, 600), rows(200, 600))
    with index._shard.used() as opened:
        opened.flush()
        image_graph.copy(shard, tmp_path / "copy/shard")
    copied = {tmp_path / "copy/shard" / file.relative_to(shard): content for file, content in before.items()}
    assert [file.stat().st_ino for file in copied] == [file.stat().st_ino for file in before]
    change(index)
    index.remove([entry.id for entry in entries(150, 100)])
    index.optimize()
    shutil.copy(tmp_path / "images/index.json", tmp_path / "copy")
    other = EdgeImages.open(tmp_path / "copy")
    other.remove([entry.id for entry in entries(150)])
    other.put(entries(50, 200), rows(50, 1000))
    other.optimize()
    other.close()
    there = before | copied
    assert {file: digest(file) for file in there if file.exists()} == {k: v for k, v in there.items() if k.exists()}


def digest(file: Path) -> str:
    return hashlib.blake2b(file.read_bytes()).hexdigest()
