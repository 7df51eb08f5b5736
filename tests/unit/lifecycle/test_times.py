"""Times as clients see them, and what they give."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.lifecycle.times import BadTime, milliseconds, public, rfc3339, unix_seconds


@given(st.floats(0, 8e9))
def test_a_time_is_read_as_the_millisecond_that_was_written(at: float) -> None:
    text = rfc3339(at)
    assert len(text) == len("2026-01-31T08:15:30.250Z")
    assert milliseconds(unix_seconds(text)) == milliseconds(at)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1970-01-01T00:00:01.500Z", 1.5), ("1970-01-01T01:00:00+01:00", 0.0), ("1970-01-01T01:00:00 01:00", 0.0),
        ("1970-01-01t00:00:01z", 1.0), ("12.25", 12.25), ("0", 0.0),
    ],
)  # fmt: skip
def test_times_of_clients_are_read(text: str, at: float) -> None:
    assert unix_seconds(text) == at


@pytest.mark.parametrize(
    "text", ["", "now", "nan", "inf", "-1", "1e12", "2026-01-31", "2026-01-31T08:15:30", "1969-12-31T23:59:59Z"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadTime, match="RFC 3339"):
        unix_seconds(text)


def test_fields_of_times_are_converted_wherever_they_are() -> None:
    body = {
        "since": 1.0,
        "rows": [{"at": 2.5, "count": 3}],
        "when": datetime(1970, 1, 1, tzinfo=UTC),
        "died_at": None,
    }
    assert public(body) == {
        "since": "1970-01-01T00:00:01.000Z", "rows": [{"at": "1970-01-01T00:00:02.500Z", "count": 3}],
        "when": "1970-01-01T00:00:00.000Z", "died_at": None,
    }  # fmt: skip
