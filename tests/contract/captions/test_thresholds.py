"""Thresholds that an import derives for a CLIP or SigLIP folder, as a person sees and overrides them."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from tasks.encoders import space_of
from tasks.thresholds.derived import Derived, Threshold
from tests.unit.encoders.models import save_model
from tests.unit.stages.made_up import picture
from vectordb.folder import FolderLibrary
from workers.cli.main import app

NAMES = ["unknown_similarity", "evidence_similarity", "synonym_similarity", "head_similarity"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with captions of a CLIP model with random weights."""
    return imported(tmp_path_factory.mktemp("home"), "clip")


def imported(home: Path, kind: str) -> Path:
    save_model(home / "model", kind)
    (home / "captions.txt").write_text("".join(f"a photo of {number} red cups\n" for number in range(300)))
    told = run(home, "captions", "import", str(home / "captions.txt"), "--name", "mine", "--use")
    assert "unknown_similarity" in told
    return home


def run(home: Path, *arguments: str, **settings: str) -> str:
    """Run a command in this process, since starting one takes seconds."""
    before = dict(os.environ)
    clean = {name: value for name, value in before.items() if not name.startswith("WILDTAG_")}
    given = {"WILDTAG_HOME": str(home), "WILDTAG_ENCODER": str(home / "model"), "COLUMNS": "200", **settings}
    out, err = io.StringIO(), io.StringIO()
    os.environ.clear()
    os.environ.update({**clean, **given})
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            app(list(arguments))
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert not ended.value.code, err.getvalue()
    return out.getvalue()


def shown(home: Path, *arguments: str, **settings: str) -> dict[str, Any]:
    body = json.loads(run(home, "captions", *arguments, "--json", **settings))
    return {one["name"]: one for one in body["thresholds"]}


def stored(home: Path, derived: Derived | None) -> None:
    """Store other thresholds with the captions, or none, as captions of earlier versions have."""
    (manifest,) = (home / "captions").glob("*/mine@*/manifest.json")
    values = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**values, "thresholds": derived.stored() if derived else None}))


def tags(home: Path, **settings: str) -> list[str]:
    (home / "picture.png").write_bytes(picture((200, 30, 30)))
    line = run(home, "tag", str(home / "picture.png"), "--json", WILDTAG_DETECT_FEATURELESS="false", **settings)
    return [tag["label"] for tag in json.loads(line)["tags"]]


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_an_import_derives_them_and_stats_shows_what_came_of_it(home: Path, tmp_path: Path, kind: str) -> None:
    derived = shown(home if kind == "clip" else imported(tmp_path, kind), "stats")
    for name in NAMES:  # random weights tell nothing apart
        assert (derived[name]["value"], derived[name]["origin"]) == (None, "off")
    assert "does not tell something from nothing" in derived["unknown_similarity"]["detail"]
    assert derived["unknown_similarity"]["numbers"]["captions"] == 300
    assert derived["unknown_similarity"]["numbers"]["images_of_nothing"] == 72
    assert derived["synonym_similarity"]["numbers"]["pairs"] == 2000


def test_doctor_shows_them(home: Path) -> None:
    doctor = [json.loads(line) for line in run(home, "doctor", "--json").splitlines()]
    found = {check["name"]: check for check in doctor if check["name"].startswith("threshold ")}
    assert set(found) == {f"threshold {name}" for name in [*NAMES, "min_score", "min_confidence"]}
    assert "does not tell something from nothing" in found["threshold unknown_similarity"]["detail"]


def test_they_decide_which_tags_are_shown_and_a_setting_wins(home: Path) -> None:
    off, far = Threshold(None, "a test"), Threshold(0.999)
    space_id = space_of(str(home / "model")).id
    stored(home, Derived(space_id=space_id, unknown=off, evidence=far, synonym=off, head=off))
    assert tags(home) == []
    assert tags(home, WILDTAG_EVIDENCE_SIMILARITY="-1")
    given = shown(home, "stats", WILDTAG_EVIDENCE_SIMILARITY="0.1")["evidence_similarity"]
    assert (given["value"], given["origin"]) == (0.1, "setting")


def test_captions_of_earlier_versions_have_none_until_a_command_derives_them(home: Path) -> None:
    stored(home, None)
    assert "wildtag captions thresholds" in shown(home, "stats")["unknown_similarity"]["detail"]
    again = run(home, "captions", "import", str(home / "captions.txt"), "--name", "mine")
    assert "unknown_similarity" not in again  # imported already, and nothing was derived
    derived = shown(home, "thresholds")
    assert derived == shown(home, "stats")
    assert derived["unknown_similarity"]["numbers"]["captions"] == 300
    library = FolderLibrary(home / "captions")
    (manifest,) = library.manifests()
    assert manifest.thresholds is not None
    assert manifest.space_id == space_of(str(home / "model")).id
