"""Patterns of keys, and the list of side files."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from workers.settings.settings import Settings
from workers.stores.key_patterns import SIDE_FILES, KeyPatterns
from workers.stores.object_filter import ObjectFilter
from workers.wiring.stores import folder_store, object_filter

SIDE = [
    "@eaDir/SYNOPHOTO_THUMB_M.jpg", "#recycle/cat.jpg", "#snapshot/2024/cat.jpg", "@Recycle/cat.jpg",
    "$RECYCLE.BIN/S-1-5/cat.jpg", "lost+found/#1234", ".Trash-1000/files/cat.jpg", ".Trashes/501/cat.jpg",
    "Thumbs.db", "desktop.ini", "cat.jpg:Zone.Identifier", "cat.xmp", "cat.jpg.xmp", "IMG_0001.AAE", "MVI_1.THM",
    ".DS_Store", "._cat.jpg", ".stfolder/cat.jpg", ".stversions/cat.jpg", ".sync/cat.jpg",
    ".syncthing.cat.jpg.tmp", "~$report.docx", "cat.jpg.part", "cat.jpg.crdownload", "cat.tmp", "cat.jpg~",
]  # fmt: skip
IMAGES = [
    "cat.jpg", "thumbs.db.jpg", "lost and found/cat.jpg", "recycle/cat.jpg", "part.jpg", "a.part.jpg", "eaDir/x.jpg",
    "@eaDirectory/x.jpg", "Zone.Identifier.jpg", "xmp", "#1.jpg", "$100.png", "~cat.jpg", "tmp/cat.jpg",
]  # fmt: skip


@pytest.mark.parametrize("folder", ["", "2024/", "a/b c/@x/"])
@pytest.mark.parametrize("key", SIDE)
def test_side_files_are_ignored_at_any_depth_in_folders_and_buckets(key: str, folder: str) -> None:
    assert KeyPatterns(SIDE_FILES).match(f"{folder}{key}")
    assert KeyPatterns(SIDE_FILES).match(f"{folder}{key}".upper())
    assert not ObjectFilter().key(f"{folder}{key}")


@pytest.mark.parametrize("key", IMAGES)
def test_what_is_only_named_alike_is_tagged(key: str) -> None:
    assert ObjectFilter().key(key)
    assert ObjectFilter().key(f"2024/{key}")


@pytest.mark.parametrize(
    ("patterns", "key", "matches"),
    [
        (["*.jpg"], "a/b/CAT.JPG", True), (["*.jpg"], "a.jpg/b.png", True), (["/a/*.jpg"], "a/b.jpg", True),
        (["/a/*.jpg"], "b/a/b.jpg", False), (["holidays/"], "2024/holidays/x.png", True),
        (["holidays/"], "2024/holidays", False), (["a/**/b.jpg"], "a/x/y/b.jpg", True),
        (["*.jpg", "!*.thumb.jpg"], "a/b.thumb.jpg", False), (["*.jpg", "!*.thumb.jpg"], "a/b.jpg", True),
        (["#odd"], "x/#odd", True), (["caf\u00e9/"], "cafe\u0301/x.jpg", True), (["IMG_[0-9]*"], "x/img_1.png", True),
        ([], "a.jpg", False), (["a/*.jpg"], "a/line\nbreak.jpg", True),
    ],
)  # fmt: skip
def test_patterns_are_those_of_gitignore(patterns: list[str], key: str, matches: bool) -> None:
    assert KeyPatterns(patterns).match(key) is matches


def test_settings_are_patterns_beside_the_former_prefixes_and_suffixes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WILDTAG_FOLLOW", "*.jpg, holidays/")
    monkeypatch.setenv("WILDTAG_FOLLOW_PREFIXES", "2024/")
    monkeypatch.setenv("WILDTAG_IGNORE", "private/,!*.tmp")
    monkeypatch.setenv("WILDTAG_IGNORE_SUFFIXES", ".draft.jpg")
    followed = object_filter(Settings())
    assert followed.key("2024/a.jpg")
    assert followed.key("2024/holidays/a.png")
    assert not followed.key("2023/a.jpg")
    assert not followed.key("2024/a.png")
    assert not followed.key("2024/x/private/a.jpg")
    assert not followed.key("2024/a.draft.jpg")
    assert not followed.key("2024/holidays/thumbs.db")
    assert followed.key("2024/holidays/a.tmp")
    assert followed.key("uploads/a.png")


def test_patterns_do_not_apply_to_uploads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """They are stored, listed and tagged. Side files beside them are not."""
    monkeypatch.setenv("WILDTAG_IGNORE", "*.png,/uploads/")
    monkeypatch.setenv("WILDTAG_INBOX", str(tmp_path))
    settings = Settings()
    store, followed = folder_store(settings), object_filter(settings)
    store.put("inbox", "uploads/a.png", io.BytesIO(b"x"))
    (tmp_path / "b.png").write_bytes(b"x")
    (tmp_path / "uploads" / "@eaDir").mkdir()
    (tmp_path / "uploads" / "@eaDir" / "a.png").write_bytes(b"x")
    assert [info.ref.key for info in store.list("inbox")] == ["uploads/a.png"]
    assert followed.key("uploads/a.png")
    assert not followed.key("uploads/@eaDir/a.png")
    assert not followed.key("b.png")


def test_a_pattern_that_cannot_be_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WILDTAG_IGNORE", "a/**b,!")
    with pytest.raises(Exception, match="WILDTAG_IGNORE has a pattern that cannot be read"):
        object_filter(Settings())
