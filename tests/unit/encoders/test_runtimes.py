"""Shows that exported graphs compute what torch computes, and that encoders follow plans and measurements."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tasks.encoders import load_image_encoder, load_text_encoder, space_of
from tasks.encoders.devices import Device
from tasks.encoders.graphs.exporting import NotExportable, graph_file
from tasks.encoders.huggingface import HFImageEncoder, HFTextEncoder
from tasks.encoders.protocols import Described
from tasks.encoders.requirements import ModelNotLoaded
from tasks.encoders.runtimes import ONNX_FLOAT32, ONNX_INT8, TORCH_FLOAT32, Plan
from tasks.encoders.tuning.remembered import Measured, Tuning, key_of, write_tuning
from tasks.encoders.tuning.tuned import remembered, tune
from tests.unit.encoders.models import KINDS, save_model

GRAPH = Plan(ONNX_FLOAT32, 2, lanes=2)
TEXTS = ["a cat", "x", "", "a very long caption that is longer than the positions of the model", "dogs, 2"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for kind in KINDS:
        save_model(folder / kind, kind)
    return folder


def pictures(count: int = 5) -> list[Image.Image]:
    rng = np.random.default_rng(3)
    return [Image.fromarray(rng.integers(0, 256, (40, 30 + at, 3), dtype=np.uint8)) for at in range(count)]


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_the_graph_of_images_equals_torch(models: Path, kind: str, tmp_path: Path) -> None:
    name = str(models / kind)
    graph = HFImageEncoder(name, device=Device(), plan=GRAPH, cache_dir=tmp_path)
    exact = HFImageEncoder(name, device=Device())
    for count in (1, 2, 5, 9):
        np.testing.assert_allclose(graph.encode(pictures(count)), exact.encode(pictures(count)), atol=1e-4)
    assert graph.space == exact.space
    assert str(graph.description) == "cpu, ONNX Runtime, float32, batches of 4"
    assert graph_file(tmp_path, exact.space.id, "image").is_file()


@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_of_texts_equals_torch_at_every_length(models: Path, kind: str, tmp_path: Path) -> None:
    name = str(models / kind)
    graph = HFTextEncoder(name, device=Device(), plan=GRAPH, cache_dir=tmp_path)
    exact = HFTextEncoder(name, device=Device())
    for count in (1, 3, 5):
        for texts in itertools.combinations(TEXTS, count):
            np.testing.assert_allclose(graph.encode(texts), exact.encode(texts), atol=1e-4)
    assert graph.description.runtime == "ONNX Runtime"


def test_images_of_many_shapes_are_not_exported(models: Path, tmp_path: Path) -> None:
    with pytest.raises(NotExportable, match="vary in shape"):
        HFImageEncoder(str(models / "siglip2"), device=Device(), plan=GRAPH, cache_dir=tmp_path)


def test_a_graph_is_exported_once_and_again_if_it_is_damaged(models: Path, tmp_path: Path) -> None:
    def load() -> HFTextEncoder:
        return HFTextEncoder(str(models / "clip"), device=Device(), plan=GRAPH, cache_dir=tmp_path)

    expected = load().encode(TEXTS)
    (file,) = (tmp_path / "graphs").glob("*.onnx")
    before = file.stat().st_mtime_ns
    load()
    assert file.stat().st_mtime_ns == before
    file.write_bytes(file.read_bytes()[:1000])
    np.testing.assert_allclose(load().encode(TEXTS), expected, atol=1e-6)


def test_int8_is_close_and_a_space_of_its_own(models: Path, tmp_path: Path) -> None:
    name = str(models / "clip")
    exact, own = space_of(name), space_of(name, ONNX_INT8)
    image = load_image_encoder(name, cache_dir=tmp_path, device="cpu", runtime=ONNX_INT8)
    text = load_text_encoder(name, cache_dir=tmp_path, device="cpu", runtime=ONNX_INT8)
    assert own.id == f"{exact.id}-int8"
    assert image.space == text.space == own
    cosines = (text.encode(TEXTS) * HFTextEncoder(name, device=Device()).encode(TEXTS)).sum(axis=1)
    assert 0.9 < cosines.min() < 0.9999999
    assert isinstance(text, Described)
    assert text.description.dtype == "int8"


def test_a_runtime_of_the_cpu_refuses_another_device(models: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotLoaded, match="WILDTAG_DEVICE=cpu"):
        load_text_encoder(str(models / "clip"), cache_dir=tmp_path, device="cuda", runtime=ONNX_FLOAT32)


def test_auto_takes_what_was_measured(models: Path, tmp_path: Path) -> None:
    name = str(models / "clip")
    plans = {"image": Plan(ONNX_FLOAT32, 3, 2), "text": Plan(TORCH_FLOAT32, 5)}
    write_tuning(tmp_path, Tuning(key=key_of(space_of(name).id, 2), measured=[], plans=plans))  # type: ignore[arg-type]
    image = load_image_encoder(name, cache_dir=tmp_path, threads=2, device="cpu")
    text = load_text_encoder(name, cache_dir=tmp_path, threads=2, device="cpu")
    assert isinstance(image, Described)
    assert isinstance(text, Described)
    assert str(image.description) == "cpu, ONNX Runtime, float32, batches of 6"
    assert str(text.description) == "cpu, PyTorch, float32, batches of 5"


def test_tuning_measures_both_sides_and_keeps_only_graphs_in_use(models: Path, tmp_path: Path) -> None:
    name, ticks, said = str(models / "clip"), itertools.count(), list[Measured]()
    assert remembered(name, tmp_path, 2) is None
    # each look at the clock takes a second, so larger batches are faster
    found = tune(name, tmp_path, 2, said=said.append, clock=lambda: float(next(ticks)))
    assert remembered(name, tmp_path, 2) == found
    assert found.measured == said
    assert {one.side for one in said} == set(found.plans) == {"image", "text"}
    assert all(one.cosine >= 0.999 for one in said if not one.refused)
    kept = {path.name.split("-")[3] for path in (tmp_path / "graphs").iterdir()}
    assert kept == {side for side, plan in found.plans.items() if plan.onnx}
    torch.set_num_threads(2)


@pytest.mark.long
def test_the_bundled_encoder_is_tuned_and_loaded_without_torch(tmp_path: Path) -> None:
    code = f"""
import itertools, sys
from pathlib import Path
from tasks.encoders import load_image_encoder, load_text_encoder
from tasks.encoders.tuning.tuned import tune
ticks = itertools.count()
found = tune("bundled", Path({str(tmp_path)!r}), 2, clock=lambda: float(next(ticks)))
assert all(not one.refused and one.difference <= 1e-4 for one in found.measured), found
image = load_image_encoder("bundled", cache_dir=Path({str(tmp_path)!r}), threads=2)
text = load_text_encoder("bundled", cache_dir=Path({str(tmp_path)!r}), threads=2)
assert image.description.batch == found.plans["image"].rows
assert text.description.batch == found.plans["text"].rows
assert not {{"torch", "transformers"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
