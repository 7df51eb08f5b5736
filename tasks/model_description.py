"""How a model computes: what encoders say, and what the status shows. Apart from the encoders, which know torch."""

from __future__ import annotations

from dataclasses import dataclass

ONNX_RUNTIME = "ONNX Runtime"


@dataclass(frozen=True)
class Description:
    """How a model computes on this machine.

    ``device``: by torch's name, such as ``cuda:0``. ``batch``: rows that it takes at once at most, at present.
    ``hardware``: the name of the accelerator. ``reason``: why the CPU is used although an accelerator seems to be
    present.
    """

    device: str
    runtime: str
    dtype: str
    batch: int
    hardware: str = ""
    reason: str = ""

    def __str__(self) -> str:
        hardware = f" ({self.hardware})" if self.hardware else ""
        reason = f"; {self.reason}" if self.reason else ""
        return f"{self.device}{hardware}, {self.runtime}, {self.dtype}, batches of {self.batch}{reason}"
