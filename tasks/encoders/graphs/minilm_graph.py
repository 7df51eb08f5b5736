"""The graph of all-MiniLM-L6-v2, a BERT (Devlin et al., 2019) of six layers: tokens → sentence vectors.

Built from the weights alone. The vector of a text is the mean of the last layer over its tokens, with unit length
(Reimers and Gurevych, 2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tasks.encoders.graphs.building import Builder

if TYPE_CHECKING:
    import onnx

HEADS = 12
EPSILON = 1e-12  # of the layer norms

Weights = Mapping[str, npt.NDArray[Any]]


def minilm(weights: Weights) -> onnx.ModelProto:
    """The graph: ``ids`` and ``mask``, int64 (n, tokens) → ``vectors``, float32 (n, dimension), unit length.

    ``mask`` is 1 for a token and 0 for padding.
    """
    graph = Builder("minilm")
    ids, mask = (graph.input(name, "int64", ("n", "tokens")) for name in ("ids", "mask"))
    present = graph.cast(mask, "float32")
    # 0 for a token and the smallest number for padding, added to what the softmax reads: (n, 1, 1, tokens)
    largest = graph.number(float(np.finfo(np.float32).max))
    absent = graph.node("Mul", graph.node("Sub", present, graph.number(1.0)), largest)
    absent = graph.node("Unsqueeze", absent, graph.array(np.array([1, 2])))
    x = _embedded(graph, weights, ids)
    for layer in range(_layers(weights)):
        x = _layer(graph, weights, x, absent, f"encoder.layer.{layer}.")
    # the sum has the same direction as the mean
    kept = graph.node("Mul", x, graph.node("Unsqueeze", present, graph.array(np.array([2]))))
    summed = graph.node("ReduceSum", kept, graph.array(np.array([1])), keepdims=0)
    unit = graph.node("LpNormalization", summed, axis=1, p=2)
    return graph.model({unit: ("vectors", ("n", weights["embeddings.LayerNorm.bias"].shape[0]))})


def _layers(weights: Weights) -> int:
    return 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))


def _embedded(graph: Builder, weights: Weights, ids: str) -> str:
    words, positions, kinds = (
        weights[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")
    )
    length = graph.node("Gather", graph.node("Shape", ids), graph.array(np.array([1])), axis=0)
    # a text has one sentence, so its kind of token is always the first
    placed = graph.node(
        "Slice", graph.array(positions + kinds[0]), graph.array(np.array([0])), length, graph.array(np.array([0]))
    )
    named = graph.node("Gather", graph.array(words), ids)
    return _normed(graph, weights, graph.node("Add", named, placed), "embeddings.")


def _layer(graph: Builder, weights: Weights, x: str, absent: str, name: str) -> str:
    seen = _attention(graph, weights, x, absent, f"{name}attention.self.")
    seen = _linear(graph, weights, seen, f"{name}attention.output.dense")
    x = _normed(graph, weights, graph.node("Add", seen, x), f"{name}attention.output.")
    wide = _gelu(graph, _linear(graph, weights, x, f"{name}intermediate.dense"))
    narrow = _linear(graph, weights, wide, f"{name}output.dense")
    return _normed(graph, weights, graph.node("Add", narrow, x), f"{name}output.")


def _attention(graph: Builder, weights: Weights, x: str, absent: str, name: str) -> str:
    width = weights[f"{name}query.bias"].shape[0]
    size = width // HEADS
    # one product for the three of them
    together = {
        f"all.{part}": np.concatenate([weights[f"{name}{one}.{part}"] for one in ("query", "key", "value")])
        for part in ("weight", "bias")
    }
    split = graph.node("Reshape", _linear(graph, together, x, "all"), graph.array(np.array([0, 0, 3, HEADS, size])))
    apart = graph.node("Transpose", split, perm=[2, 0, 3, 1, 4])  # (3, n, heads, tokens, size)
    query, key, value = (graph.node("Gather", apart, graph.array(np.array(part)), axis=0) for part in range(3))
    key = graph.node("Transpose", key, perm=[0, 1, 3, 2])
    scores = graph.node("Div", graph.node("MatMul", query, key), graph.number(size**0.5))
    shares = graph.node("Softmax", graph.node("Add", scores, absent), axis=3)
    mixed = graph.node("Transpose", graph.node("MatMul", shares, value), perm=[0, 2, 1, 3])
    return graph.node("Reshape", mixed, graph.array(np.array([0, 0, width])))


def _linear(graph: Builder, weights: Weights, x: str, name: str) -> str:
    product = graph.node("MatMul", x, graph.array(weights[f"{name}.weight"].T))
    return graph.node("Add", product, graph.array(weights[f"{name}.bias"]))


def _normed(graph: Builder, weights: Weights, x: str, name: str) -> str:
    gain, shift = (graph.array(weights[f"{name}LayerNorm.{part}"]) for part in ("weight", "bias"))
    return graph.node("LayerNormalization", x, gain, shift, axis=-1, epsilon=EPSILON)


def _gelu(graph: Builder, x: str) -> str:
    """The exact form, with the error function (Hendrycks and Gimpel, 2016)."""
    bell = graph.node("Add", graph.node("Erf", graph.node("Div", x, graph.number(2**0.5))), graph.number(1.0))
    return graph.node("Mul", graph.node("Mul", x, bell), graph.number(0.5))
