"""The list of what the scan for secrets has found before holds in every checkout."""

from __future__ import annotations

import json
from pathlib import Path

from ops.secret_scan import BASELINE, ROOT


def test_the_baseline_names_files_and_not_where_a_checkout_was() -> None:
    known = json.loads(BASELINE.read_text())
    assert known["results"]
    for name, found in known["results"].items():
        assert (ROOT / name).is_file(), name
        assert {one["filename"] for one in found} == {name}
    for used in known["filters_used"]:
        assert not Path(str(used.get("filename", ""))).is_absolute()
