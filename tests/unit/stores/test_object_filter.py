"""Which keys and content types are followed."""

from __future__ import annotations

import pytest

from workers.settings.settings import Settings
from workers.stores.key_patterns import SIDE_FILES, KeyPatterns
from workers.stores.object_filter import ObjectFilter, unknown_type


def test_everything_is_followed_but_what_wildtag_writes() -> None:
    object_filter = ObjectFilter()
    assert object_filter.key("a/b.jpg")
    assert not object_filter.key(".wildtag/overlays/a.png")
    assert object_filter.content("application/pdf")


@pytest.mark.parametrize(
    ("key", "followed"),
    [
        ("photos/cat.jpg", True), ("photos/CAT.JPG", True), ("photos/cat.gif", False), ("other/cat.jpg", False),
        ("photos/private/cat.jpg", False), ("photos/cat.thumb.jpg", False), ("photo", False),
        (".wildtag/photos/cat.jpg", False),
    ],
)  # fmt: skip
def test_what_is_ignored_wins(key: str, followed: bool) -> None:
    object_filter = ObjectFilter(
        prefixes=["photos/"], suffixes=[".jpg", ".PNG"],
        ignored_prefixes=["photos/private/"], ignored_suffixes=[".Thumb.jpg"],
    )  # fmt: skip
    assert object_filter.key(key) is followed


@pytest.mark.parametrize(
    ("content_type", "followed"),
    [
        ("image/png", True), ("IMAGE/JPEG; charset=binary", True), ("application/pdf", True), ("video/mp4", False),
        (None, True), ("imagery/png", False),
    ],
)  # fmt: skip
def test_content_types_may_be_families(content_type: str | None, followed: bool) -> None:
    assert ObjectFilter(content_types=["image/*", "application/pdf"]).content(content_type) is followed


@pytest.mark.parametrize(
    ("content_type", "followed"),
    [("image/png", True), ("image/SVG+xml; charset=utf-8", False), ("image/x-raw", False), ("video/mp4", False),
     (None, True)],
)  # fmt: skip
def test_content_types_that_are_ignored_win(content_type: str | None, followed: bool) -> None:
    object_filter = ObjectFilter(content_types=["image/*"], ignored_types=["image/svg+xml", "image/x-raw"])
    assert object_filter.content(content_type) is followed
    assert ObjectFilter(ignored_types=["video/*", "image/svg+xml", "image/x-raw"]).content(content_type) is followed


@pytest.mark.parametrize(
    "content_type",
    [None, "", " ", "application/octet-stream", "binary/octet-stream", "Binary/Octet-Stream; charset=x"],
)
def test_an_unspecified_content_type_is_none(content_type: str | None) -> None:
    assert unknown_type(content_type)
    assert ObjectFilter(content_types=["image/*"]).content(content_type)
    assert ObjectFilter(ignored_types=["application/*", "binary/*", "video/mp4"]).content(content_type)


def test_it_can_be_chosen_by_name() -> None:
    ignoring = ObjectFilter(ignored_types=["application/octet-stream"])
    assert not ignoring.content("application/octet-stream")
    assert ignoring.content("binary/octet-stream")
    following = ObjectFilter(content_types=["application/octet-stream"])
    assert following.found_content("application/octet-stream", "image/png")


def test_then_the_content_decides() -> None:
    jpegs = ObjectFilter(content_types=["image/jpeg"])
    assert jpegs.found_content(None, "image/jpeg")
    assert not jpegs.found_content("application/octet-stream", "image/png")
    assert jpegs.found_content("image/jpeg", "image/png")  # a type that tells something is believed


def test_settings_hold_words_and_hand_them_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WILDTAG_FOLLOW_SUFFIXES", ".jpg, .png,")
    settings = Settings()
    assert settings.follow_suffixes == (".jpg", ".png")
    assert settings.environment()["WILDTAG_FOLLOW_SUFFIXES"] == ".jpg,.png"
    assert "WILDTAG_IGNORE_PREFIXES" in settings.environment()
    monkeypatch.setenv("WILDTAG_IGNORE_PREFIXES", settings.environment()["WILDTAG_IGNORE_PREFIXES"])
    assert Settings().ignore_prefixes == ()


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        (".wildtag/a.png", "WILDTAG_OUTPUT_PREFIX is .wildtag/"),
        ("in/no/a.png", "WILDTAG_IGNORE_PREFIXES has in/no/"),
        ("in/a.Thumb.png", "WILDTAG_IGNORE_SUFFIXES has .thumb.png"), ("in/b.tmp", "*.tmp is in the list of side"),
        ("uploads/b.TMP", "*.tmp is in the list of side"), ("in/raw/b.png", "WILDTAG_IGNORE has raw/"),
        ("out/a.png", "none of WILDTAG_FOLLOW_PREFIXES"), ("in/a.gif", "none of WILDTAG_FOLLOW_SUFFIXES"),
        ("in/2023/a.png", "no pattern of WILDTAG_FOLLOW"), ("in/2024/a.png", None), ("in/2024/a.part", None),
        ("uploads/raw/b.gif", None),
    ],
)  # fmt: skip
def test_the_rule_that_ignores_a_key_is_named(key: str, rule: str | None) -> None:
    object_filter = ObjectFilter(
        prefixes=["in/"], suffixes=[".png", ".part"], ignored_prefixes=["in/no/"], ignored_suffixes=[".thumb.png"],
        uploads="uploads/", patterns=KeyPatterns(["2024/"]),
        ignored_patterns=KeyPatterns([*SIDE_FILES, "raw/", "!*.part"]),
    )  # fmt: skip
    found = object_filter.ignored_by(key)
    assert object_filter.key(key) is (found is None)
    assert found is None if rule is None else rule in str(found)
