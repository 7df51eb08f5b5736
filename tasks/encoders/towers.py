"""One side of a CLIP or SigLIP model as a graph: inputs → unit vectors, computed by ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tasks.encoders.graphs.exporting import NotExportable, exported, graph_file, quantised, stored
from tasks.encoders.graphs.session import load_kept
from tasks.encoders.pixels import Pixels
from tasks.encoders.runtimes import COMPILE_BFLOAT16, ONNX_INT8, Plan, Side

if TYPE_CHECKING:
    import onnx
    import torch


class GraphTower:
    """A graph that computes parts of a batch at a time, by default one for each core.

    Several calls of one thread take less time than one call of several threads.
    """

    def __init__(self, path: Path, build: Callable[[], onnx.ModelProto], plan: Plan) -> None:
        """``path``: keeps the graph, which ``build`` makes if the file is missing."""
        import torch  # noqa: PLC0415 - torch is loaded only when needed

        self.dtype = torch.float32  # of inputs
        self.rows = plan.rows
        self._session = load_kept(path, build, plan.threads)
        self._count = plan.lanes
        self._lanes = ThreadPoolExecutor(plan.lanes, "encode")

    def vectors(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The unit vectors of a batch, float32 (n, dimension)."""
        import torch  # noqa: PLC0415 - as above

        arrays = {name: value.numpy() for name, value in inputs.items()}
        count = len(next(iter(arrays.values())))
        # few rows are shared among all lanes
        rows = max(1, min(self.rows, -(-count // self._count)))
        parts = [
            {name: value[begin : begin + rows] for name, value in arrays.items()} for begin in range(0, count, rows)
        ]
        return torch.from_numpy(np.concatenate(list(self._lanes.map(self._session.run, parts))))


def graph_tower(
    cache_dir: Path, space_id: str, side: Side, plan: Plan, load: Callable[[], Any], output: str,
    inputs: Sequence[str], sample: Callable[[], Sequence[torch.Tensor]],
) -> GraphTower:  # fmt: skip
    """The graph of a tower for a plan of ONNX Runtime; exported if ``cache_dir`` has none.

    ``load`` loads the tower of torch in float32. For ``output``, ``inputs`` and ``sample`` see ``exported``. Raises
    ``NotExportable``.
    """

    def build() -> onnx.ModelProto:
        values = sample()
        if side == "image" and (len(values) != 1 or values[0].dim() != 4):
            raise NotExportable("its images vary in shape, which a graph does not")
        return exported(load(), output, inputs, values)

    def build_int8() -> onnx.ModelProto:
        return quantised(stored(graph_file(cache_dir, space_id, side)) or build())

    if plan.runtime == ONNX_INT8:
        return GraphTower(graph_file(cache_dir, f"{space_id}-int8", side), build_int8, plan)
    return GraphTower(graph_file(cache_dir, space_id, side), build, plan)


def dtype_of(plan: Plan) -> torch.dtype:
    """The number format of a plan of torch."""
    import torch  # noqa: PLC0415 - as above

    found: torch.dtype = getattr(torch, plan.runtime.partition("-")[2])
    return found


def computing(tower: Any, output: str, plan: Plan | None) -> Callable[[Mapping[str, torch.Tensor]], torch.Tensor]:
    """What computes the unit vectors of a batch."""
    if isinstance(tower, GraphTower):
        return tower.vectors
    if plan is not None and plan.runtime == COMPILE_BFLOAT16:
        import torch  # noqa: PLC0415 - as above

        return partial(_unit, torch.compile(tower, dynamic=True), output)
    return partial(_unit, tower, output)


def _unit(tower: Any, output: str, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The unit vectors of a batch, float32, on the device."""
    import torch  # noqa: PLC0415 - as above

    return torch.nn.functional.normalize(getattr(tower(**inputs), output).float(), dim=1)


def sample_pixels(pixels: Pixels, side: int) -> list[torch.Tensor]:
    """Two prepared images, by which a graph is exported."""
    one = pixels.prepared(Image.new("RGB", (side, side), "gray"))
    return list(pixels.moved([one, one]).values())


def sample_tokens(config: Any, positions: int, count: int) -> list[torch.Tensor]:
    """Two texts of different lengths as ids and mask, by which a graph is exported. ``count``: of these inputs."""
    import torch  # noqa: PLC0415 - as above

    length = positions if count == 1 else min(positions, 16)
    ids = torch.full((2, length), min(5, config.vocab_size - 1))
    ids[0, -1] = ids[1, length // 2] = min(int(config.eos_token_id), config.vocab_size - 1)
    mask = torch.ones_like(ids)
    mask[1, length // 2 + 1 :] = 0
    return [ids, mask][:count]
