"""Shows that the models compute the same on a device that runs out of memory, by the path that a GPU takes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tasks.encoders import load_image_encoder, load_text_encoder
from tasks.encoders.devices import Device, DeviceFailed, DeviceOutOfMemory, DeviceUnavailable
from tasks.encoders.huggingface import IMAGE_BATCH, TEXT_BATCH, HFImageEncoder, HFTextEncoder
from tasks.encoders.pixels import Pixels
from tasks.encoders.protocols import Described
from tasks.evaluation.captioner import HFCaptioner
from tasks.segmenters.clipseg import CLIPSeg
from tasks.segmenters.segment_anything import SegmentAnything
from tests.unit.encoders.models import KINDS, save_model
from tests.unit.evaluation.models import save_captioner
from tests.unit.segmentation.models import save_clipseg, save_sam
from tests.unit.segmentation.world import halves

EXACT = Device()  # float32 on the CPU
HALF = Device("cpu", "float16", "float16")
ANY = float("-inf")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one folder a model."""
    folder = tmp_path_factory.mktemp("models")
    for kind in KINDS:
        save_model(folder / kind, kind)
    save_sam(folder / "sam")
    save_clipseg(folder / "clipseg")
    save_captioner(folder / "captioner", "blip-2")
    return folder


def pictures(count: int) -> list[Image.Image]:
    rng = np.random.default_rng(5)
    return [Image.fromarray(rng.integers(0, 256, (40, 30 + at, 3), dtype=np.uint8)) for at in range(count)]


