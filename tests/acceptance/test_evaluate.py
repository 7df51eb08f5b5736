"""``wildtag evaluate`` and ``ops.bench quality`` as a person runs them, on photographs and on what is none."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.images import drop, photograph
from tests.acceptance.stack import Stack
from tests.unit.evaluation.models import save_captioner
from tests.warm import wildtag

pytestmark = pytest.mark.timeout(600)

LABELS = {
    "chelsea.png": "cat", "coffee.png": "coffee", "rocket.jpg": "rocket", "motorcycle_left.png": "motorcycle",
    "horse.png": "horse",
}  # fmt: skip
METHODS = ["cased", "uppercased", "closest-caption", "vocabulary:imagenet", "clip-upper-bound"]


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder of photographs with a table; its third line names a missing file, its fourth one that is no image."""
    folder = tmp_path / "photographs"
    for name in LABELS:
        drop(folder, name, photograph(name))
    drop(folder, "text.png", b"not an image")
    rows = [f"{name}\t{label}" for name, label in LABELS.items()]
    rows[1:1] = ["missing.png\tcat", "text.png\tcat", "horse.png\t"]
    (tmp_path / "set.tsv").write_text("\n".join(["path\tlabel", *rows]) + "\n", encoding="utf-8")
    return folder


def asked(methods: list[str]) -> list[str]:
    return [part for method in methods for part in ("--method", method)]


def test_every_method_is_measured_and_what_cannot_be_read_is_named(
    make_stack: Callable[..., Stack], photographs: Path, tmp_path: Path
) -> None:
    stack, table, report = make_stack(), photographs.parent / "set.tsv", tmp_path / "report.html"
    save_captioner(tmp_path / "captioner", "blip-2")
    methods = [*METHODS, f"captioner:{tmp_path / 'captioner'}"]
    done = stack.wildtag(
        "evaluate", str(table), "--root", str(photographs), "--json", "--report", str(report), *asked(methods)
    )
    body = json.loads(done.stdout)
    assert (body["set"]["images"], body["set"]["labels"], body["set"]["skipped"]) == (5, 5, 3)
    # missing or empty is seen when the table is read, what is no image only then
    assert [reason.split(":")[0] for reason in body["set"]["skipped_because"]] == ["line 3", "line 5", "line 4"]
    assert "line 3: missing.png: the file does not exist" in done.stderr
    results = {result["method"]: result for result in body["results"]}
    assert list(results) == methods
    for result in results.values():
        assert result["images"] == 5
        assert 0 <= result["semantic_iou"] <= 1
        assert -1 <= result["semantic_similarity"] <= 1
        assert 0.2 <= result["cluster_accuracy"] <= 1
        parts = result["embedding_seconds_per_image"] + result["own_seconds_per_image"]
        assert result["seconds_per_image"] == pytest.approx(parts, abs=2e-6)
    assert results["cased"]["semantic_similarity"] > 0.4
    assert results["clip-upper-bound"]["mean_candidates"] == 5
    assert results["closest-caption"]["mean_candidates"] == 1
    assert results["uppercased"]["mean_candidates"] == results["cased"]["mean_candidates"]
    conditions = body["conditions"]
    assert conditions["space"]["id"].startswith("bundled")
    assert conditions["captions_version"].startswith("starter@")
    assert {"encoder", "profile", "test_time_augmentation"} <= conditions["settings"].keys()
    assert conditions["choices"].items() >= {"alpha": 0.7, "limit": 10}.items()
    assert {"torch", "numpy"} <= conditions["packages"].keys()
    assert conditions["machine"]["cpu"]
    page = report.read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 5
    assert "missing.png" in page


@pytest.mark.long
def test_class_folders_are_a_set_and_the_table_is_for_people(
    make_stack: Callable[..., Stack], tmp_path: Path
) -> None:
    stack, folder = make_stack(COLUMNS="160"), tmp_path / "classes"
    for name in ("chelsea.png", "coffee.png"):
        drop(folder, f"{LABELS[name]}/{name}", photograph(name))
    (folder / "dog").mkdir()
    chosen = ["--k", "5", "--alpha", "1", "--profile", "paper", "--test-time-augmentation"]
    done = stack.wildtag("evaluate", str(folder), *chosen)
    assert "cased" in done.stdout
    assert "2 images, 2 labels, 1 skipped" in done.stdout
    assert "folder dog: it contains no images" in done.stderr


@pytest.mark.long
def test_a_running_stack_lends_its_captions(
    make_stack: Callable[..., Stack], running: Stack, photographs: Path
) -> None:
    command = ["evaluate", str(photographs.parent / "set.tsv"), "--root", str(photographs), "--json"]
    (alone,) = json.loads(make_stack().wildtag(*command).stdout)["results"]
    (beside,) = json.loads(running.wildtag(*command).stdout)["results"]
    for figure in ("cluster_accuracy", "semantic_iou", "semantic_similarity", "mean_candidates"):
        assert beside[figure] == pytest.approx(alone[figure], abs=1e-5)


def test_where_nothing_can_be_evaluated_the_reason_is_told(
    make_stack: Callable[..., Stack], photographs: Path, tmp_path: Path
) -> None:
    stack, table = make_stack(COLUMNS="300"), str(photographs.parent / "set.tsv")
    (tmp_path / "bad.tsv").write_text("file\tclass\nchelsea.png\tcat\n", encoding="utf-8")
    nowhere = str(tmp_path / "no-model")
    given = (table, "--root", str(photographs))
    for arguments, message in {
        (str(tmp_path / "bad.tsv"),): "line 1: the first line must contain the columns path and label",
        (table, "--root", str(tmp_path / "no-root")): "no-root",
        (*given, "--quality", "best"): "the option --quality has been renamed: use --test-time-augmentation",
        (*given, "--method", "magic"): "there is no method 'magic'",
        (*given, "--method", f"vocabulary:{nowhere}"): "No such file",
        (*given, "--method", f"captioner:{nowhere}"): f"the captioner '{nowhere}' could not",
        (*given, "--report", f"{nowhere}/page.html"): "cannot write",
    }.items():
        done = stack.wildtag("evaluate", *arguments, check=False)
        assert done.returncode == 2, done.stderr
        assert message in " ".join(done.stderr.split())
        assert "Traceback" not in done.stderr


@pytest.mark.long
def test_the_sweep_prints_every_combination(prepared: Path, photographs: Path) -> None:
    done = wildtag(
        "quality", str(photographs.parent / "set.tsv"), "--root", str(photographs), "--k", "5,10", "--alpha", "0.5,1",
        "--profile", "phrases", "--json", env={**os.environ, "WILDTAG_HOME": str(prepared)}, module="ops.bench",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    body = json.loads(done.stdout)
    assert (body["images"], len(body["rows"])) == (5, 2 * 2 * 3)
    best = [row["semantic_similarity"] for row in body["rows"]]
    assert best == sorted(best, reverse=True)
    assert body["conditions"]["machine"]["cpu"]
