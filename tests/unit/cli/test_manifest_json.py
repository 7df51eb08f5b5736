"""The time of a manifest is printed as all other times are."""

from __future__ import annotations

from vectordb.library import Manifest
from workers.cli.captions.manifest_json import manifest_json


def test_the_time_is_in_utc_with_milliseconds() -> None:
    made = Manifest("few", "v1", "mini", 384, 50, None, "2025-06-01T14:00:00.123456+02:00")
    row = manifest_json(made)
    assert row["created"] == "2025-06-01T12:00:00.123Z"
    assert (row["name"], row["count"]) == ("few", 50)
