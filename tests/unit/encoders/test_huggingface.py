"""Our single towers compute what the library's full model computes, for every family that is supported."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tasks.encoders import load_image_encoder, load_text_encoder, space_of
from tasks.encoders.checkpoint import read_space
from tasks.encoders.huggingface import HFImageEncoder, HFTextEncoder
from tasks.encoders.requirements import ModelNotLoaded
from tests.unit.encoders.models import KINDS, save_model
from vectordb.errors import Permanent

TEXTS = ["a cat", "x", "", "a very long caption that is longer than the positions of the model", "dogs, 2"]


@pytest.fixture(scope="module", params=KINDS)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any]:
    folder = tmp_path_factory.mktemp(request.param)
    return str(folder), save_model(folder, request.param)


def pictures() -> list[Image.Image]:
    rng = np.random.default_rng(3)
    sizes = [(40, 50), (32, 32), (90, 30), (1, 1), *[(33, 44)] * 6]
    return [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for w, h in sizes]


def reference(model: Any, folder: str, images: list[Image.Image]) -> tuple[Any, Any]:
    """The full model's unit vectors, image by image and text by text at full padding."""
    from transformers import AutoImageProcessor, AutoTokenizer  # noqa: PLC0415 - slow

    # its signature carries no types
    processor = AutoImageProcessor.from_pretrained(folder)  # type: ignore[no-untyped-call]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    length = model.config.text_config.max_position_embeddings
    with torch.inference_mode():
        seen = [model.get_image_features(**processor([i], return_tensors="pt")).pooler_output for i in images]
        ids = tokenizer(TEXTS, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
        read = model.get_text_features(input_ids=ids["input_ids"]).pooler_output
    unit = torch.nn.functional.normalize
    return unit(torch.cat(seen), dim=1), unit(read, dim=1)


def test_both_towers_agree_with_the_full_model(saved: tuple[str, Any]) -> None:
    folder, model = saved
    images = pictures()
    ours = HFImageEncoder(folder, dtype=torch.float32).encode(images)
    words = HFTextEncoder(folder, dtype=torch.float32).encode(TEXTS)
    seen, read = reference(model, folder, images)
    np.testing.assert_allclose(ours, seen.numpy(), atol=2e-6)
    np.testing.assert_allclose(words, read.numpy(), atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)
    assert ours.dtype == words.dtype == np.float32


def test_the_space_gives_the_full_models_logits(saved: tuple[str, Any]) -> None:
    folder, model = saved
    space = space_of(folder)
    seen, read = reference(model, folder, pictures()[:2])
    logits = space.logit_scale * seen @ read.T + space.logit_bias
    expected = model.logit_scale.exp() * seen @ read.T + getattr(model, "logit_bias", torch.zeros(1))
    torch.testing.assert_close(logits, expected.detach())
    assert space.normalisation == ("softmax" if "clip-" in space.id else "sigmoid")
    assert space.logit_scale == pytest.approx(math.exp(3.21 if space.normalisation == "softmax" else 4.5))
    assert space.dimension == seen.shape[1]
    assert space.id.replace("-", "").isalnum()


def test_each_encoder_holds_its_own_tower_only(saved: tuple[str, Any]) -> None:
    folder, model = saved
    image, text = HFImageEncoder(folder), HFTextEncoder(folder)
    image_size, text_size, whole = (
        sum(weight.numel() for weight in module.parameters()) for module in (image.tower, text.tower, model)
    )
    assert image_size + text_size + 1 + hasattr(model, "logit_bias") == whole
    assert not any("text" in name for name, _ in image.tower.named_parameters())
    assert not any("vis" in name for name, _ in text.tower.named_parameters())
    assert image.space == text.space == read_space(folder)


def test_the_fast_number_format_stays_close(saved: tuple[str, Any]) -> None:
    folder, _ = saved
    images = pictures()
    exact = HFImageEncoder(folder, dtype=torch.float32).encode(images)
    fast = HFImageEncoder(folder, dtype=torch.bfloat16).encode(images)
    assert (exact * fast).sum(axis=1).min() > 0.999
    exact = HFTextEncoder(folder, dtype=torch.float32).encode(TEXTS)
    fast = HFTextEncoder(folder, dtype=torch.bfloat16).encode(TEXTS)
    assert (exact * fast).sum(axis=1).min() > 0.999


def test_nothing_gives_nothing_and_the_factory_finds_folders(saved: tuple[str, Any], tmp_path: Path) -> None:
    folder, _ = saved
    image = load_image_encoder(folder, cache_dir=tmp_path, threads=1)
    text = load_text_encoder(folder, cache_dir=tmp_path)
    assert image.encode([]).shape == (0, image.space.dimension)
    assert text.encode([]).shape == (0, text.space.dimension)


def test_a_picture_of_one_long_line_is_no_danger(saved: tuple[str, Any]) -> None:
    folder, _ = saved
    lines = [Image.new("RGB", size, "red") for size in ((20_000, 1), (1, 20_000))]
    assert np.isfinite(HFImageEncoder(folder).encode(lines)).all()


def test_the_id_follows_the_weights(tmp_path: Path) -> None:
    ids = set()
    for scale in (1.0, 1.0, 2.0):
        model = save_model(tmp_path / str(scale), "clip")
        model.logit_scale.data.fill_(scale)
        model.save_pretrained(tmp_path / str(scale))
        ids.add(space_of(str(tmp_path / str(scale))).id)
    assert len(ids) == 2


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "preprocessor_config.json"])
def test_an_incomplete_folder_is_named(tmp_path: Path, missing: str) -> None:
    save_model(tmp_path, "clip")
    (tmp_path / missing).unlink()
    with pytest.raises(Permanent) as caught:
        HFImageEncoder(str(tmp_path))
    assert str(tmp_path) in str(caught.value)


def test_a_model_of_another_family_is_refused(tmp_path: Path) -> None:
    from transformers import BertConfig  # noqa: PLC0415 - slow

    BertConfig(num_hidden_layers=1).save_pretrained(tmp_path)
    with pytest.raises(ModelNotLoaded, match="'bert', not one of clip"):
        space_of(str(tmp_path))


def test_a_damaged_weight_file_is_named(tmp_path: Path) -> None:
    save_model(tmp_path, "clip")
    (tmp_path / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0nonsense")
    with pytest.raises(ModelNotLoaded, match=r"model\.safetensors cannot be read"):
        space_of(str(tmp_path))


def test_a_name_that_is_nowhere_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants  # noqa: PLC0415 - slow

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelNotLoaded, match=r"nobody/no-such-model.*folder of a saved CLIP"):
        space_of("nobody/no-such-model")
    with pytest.raises(ModelNotLoaded, match="as a folder or on the hub"):
        space_of("/no/such/folder")
