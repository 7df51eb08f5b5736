"""How a model computes on a CPU: its runtime and number format, and the sizes that are fastest there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from tasks.encoders.protocols import Space
from tasks.encoders.requirements import cores

AUTO = "auto"
Side = Literal["image", "text"]
SIDES: tuple[Side, Side] = ("image", "text")

TORCH_FLOAT32 = "torch-float32"
TORCH_BFLOAT16 = "torch-bfloat16"
ONNX_FLOAT32 = "onnx-float32"
ONNX_INT8 = "onnx-int8"
COMPILE_BFLOAT16 = "compile-bfloat16"
RUNTIMES = (TORCH_FLOAT32, TORCH_BFLOAT16, ONNX_FLOAT32, ONNX_INT8, COMPILE_BFLOAT16)
LESS_EXACT = frozenset({ONNX_INT8})  # each has a space of its own


@dataclass(frozen=True)
class Plan:
    """One of ``RUNTIMES`` and its sizes.

    ``rows``: images or texts of one call of the model. ``lanes``: calls at a time. ``threads``: of one call.
    torch has one lane.
    """

    runtime: str
    rows: int
    lanes: int = 1
    threads: int = 1

    def __str__(self) -> str:
        if not self.onnx:
            return f"{self.runtime}, batches of {self.rows}"
        threads = f" with {self.threads} threads" if self.threads > 1 else ""
        return f"{self.runtime}, {self.lanes} × {self.rows}{threads}"

    @property
    def batch(self) -> int:
        """Rows that all lanes take together."""
        return self.rows * self.lanes

    @property
    def onnx(self) -> bool:
        """Whether ONNX Runtime computes."""
        return self.runtime.startswith("onnx-")


EXACT = Plan(TORCH_FLOAT32, 8)  # what others are compared with


def usual(runtime: str, side: Side, threads: int | None = None) -> Plan:
    """The sizes of a runtime that was not measured on this machine. ``threads``: by default one for each core."""
    count = threads or cores()
    if runtime.startswith("onnx-"):
        return Plan(runtime, 2 if side == "image" else 16, lanes=count)
    return Plan(runtime, 8 if side == "image" else 64, threads=count)


def in_space(space: Space, runtime: str) -> Space:
    """The space of an encoder that computes with this runtime: its own, if the runtime is less exact."""
    return replace(space, id=f"{space.id}-{runtime.partition('-')[2]}") if runtime in LESS_EXACT else space
