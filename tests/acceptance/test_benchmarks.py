"""The benchmark of kept vectors as a person runs it, in its short mode: every part, one of them in a real stack."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.acceptance.images import drop, photograph
from tests.warm import wildtag

pytestmark = pytest.mark.timeout(600)

# the first label of each is one that no encoder knows, so there is something to teach
LABELS = {"chelsea.png": "Chelsea|cat", "coffee.png": "Tuesday|coffee|cup", "rocket.jpg": "Ludmilla|rocket"}


@pytest.mark.long
def test_every_part_of_the_table_is_measured(prepared: Path, tmp_path: Path) -> None:
    for name in LABELS:
        drop(tmp_path / "photographs", name, photograph(name))
    table = tmp_path / "set.tsv"
    rows = [f"{name}\t{labels}" for name, labels in LABELS.items()]
    table.write_text("\n".join(["path\tlabels", *rows]) + "\n", encoding="utf-8")
    done = wildtag(
        "search", "--short", "--json", "--folder", str(tmp_path / "bench"), "--photographs", str(table),
        "--photographs-root", str(tmp_path / "photographs"), env={**os.environ, "WILDTAG_HOME": str(prepared)},
        timeout=400, module="ops.bench",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    body = json.loads(done.stdout)
    assert list(body["missing"]) == ["cut-outs"]
    found = {row["name"]: row["value"] for row in body["measures"]}
    assert all(value is not None for value in found.values()), found
    assert found["images that follow, share of those concerned"] == 1.0
    assert body["figures"]["examples"]["lessons"] == 2
    assert body["figures"]["archive"]["others"] == 0
