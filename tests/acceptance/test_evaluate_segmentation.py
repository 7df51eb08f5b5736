"""``wildtag evaluate --task segmentation`` as a person runs it: on label maps, on made pictures, on neither."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.stack import Stack
from tests.unit.evaluation.cutouts import save_cutouts
from tests.unit.evaluation.test_labelmaps import voc
from tests.unit.segmentation.models import save_clipseg

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]
SEGMENTATION = ("evaluate", "--task", "segmentation")
FIGURES = {
    "jaccard_hard", "jaccard_soft", "jaccard_overlap", "jaccard_nearest", "recall_hard", "recall_soft",
}  # fmt: skip


def test_compositions_are_made_measured_beside_the_baselines_and_kept(
    make_stack: Callable[..., Stack], tmp_path: Path
) -> None:
    stack, kept = make_stack(COLUMNS="300"), tmp_path / "kept"
    table = str(save_cutouts(tmp_path / "cutouts"))
    made = (
        "--compositions",
        "2",
        "--seed",
        "3",
        "--proposals",
        "cells",
        "--method",
        "regions",
        "--baseline",
        "--json",
    )
    done = stack.wildtag(*SEGMENTATION, table, *made, "--keep", str(kept))
    body = json.loads(done.stdout)
    assert body["set"].items() >= {"compositions": 2, "seed": 3, "layout": "plain", "images": 2, "skipped": 0}.items()
    assert [one["method"] for one in body["results"]] == ["regions", "regions:imagenet", "top-tag"]
    for one in body["results"]:
        assert one["overlaps"].keys() == FIGURES
        assert all(0 <= value <= 1 for value in one["overlaps"].values())
    assert [one["encoded"] for one in body["results"]] == [body["results"][0]["encoded"]] * 2 + [1]
    assert body["conditions"]["captions_version"].startswith("starter@")
    again = json.loads(stack.wildtag(*SEGMENTATION, str(kept), *made[4:]).stdout)
    assert again["results"] == body["results"]
    refused = stack.wildtag(*SEGMENTATION, table, *made, "--keep", str(kept), check=False)
    assert (refused.returncode, "is not empty" in refused.stderr) == (2, True)


def test_a_layout_is_found_and_the_table_is_for_people(make_stack: Callable[..., Stack], tmp_path: Path) -> None:
    stack = make_stack(COLUMNS="160")
    voc(tmp_path / "voc")
    save_clipseg(tmp_path / "clipseg")
    methods = ["--method", "prompted", "--clipseg", str(tmp_path / "clipseg"), "--method", "regions"]
    done = stack.wildtag(*SEGMENTATION, str(tmp_path / "voc"), "--images", "1", *methods)
    assert "prompted" in done.stdout
    assert "nearest" in done.stdout
    assert "1 images, 21 classes with the background, 1 skipped" in " ".join(done.stdout.split())
    assert "gone.jpg: it has no label map" in done.stderr


def test_what_does_not_go_together_and_what_is_missing_is_told(
    make_stack: Callable[..., Stack], tmp_path: Path
) -> None:
    stack = make_stack(COLUMNS="300")
    voc(tmp_path / "voc")
    table, folder, nowhere = str(save_cutouts(tmp_path / "cutouts")), str(tmp_path / "voc"), str(tmp_path / "nowhere")
    opaque = tmp_path / "opaque.tsv"
    opaque.write_text("path\tlabel\nopaque.png\ta\n", encoding="utf-8")
    shutil.copy(tmp_path / "cutouts/opaque.png", tmp_path)
    for arguments, message in {
        (*SEGMENTATION, nowhere): "there is no folder",
        (*SEGMENTATION, str(tmp_path)): "with --layout",
        (*SEGMENTATION, folder, "--layout", "ade20k"): "objectInfo150.txt cannot be read",
        (*SEGMENTATION, folder, "--split", "test"): "test.txt cannot be read",
        (*SEGMENTATION, folder, "--method", "guess"): "available methods: regions, dense, prompted",
        (*SEGMENTATION, folder, "--way", "dense"): "--way has been renamed: use --method",
        (*SEGMENTATION, folder, "--drawer", nowhere): "--drawer has been renamed: use --clipseg",
        (*SEGMENTATION, folder, "--seed", "3"): "apply only with --compositions",
        (*SEGMENTATION, folder, "--method", "prompted"): "it requires a CLIPSeg model",
        (*SEGMENTATION, folder, "--proposals", nowhere): f"the model '{nowhere}' could not be loaded",
        (*SEGMENTATION, folder, "--method", "cased"): "unknown segmentation method 'cased'",
        (*SEGMENTATION, table, "--compositions", "2", "--split", "val"): "not to --compositions",
        (*SEGMENTATION, str(opaque), "--compositions", "2"): "compositions need images of 4 labels",
        ("evaluate", table, "--method", "dense"): "the method dense applies only to --task segmentation",
    }.items():
        done = stack.wildtag(*arguments, check=False)
        assert done.returncode == 2, done.stderr
        assert message in " ".join(done.stderr.split())
        assert "Traceback" not in done.stderr
