"""``wildtag calibrate`` as a person runs it: it fits a model that tagging finds, or says what is missing."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tasks.confidence import load
from tasks.encoders import space_of
from tests.acceptance.images import drop, photograph
from tests.warm import wildtag

pytestmark = pytest.mark.timeout(300)

LABELS = {
    "chelsea.png": "cat", "coffee.png": "coffee|cup", "rocket.jpg": "rocket", "motorcycle_left.png": "motorcycle",
    "horse.png": "horse",
}  # fmt: skip
CORNERS = ((0.0, 0.0), (0.2, 0.0), (0.0, 0.2), (0.2, 0.2))
ENOUGH, TOO_FEW = 20, 3


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of parts of photographs, with its folder."""
    rows = ["path\tlabels"]
    for name, labels in LABELS.items():
        image = Image.open(io.BytesIO(photograph(name))).convert("RGB")
        width, height = image.size
        for number, (x, y) in enumerate(CORNERS):
            part = image.crop((int(x * width), int(y * height), int((x + 0.8) * width), int((y + 0.8) * height)))
            part.thumbnail((300, 300))
            part.save(out := io.BytesIO(), "PNG")
            drop(tmp_path / "parts", f"{number}-{name}.png", out.getvalue())
            rows.append(f"{number}-{name}.png\t{labels}")
    (tmp_path / "set.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path / "set.tsv"


@pytest.mark.long
def test_a_model_is_fitted_and_used_from_then_on(prepared: Path, table: Path, tmp_path: Path) -> None:
    home, space_id = tmp_path / "home", space_of("bundled").id
    shutil.copytree(prepared, home)
    env = {**os.environ, "WILDTAG_HOME": str(home)}
    source = (str(table), "--root", str(table.parent / "parts"))
    file = home / "calibration" / f"{space_id}.json"

    few = wildtag("calibrate", *source, "--limit", str(TOO_FEW), env=env)
    assert few.returncode == 2
    assert "wildtag:" in few.stderr
    assert not file.exists()

    done = wildtag("calibrate", *source, "--threshold", "1", "--json", env=env)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["images"] == ENOUGH
    assert 0 < found["right"] < found["tags"]
    model = load(file, space_id)
    assert model.threshold == 1
    assert model.origin["images"] == ENOUGH
    levels = found["sets"][str(table)]
    assert [level["tags_shown"] for level in levels] == sorted((one["tags_shown"] for one in levels), reverse=True)
    assert [level["with_right"] for level in levels] == sorted((one["with_right"] for one in levels), reverse=True)

    # no tag is that sure, and the record says which one came nearest
    tagged = wildtag("tag", str(table.parent / "parts" / "0-chelsea.png.png"), "--json", env=env)
    record = json.loads(tagged.stdout)
    assert record["unknown"]
    why = record["unknown_because"]
    assert (why["code"], why["least"]) == ("low-confidence", 1.0)
    assert 0 < why["value"] < 1
