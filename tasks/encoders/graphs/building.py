"""Builds an ONNX graph node by node. The format: https://onnx.ai/onnx/repo-docs/IR.html."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17  # the first with LayerNormalization
IR_VERSION = 8  # of ONNX 1.12, the first with that opset
_TYPES = {"uint8": TensorProto.UINT8, "int64": TensorProto.INT64, "float32": TensorProto.FLOAT}

Shape = Sequence[int | str]


class Builder:
    """Nodes in the order of their computation. Each method returns the name of a value."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._arrays: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._numbers: dict[float, str] = {}

    def input(self, name: str, kind: str, shape: Shape) -> str:
        """``shape``: a name stands for a size that varies."""
        self._inputs.append(helper.make_tensor_value_info(name, _TYPES[kind], shape))
        return name

    def array(self, values: npt.NDArray[Any]) -> str:
        """A constant of any shape."""
        name = f"c{len(self._arrays)}"
        self._arrays.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def number(self, value: float) -> str:
        """A float32 scalar. Equal ones are stored once."""
        if value not in self._numbers:
            self._numbers[value] = self.array(np.array(value, np.float32))
        return self._numbers[value]

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """An operator with one output."""
        name = f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def cast(self, value: str, kind: str) -> str:
        return self.node("Cast", value, to=_TYPES[kind])

    def model(self, outputs: Mapping[str, tuple[str, Shape]]) -> onnx.ModelProto:
        """The model, checked. ``outputs``: a value → its name and shape; all float32."""
        named = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.values()]
        for value, (name, _) in outputs.items():
            self._nodes.append(helper.make_node("Identity", [value], [name]))
        graph = helper.make_graph(self._nodes, self._name, self._inputs, named, self._arrays)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="wildtag"
        )
        onnx.checker.check_model(model)
        return model
