"""The graph of EfficientNet-Lite (Tan et al., 2020): pixels → log-probabilities of ImageNet's thousand classes.

Built from the weights alone: the number of blocks, their kernels and channels are in the shapes; the strides are
those of the paper's seven stages. Batch norms are folded into the convolutions, in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tasks.encoders.graphs.building import Builder

if TYPE_CHECKING:
    import onnx

# of the first block of each stage (EfficientNet, table 1); a stage begins where the number of channels changes
STRIDES = (1, 2, 2, 2, 1, 2, 1)
EPSILON = 1e-3  # of the batch norms
MEAN, SCALE = 127.0, 128.0  # what these weights were trained with

Weights = Mapping[str, npt.NDArray[Any]]


def efficientnet(weights: Weights, side: int) -> onnx.ModelProto:
    """The graph: ``pixels``, uint8 (n, side, side, 3) in RGB → ``scores``, float32 (n, 1000), log-probabilities."""
    graph = Builder("efficientnet-lite")
    pixels = graph.input("pixels", "uint8", ("n", side, side, 3))
    centred = graph.node("Sub", graph.cast(pixels, "float32"), graph.number(MEAN))
    x = graph.node("Transpose", graph.node("Div", centred, graph.number(SCALE)), perm=[0, 3, 1, 2])
    x = _relu6(graph, _convolution(graph, weights, x, "_conv_stem", "_bn0", stride=2))
    stage, channels = -1, None
    for index in range(_blocks(weights)):
        block = f"_blocks.{index}."
        begins = weights[f"{block}_project_conv.weight"].shape[0] != channels
        stage += begins
        channels = weights[f"{block}_project_conv.weight"].shape[0]
        x = _block(graph, weights, x, block, stride=STRIDES[stage] if begins else 1, residual=not begins)
    x = _relu6(graph, _convolution(graph, weights, x, "_conv_head", "_bn1"))
    x = graph.node("Flatten", graph.node("GlobalAveragePool", x))
    logits = graph.node("Gemm", x, graph.array(weights["_fc.weight"]), graph.array(weights["_fc.bias"]), transB=1)
    return graph.model({graph.node("LogSoftmax", logits, axis=1): ("scores", ("n", weights["_fc.bias"].shape[0]))})


def _blocks(weights: Weights) -> int:
    return 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("_blocks."))


def _block(graph: Builder, weights: Weights, x: str, name: str, *, stride: int, residual: bool) -> str:
    """An inverted bottleneck (Sandler et al., 2018): expand, depthwise, project. The first has no expansion."""
    y = x
    if f"{name}_expand_conv.weight" in weights:
        y = _relu6(graph, _convolution(graph, weights, y, f"{name}_expand_conv", f"{name}_bn0"))
    depthwise = weights[f"{name}_depthwise_conv.weight"].shape[0]
    y = _convolution(graph, weights, y, f"{name}_depthwise_conv", f"{name}_bn1", stride=stride, groups=depthwise)
    y = _convolution(graph, weights, _relu6(graph, y), f"{name}_project_conv", f"{name}_bn2")
    return graph.node("Add", y, x) if residual else y


def _convolution(
    graph: Builder, weights: Weights, x: str, convolution: str, norm: str, *, stride: int = 1, groups: int = 1
) -> str:
    """A convolution with the batch norm behind it, padded as TensorFlow does it ("SAME")."""
    kernel = weights[f"{convolution}.weight"].astype(np.float64)
    gain, shift, mean, variance = (
        weights[f"{norm}.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
    )
    gain = gain / np.sqrt(variance + EPSILON)
    return graph.node(
        "Conv", x, graph.array((kernel * gain[:, None, None, None]).astype(np.float32)),
        graph.array((shift - mean * gain).astype(np.float32)), group=groups, strides=[stride, stride],
        kernel_shape=list(kernel.shape[2:]), auto_pad="SAME_UPPER",
    )  # fmt: skip


def _relu6(graph: Builder, x: str) -> str:
    return graph.node("Clip", x, graph.number(0.0), graph.number(6.0))
