"""Times that options name."""

from __future__ import annotations

import time

import pytest
import typer

from workers.cli.ages import since_of


def test_a_date_a_time_and_an_age() -> None:
    assert since_of(None) is None
    assert since_of("2026-01-01T00:00:00Z") == 1767225600
    assert since_of("36h") == pytest.approx(time.time() - 36 * 3600, abs=5)


@pytest.mark.parametrize("given", ["999999w", "999999999d", "0001-01-01", "1e5", "2026-13-01", "", "-1h"])
def test_what_is_none_is_refused_and_not_a_crash(given: str) -> None:
    with pytest.raises(typer.BadParameter):
        since_of(given)
