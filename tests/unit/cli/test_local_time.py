"""Times in tables: one form, whether they are stored as a number or come as text."""

from __future__ import annotations

import pytest

from workers.cli.local_time import local_time
from workers.lifecycle.times import BadTime, rfc3339


def test_a_number_and_a_text_are_shown_alike() -> None:
    assert local_time(1769847330.25) == local_time(rfc3339(1769847330.25))
    assert local_time(1769847330.25)[10] == " "


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(BadTime):
        local_time("yesterday")