class Small:
    """The memory of a device: a call with more rows than ``rows`` does not fit."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: object, method: str, name: str, rows: int) -> None:
        self.rows = rows
        self.seen: list[int] = []
        whole: Callable[..., Any] = getattr(owner, method)

        def call(*arguments: Any, **inputs: Any) -> Any:
            self.seen.append(inputs[name].shape[0] if name != "input_points" else inputs[name].shape[1])
            if self.seen[-1] > self.rows:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return whole(*arguments, **inputs)

        monkeypatch.setattr(owner, method, call)


@pytest.mark.parametrize("kind", KINDS)
def test_images_that_do_not_fit_are_encoded_in_smaller_batches(
    models: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, images = HFImageEncoder(str(models / kind), device=EXACT), pictures(2 * IMAGE_BATCH + 3)
    expected = encoder.encode(images)
    memory = Small(monkeypatch, encoder.tower, "forward", "pixel_values", 3)
    np.testing.assert_allclose(encoder.encode(images), expected, atol=1e-6)
    assert encoder.description.batch == 2
    assert memory.seen[:3] == [8, 4, 2]
    memory.seen.clear()
    encoder.encode(images)
    assert set(memory.seen) == {2, 1}, "what did not fit is not tried again"
    memory.rows = 0
    with pytest.raises(DeviceOutOfMemory):
        encoder.encode(images)


@pytest.mark.parametrize("kind", KINDS)
def test_texts_that_do_not_fit_are_encoded_in_smaller_batches(
    models: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = HFTextEncoder(str(models / kind), device=EXACT)
    texts = ["a cat " * (at % 5) for at in range(TEXT_BATCH + 7)]
    expected = encoder.encode(texts)
    memory = Small(monkeypatch, encoder.tower, "forward", "input_ids", 20)
    np.testing.assert_allclose(encoder.encode(texts), expected, atol=1e-6)
    assert (encoder.description.batch, memory.seen[:3]) == (16, [64, 32, 16])


@pytest.mark.parametrize("kind", KINDS)
def test_attention_is_computed_by_sdpa(models: Path, kind: str) -> None:
    for encoder in (
        HFImageEncoder(str(models / kind), device=EXACT),
        HFTextEncoder(str(models / kind), device=EXACT),
    ):
        assert encoder.tower.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("kind", KINDS)
def test_an_overflow_of_float16_is_computed_again_in_float32(models: Path, kind: str) -> None:
    exact, half = (HFImageEncoder(str(models / kind), device=device) for device in (EXACT, HALF))
    images = pictures(3)
    near = half.encode(images)
    assert half.description.dtype == "float16"
    assert (near * exact.encode(images)).sum(axis=1).min() > 0.999
    for encoder in (exact, half):
        for module in encoder.tower.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.weight.data.mul_(3e4)  # activations beyond 65,504
    # its weights were rounded to float16 before
    np.testing.assert_allclose(half.encode(images), exact.encode(images), atol=2e-3)
    assert half.description.dtype == "float32"


def test_the_next_batch_is_prepared_while_the_device_computes(models: Path) -> None:
    encoder, images = HFImageEncoder(str(models / "clip"), device=EXACT), pictures(6)
    pixels, second = encoder._pixels, threading.Event()
    prepare, begun = pixels.prepared, iter(range(6))

    def noted(image: Image.Image) -> Any:
        if next(begun) >= 2:
            second.set()
        return prepare(image)

    pixels.prepared = noted  # type: ignore[method-assign]  # notes what is prepared
    batches = pixels.batches(images, lambda: 2)
    next(batches)
    assert second.wait(10), "an image of the second batch, while the first one is computed"
    assert [begin for begin, _ in batches] == [2, 4]


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_scaled_on_the_device_are_those_of_the_library(models: Path, kind: str) -> None:
    from transformers import AutoImageProcessor  # noqa: PLC0415 - slow

    processor = AutoImageProcessor.from_pretrained(models / kind)  # type: ignore[no-untyped-call]  # untyped
    images = pictures(3)
    pixels = Pixels(processor, EXACT, torch.float32, 32)
    ((_, prepared),) = pixels.batches(images, lambda: 3)
    made = pixels.moved(prepared)
    expected = processor(images, return_tensors="pt")
    assert made.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(made[name], values, atol=1e-6, rtol=1e-6)


def test_what_does_not_normalise_is_left_to_the_library() -> None:
    from transformers import CLIPImageProcessorPil  # noqa: PLC0415 - slow

    processor = CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, do_normalize=False
    )
    pixels = Pixels(processor, EXACT, torch.float32, 32)
    made = pixels.moved([pixels.prepared(*pictures(1))])
    assert 0 <= made["pixel_values"].min() <= made["pixel_values"].max() <= 1


def test_segment_anything_takes_fewer_points_at_once(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sam(device: Device) -> SegmentAnything:
        return SegmentAnything(str(models / "sam"), points=3, least_score=ANY, least_stable=ANY, device=device)

    segmenter = sam(EXACT)
    expected = segmenter.propose(halves())
    Small(monkeypatch, segmenter._model, "forward", "input_points", 4)
    assert all(np.array_equal(*pair) for pair in zip(segmenter.propose(halves()), expected, strict=True))
    assert segmenter.description.batch == 4
    half = sam(HALF)
    masks = half.propose(halves())
    assert (half.description.dtype, masks[0].shape) == ("float16", (128, 128))


def test_clipseg_takes_fewer_names_at_once(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter, names = CLIPSeg(str(models / "clipseg"), device=EXACT), ["cat", "dog", "a bridge", "sky", "x"]
    expected = segmenter.draw(halves(), names)
    Small(monkeypatch, segmenter._model, "forward", "input_ids", 2)
    assert segmenter.draw(halves(), names) == pytest.approx(expected, abs=1e-4)
    assert segmenter.description.batch == 2
    half = CLIPSeg(str(models / "clipseg"), device=HALF)
    assert half.draw(halves(), names) == pytest.approx(expected, abs=0.02)
    assert half.description.dtype == "float16"


def test_a_captioning_model_takes_fewer_images_at_once(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captioner = HFCaptioner(str(models / "captioner"), device=EXACT)
    images = pictures(3)
    expected = captioner.describe(images)
    Small(monkeypatch, captioner._model, "generate", "pixel_values", 1)
    assert captioner.describe(images) == expected
    assert captioner.description.batch == 1


def test_every_model_says_how_it_computes(models: Path) -> None:
    made: list[object] = [
        load_image_encoder(str(models / "clip"), cache_dir=models, device="cpu"),
        load_text_encoder(str(models / "clip"), cache_dir=models, device="cpu"),
        SegmentAnything(str(models / "sam"), device=HALF),
        CLIPSeg(str(models / "clipseg"), device=HALF),
        HFCaptioner(str(models / "captioner"), device=HALF),
    ]
    for model in made:
        assert isinstance(model, Described)
        assert (model.description.device, model.description.runtime) == ("cpu", "PyTorch")
        assert model.description.batch > 1
    assert "bfloat16, batches of 9" in str(Device("cuda:1", "bfloat16", hardware="Made-up").described(9))
    assert str(Device("cuda:1", "bfloat16", hardware="Made-up").described(9)).startswith("cuda:1 (Made-up), PyTorch")


def test_a_device_that_is_not_there_is_refused_by_the_loaders(models: Path) -> None:
    for load in (load_image_encoder, load_text_encoder):
        with pytest.raises(DeviceUnavailable, match="cuda:99"):
            load(str(models / "clip"), cache_dir=models, device="cuda:99")


def test_images_whose_transfer_does_not_fit_are_moved_in_smaller_batches(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, images = HFImageEncoder(str(models / "clip"), device=EXACT), pictures(IMAGE_BATCH)
    expected, move = encoder.encode(images), encoder._pixels.moved

    def moved(prepared: Any) -> Any:
        if len(prepared) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return move(prepared)

    monkeypatch.setattr(encoder._pixels, "moved", moved)
    np.testing.assert_allclose(encoder.encode(images), expected, atol=1e-6)
    assert encoder.description.batch == 2


BROKEN = "CUDA error: unspecified launch failure\nCUDA kernel errors might be asynchronously reported …"


def test_a_device_that_fails_is_no_fault_of_an_image(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise RuntimeError(BROKEN)

    image, text = (
        HFImageEncoder(str(models / "clip"), device=EXACT),
        HFTextEncoder(str(models / "clip"), device=EXACT),
    )
    sam, clipseg = SegmentAnything(str(models / "sam"), device=EXACT), CLIPSeg(str(models / "clipseg"), device=EXACT)
    captioner = HFCaptioner(str(models / "captioner"), device=EXACT)
    for owner, method in (
        (image.tower, "forward"), (text.tower, "forward"), (sam._model, "get_image_embeddings"),
        (clipseg._model, "forward"), (captioner._model, "generate"),
    ):  # fmt: skip
        monkeypatch.setattr(owner, method, broken)
    calls: list[Callable[[], object]] = [
        lambda: image.encode(pictures(1)), lambda: text.encode(["a"]), lambda: sam.propose(halves()),
        lambda: clipseg.draw(halves(), ["cat"]), lambda: captioner.describe(pictures(1)),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(DeviceFailed, match=r"^the device cpu failed: CUDA error: unspecified launch failure$"):
            call()
