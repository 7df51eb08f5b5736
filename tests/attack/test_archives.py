"""Snapshots and archives that were made to do harm write nothing, not even beside the target."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path

import pytest

from tests.attack.snapshot_files import MEMBERS, written
from vectordb import zstd
from vectordb.archive import Archive, BadArchive
from vectordb.folder import FolderLibrary
from vectordb.library import BadSnapshot
from vectordb.unpacking import Limits, take_out, unpack

OLD = Path(__file__).parents[1] / "data" / "snapshots" / "embedded.tar.zst"


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", MEMBERS)
def test_a_snapshot_made_to_do_harm(tmp_path: Path, name: str) -> None:
    outside, home, file = tmp_path / "target" / "outside", tmp_path / "home", tmp_path / "saved.tar.zst"
    outside.parent.mkdir()
    outside.write_bytes(b"mine")
    written(name, file, outside)
    with pytest.raises(BadSnapshot):
        FolderLibrary(home).restore(file)
    assert outside.read_bytes() == b"mine"
    assert not home.exists()  # it was refused before anything was written
    assert sorted(path.name for path in tmp_path.iterdir()) == ["saved.tar.zst", "target"]


def test_a_good_snapshot_is_moved_in_as_a_whole(tmp_path: Path) -> None:
    manifest = FolderLibrary(tmp_path).restore(OLD)
    (place,) = (path for path in (tmp_path / manifest.space_id).iterdir() if not path.name.startswith("."))
    assert place.name == manifest.captions_version
    assert {path.suffix for path in (tmp_path / manifest.space_id).glob(".*")} <= {".lock"}


def test_an_archive_that_changes_between_check_and_unpacking(tmp_path: Path) -> None:
    """What is written was checked by itself, too."""
    file, outside = tmp_path / "a.tar.zst", tmp_path / "outside"
    outside.write_bytes(b"mine")
    for name in MEMBERS:
        if name.startswith("too m"):
            continue
        written(name, file, outside)
        folder = tmp_path / name
        folder.mkdir()
        with zstd.ZstdFile(file) as packed:
            archive = Archive(packed)
            with pytest.raises(BadArchive):
                unpack(archive, archive, folder, Limits(1 << 26, 1 << 26))
        assert outside.read_bytes() == b"mine"
        assert not any(path.is_symlink() for path in folder.rglob("*"))


def test_a_zip_archive_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    file, target = tmp_path / "a.zip", tmp_path / "captions.json"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed, packed.open("captions.json", "w") as out:
        for _ in range(64):
            out.write(bytes(1 << 20))
    with pytest.raises(BadArchive, match="too many for its size"):
        take_out(file, "captions.json", target)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_damage_of_a_zip_archive_is_a_bad_archive(tmp_path: Path) -> None:
    file, target, dice = tmp_path / "a.zip", tmp_path / "captions.json", random.Random(1)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("captions.json", dice.randbytes(3000).hex())
    whole = file.read_bytes()
    for _ in range(300):
        data = bytearray(whole)
        data[dice.randrange(len(data))] = dice.randrange(256)
        file.write_bytes(data[: dice.choice([len(data), dice.randrange(len(data))])])
        target.unlink(missing_ok=True)
        try:
            take_out(file, "captions.json", target)
        except BadArchive:
            assert not target.exists()
        else:
            assert target.exists()
