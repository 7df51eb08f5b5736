"""Filters of a search: times are compared as times, tags by their forms."""

from __future__ import annotations

import pytest

from tasks.message_parts import Media, Tag
from workers.images.search_filter import BadTime, SearchFilter, moment
from workers.lifecycle.record import Record
from workers.lifecycle.tag_entries import tag_entries


def record(*labels: str, taken_at: str | None = None) -> Record:
    return Record(
        bucket="b", key="2024/a.jpg", etag="e", state="done", tags=tuple(Tag(one, 0.5, 0.5, 0.5) for one in labels),
        space_id="s", captions_version="c@1",
        media=Media(format="JPEG", width=1, height=1, bytes=1, taken_at=taken_at),
    )  # fmt: skip


def holds(where: SearchFilter, one: Record) -> bool:
    return where.holds(one, tag_entries(one))


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-05-31", "2024-05-31T00:00:00+00:00"), ("2024-05-31T18:00:00Z", "2024-05-31T18:00:00+00:00"),
        ("2024-05-31T18:00:00+02:00", "2024-05-31T16:00:00+00:00"),
        ("2024-05-31t18:00:00z", "2024-05-31T18:00:00+00:00"),
        ("2024-05-31 18:00", "2024-05-31T18:00:00+00:00"),
    ],
)  # fmt: skip
def test_dates_and_times_are_moments(text: str, time: str) -> None:
    assert moment(text).isoformat() == time


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2024-02-30", "20240531", "2024-05-31T25:00:00Z", "1717200000", "٢٠٢٤-٠٥-٣١"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadTime):
        moment(text)


def test_a_date_before_includes_the_whole_day() -> None:
    evening = record(taken_at="2024-05-31T23:59:59")
    assert holds(SearchFilter.of(before="2024-05-31"), evening)
    assert holds(SearchFilter.of(after="2024-05-31"), evening)
    assert not holds(SearchFilter.of(after="2024-06-01"), evening)
    assert not holds(SearchFilter.of(before="2024-05-30"), evening)
    assert not holds(SearchFilter.of(after="2024-05-31"), record())


def test_tags_are_compared_in_any_spelling_and_implied_ones_count() -> None:
    cat = record("Egyptian cats")
    assert holds(SearchFilter.of(["CAT"]), cat)
    assert holds(SearchFilter.of(["egyptian-cat", "cats"]), cat)
    assert not holds(SearchFilter.of(["cat", "dog"]), cat)
    assert not holds(SearchFilter.of(not_tags=["Cats"]), cat)


def test_place_is_bucket_and_prefix() -> None:
    assert SearchFilter.of(bucket="b", prefix="2024/").has_place("b", "2024/a.jpg")
    assert not SearchFilter.of(bucket="c").has_place("b", "2024/a.jpg")
    assert not SearchFilter.of(prefix="2025").has_place("b", "2024/a.jpg")


def test_a_filter_is_empty_however_it_was_made() -> None:
    assert SearchFilter.of().empty
    assert not SearchFilter.of(prefix="a").empty
