"""The towers of ``transformers`` as ONNX graphs, exported by torch once, and kept in a folder.

A graph takes batches of any size and, for texts, any length up to the model's, and gives unit vectors in float32.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.encoders.requirements import ModelNotLoaded, need
from vectordb.leftovers import remove_leftovers

if TYPE_CHECKING:
    import onnx
    import torch

EXPORTED_BY = 1  # version of this code; another one exports graphs anew
OPSET = 17
LARGEST = 1_900_000_000  # bytes of weights: a graph in one file has less than 2 GiB
VECTORS = "vectors"


class NotExportable(ModelNotLoaded):
    """The model cannot be exported as a graph."""


def graph_file(cache_dir: Path, space_id: str, side: str) -> Path:
    """Where the graph of a tower is kept. Changes with the weights, the versions of packages, and this code."""
    made_by = [f"{package} {version(package)}" for package in ("torch", "transformers")]
    key = hashlib.blake2b(" ".join([*made_by, str(EXPORTED_BY)]).encode(), digest_size=6).hexdigest()
    return cache_dir / "graphs" / f"{space_id}-{side}-{key}.onnx"


def exported(tower: Any, output: str, inputs: Sequence[str], sample: Sequence[torch.Tensor]) -> onnx.ModelProto:
    """The graph of a tower in float32 on the CPU.

    ``output``: names the vectors in the tower's result. ``inputs``: the names of its arguments, with one ``sample``
    each: pixels (n, 3, side, side), or ids and mask (n, tokens). Raises ``NotExportable``.
    """
    import torch  # noqa: PLC0415 - torch is loaded only when needed

    need("onnx", "onnx")
    size = sum(weight.numel() * weight.element_size() for weight in tower.parameters())
    if size > LARGEST:
        raise NotExportable(f"its weights take {size / 1e9:.1f} GB; a graph in one file has less than 2")

    class Unit(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tower = tower

        def forward(self, *values: torch.Tensor) -> torch.Tensor:
            made = self.tower(**dict(zip(inputs, values, strict=True)))
            return torch.nn.functional.normalize(getattr(made, output), dim=1)

    axes = {
        name: {0: "n", 1: "tokens"} if value.dim() == 2 else {0: "n"}
        for name, value in zip(inputs, sample, strict=True)
    }
    file: Any = io.BytesIO()  # its signature names paths only
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on values that are constants, and on the age of this exporter
            # the newer exporter refuses a batch of any size
            torch.onnx.export(
                Unit().eval(), tuple(sample), file, dynamo=False, input_names=list(inputs), output_names=[VECTORS],
                dynamic_axes={**axes, VECTORS: {0: "n"}}, opset_version=OPSET,
            )  # fmt: skip
    except Exception as exc:  # the exporter's errors have no class of their own
        first = str(exc).strip().partition("\n")[0]
        raise NotExportable(f"torch cannot export it to ONNX: {first}") from exc
    import onnx  # noqa: PLC0415 - needed once only

    return onnx.load_model_from_string(file.getvalue())


def quantised(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with weights in int8; activations are quantised while it runs."""
    need("onnx", "onnx")
    quantize_dynamic = need("onnxruntime.quantization", "onnxruntime").quantize_dynamic

    import onnx  # noqa: PLC0415 - as above

    remove_leftovers(Path(tempfile.gettempdir()), "wildtag-int8-*")
    with tempfile.TemporaryDirectory(prefix="wildtag-int8-") as folder:
        small = Path(folder, "int8.onnx")
        quantize_dynamic(graph, small)
        return onnx.load(small)


def stored(path: Path) -> onnx.ModelProto | None:
    """The graph in a file; ``None`` if it cannot be read."""
    import onnx  # noqa: PLC0415 - as above

    try:
        return onnx.load(path)
    # a file that was cut off raises errors of several libraries
    except Exception:
        return None
