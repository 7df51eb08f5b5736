"""A snapshot of any home and age is taken in by every home, whole or not at all."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.contract.homes import DIMENSION, HOMES, Homes, lent, vectors
from tests.contract.vectordb.snapshot_samples import (
    BOTH,
    CAPTIONS,
    LAST_BIT,
    MANIFEST,
    TAUGHT,
    built,
    equal,
    held,
    tar,
)
from vectordb import zstd
from vectordb.captions import CANDIDATES, SOURCE, Caption
from vectordb.library import BadSnapshot, ChangeableLibrary, VersionExists
from vectordb.snapshot import reading, write
from vectordb.snapshot_parts import captions_of

OLD = Path(__file__).parents[2] / "data" / "snapshots"  # written before the format had a number


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[Homes]:
    with lent(tmp_path) as homes:
        yield homes


@pytest.mark.parametrize(("source", "target"), BOTH)
def test_a_snapshot_brings_all_there_is_from_any_home_to_any(
    homes: Homes, source: str, target: str, tmp_path: Path
) -> None:
    here, there, file = homes(source, "here"), homes(target, "there"), tmp_path / "whatever.zip"
    built(here)
    here.snapshot("mini", "soups@v1", file)
    assert file.read_bytes()[:4] == zstd.MAGIC
    counts: list[int] = []
    assert there.restore(file, counts.append) == MANIFEST == here.find("mini", "soups@v1")
    assert counts[-1] == len(CAPTIONS) + 1
    before, after = held(here), held(there)
    assert before[0] == after[0] == sorted([*CAPTIONS, TAUGHT], key=lambda caption: caption.id)
    with reading(file, tmp_path) as saved:
        np.testing.assert_array_equal(before[1], np.concatenate([rows for _, rows in saved.pages()]))
    equal(before[1], after[1], target)
    index = there.open("mini", "soups@v1")
    assert [caption for page, _ in index.pages("me") for caption in page] == [TAUGHT]
    assert index.search(vectors([TAUGHT]), 1)[0].captions == (TAUGHT,)
    index.close()
    with pytest.raises(VersionExists):
        there.restore(file)


@pytest.mark.parametrize("target", HOMES)
@pytest.mark.parametrize("kind", ["embedded", "server"])
@pytest.mark.parametrize("packed", [True, False])
def test_snapshots_of_earlier_versions_are_taken_in_by_every_home(
    homes: Homes, target: str, kind: str, packed: bool, tmp_path: Path
) -> None:
    """As they were written, and with the packing that the other kind had."""
    there, file = homes(target, "there"), tmp_path / "old"
    content = (OLD / f"{kind}.tar.zst").read_bytes()
    if packed != (content[:4] == zstd.MAGIC):
        content = zstd.compress(content) if packed else unpacked(content)
    file.write_bytes(content)
    manifest = there.restore(file)
    assert manifest == there.find("mini", "old@v1")
    assert (manifest.count, manifest.template, manifest.profile) == (20, "a photo of {}", "phrases")
    captions, rows = held(there, "old@v1")
    assert len(captions) == 21
    assert [caption.text for caption in captions if SOURCE in caption.payload] == ["a photo of a Moka pot"]
    assert sum(CANDIDATES in caption.payload for caption in captions) == 20
    np.testing.assert_allclose(rows, vectors(captions), rtol=0, atol=LAST_BIT)
    hidden = {path.name for path in (tmp_path / target).rglob(".*")}
    assert {name for name in hidden if not name.endswith((".lock", ".owner"))} == set()


def unpacked(content: bytes) -> bytes:
    return zstd.ZstdFile(io.BytesIO(content)).read()


def refused(library: ChangeableLibrary, file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(BadSnapshot):
        library.restore(file)
    assert library.manifests() == []
    assert library.unfinished() == []


@pytest.mark.parametrize("target", HOMES)
def test_a_damaged_snapshot_is_refused_wherever_it_is_damaged(homes: Homes, target: str, tmp_path: Path) -> None:
    here, there, file = homes("folder", "here"), homes(target, "there"), tmp_path / "saved.tar.zst"
    built(here, CAPTIONS[:40])
    here.snapshot("mini", "soups@v1", file)
    whole = file.read_bytes()
    for at in {*range(0, len(whole), 29), *range(20), *range(len(whole) - 60, len(whole))}:
        refused(there, file, whole[:at])
        refused(there, file, whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
        refused(there, file, whole[:at] + b"\0" + whole[at:])
    for wrong in (whole + b"\0", whole + whole, b"", bytes(20_000), zstd.compress(b""), zstd.compress(b"tar")):
        refused(there, file, wrong)
    assert left(tmp_path / target / "there") == set()
    file.write_bytes(whole)
    there.restore(file)


def left(folder: Path) -> set[str]:
    """What stands in a home without versions, but for locks, empty folders and who it is."""
    return {path.name for path in folder.rglob("*") if path.is_file() and not path.name.endswith((".lock", ".owner"))}


@pytest.mark.long
@pytest.mark.parametrize("target", HOMES)
def test_an_unpacked_snapshot_is_taken_in_where_its_content_is_right(
    homes: Homes, target: str, tmp_path: Path
) -> None:
    """zstd -d leaves the checksum of the content; what is damaged is refused, or was only filling."""
    here, there, file = homes("folder", "here"), homes(target, "there"), tmp_path / "saved.tar"
    built(here, CAPTIONS[:40])
    here.snapshot("mini", "soups@v1", file)
    whole = unpacked(file.read_bytes())
    refused(there, file, zstd.compress(whole))  # packed anew; it may as well have been cut off
    dice = random.Random(4)
    for at in dice.sample(range(len(whole)), 25):
        refused_or_the_same(there, file, whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :], here)
        refused_or_the_same(there, file, whole[:at], here)
    assert left(tmp_path / target / "there") == set()
    file.write_bytes(whole)
    there.restore(file)


def refused_or_the_same(library: ChangeableLibrary, file: Path, content: bytes, here: ChangeableLibrary) -> None:
    file.write_bytes(content)
    try:
        library.restore(file)
    except BadSnapshot:
        assert library.manifests() == []
        return
    assert library.manifests() == here.manifests()
    assert held(library)[0] == held(here)[0]
    np.testing.assert_allclose(held(library)[1], held(here)[1], rtol=0, atol=LAST_BIT)
    library.drop("mini", "soups@v1")


@pytest.mark.long
@pytest.mark.parametrize("target", HOMES)
@pytest.mark.parametrize("kind", ["embedded", "server"])
def test_a_damaged_snapshot_of_an_earlier_version_is_refused(
    homes: Homes, target: str, kind: str, tmp_path: Path
) -> None:
    """These have no checksum: cut off they are refused wherever it is, and damage never brings a wrong caption."""
    there, file = homes(target, "there"), tmp_path / "old"
    whole = (OLD / f"{kind}.tar.zst").read_bytes()
    dice = random.Random(5)
    # behind the end mark of a plain tar there is only filling
    end = len(whole) if whole[:4] == zstd.MAGIC else len(whole.rstrip(b"\0"))
    for at in dice.sample(range(end), 10):
        refused(there, file, whole[:at])
    for at in dice.sample(range(end), 10):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
        try:
            manifest = there.restore(file)
        except BadSnapshot:
            assert there.manifests() == []
            continue
        captions, _ = held(there, manifest.captions_version)
        assert captions == [replace(Caption.of(caption.text), payload=caption.payload) for caption in captions]
        there.drop(manifest.space_id, manifest.captions_version)
    assert left(tmp_path / target / "there") == set()


def test_what_says_that_it_comes_from_the_future_is_told(homes: Homes, tmp_path: Path) -> None:
    file = tmp_path / "saved.tar"
    file.write_bytes(tar(("snapshot.json", b'{"format": 3, "manifest": {}}')))
    with pytest.raises(BadSnapshot, match="newer version of wildtag"):
        homes("folder", "there").restore(file)


@pytest.mark.parametrize("target", HOMES)
@pytest.mark.parametrize("created", ["yesterday", "2025-06-01T12:00:00", ""])
def test_a_manifest_whose_time_cannot_be_compared_is_refused(
    homes: Homes, target: str, created: str, tmp_path: Path
) -> None:
    """Every command that lists versions sorts them by it."""
    file = tmp_path / "soups.snapshot"
    built(homes("folder", "here"))
    index = homes("folder", "here").open("mini", "soups@v1")
    write(file, replace(MANIFEST, created=created), index)
    index.close()
    with pytest.raises(BadSnapshot, match="not a time with a time zone"):
        homes(target, "there").restore(file)
    assert homes(target, "there").manifests() == []


@pytest.mark.parametrize("target", HOMES)
@pytest.mark.parametrize(("there", "promised"), [(0, 2), (2, 3), (3, 2)])
def test_a_snapshot_with_other_captions_than_its_manifest_counts_is_refused(
    homes: Homes, target: str, there: int, promised: int, tmp_path: Path
) -> None:
    file = tmp_path / "soups.snapshot"
    with homes("folder", "here").building("mini", "soups@v1", DIMENSION) as building:
        captions = [*CAPTIONS[:there], TAUGHT]  # what is taught later is not counted
        building.index.add(captions, vectors(captions))
        write(file, replace(MANIFEST, count=promised), building.index)
    with pytest.raises(BadSnapshot, match=f"holds {there} imported captions, but its manifest says {promised}"):
        homes(target, "there").restore(file)
    assert homes(target, "there").manifests() == []


def test_a_page_of_countless_values_is_refused_before_it_is_read() -> None:
    with pytest.raises(BadSnapshot, match="more values"):
        captions_of(b"[" + b"[]," * 5_000_000 + b"[]]", -1)


@pytest.mark.parametrize("target", HOMES)
def test_a_refused_snapshot_leaves_an_unfinished_import_of_its_name_alone(
    homes: Homes, target: str, tmp_path: Path
) -> None:
    library, file = homes(target, "there"), tmp_path / "soups.snapshot"
    written = OLD / "server.tar.zst"  # a plain tar without checksums, whose end is cut off below
    file.write_bytes(written.read_bytes()[:4096])
    with reading(written, tmp_path) as saved:
        manifest = saved.manifest
    with library.building(manifest.space_id, manifest.captions_version, manifest.dimension) as building:
        building.index.add(CAPTIONS[:5], vectors(CAPTIONS[:5]))  # and never finished
    with pytest.raises(BadSnapshot):
        library.restore(file)
    assert library.unfinished() == [(manifest.space_id, manifest.captions_version)]
