"""What one more image costs is measured with two numbers of records, and of captions."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.bench import growth


@pytest.mark.usefixtures("redis_url")  # skips where there is no Redis
def test_more_images_are_written_to_both_servers_in_turns() -> None:
    found = growth.records(large=200, images=16, rounds=1)
    assert set(found["sizes"]) == {"20", "200"}
    assert all(one["least"] > 0 for one in found["ratio"].values())


@pytest.mark.long
def test_an_index_of_captions_is_built_once(tmp_path: Path) -> None:
    found = growth.captions(tmp_path, large=200, images=16, rounds=1)
    done = (tmp_path / "growth-200.done").stat().st_mtime_ns
    assert growth.captions(tmp_path, large=200, images=16, rounds=1)["sizes"].keys() == found["sizes"].keys()
    assert (tmp_path / "growth-200.done").stat().st_mtime_ns == done
