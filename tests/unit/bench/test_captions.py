"""Shows that the benchmark of captions measures what it says, on two thousand captions and a made-up encoder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from ops.bench import truth
from ops.bench.captions import measured
from ops.bench.composed import texts
from ops.bench.prepared import Prepared
from ops.bench.watched import MeasurementFailed, watched
from tasks.encoders.protocols import Space
from tasks.message_parts import Floats

pytestmark = pytest.mark.long

COUNT = 2000
DIMENSION = 384


class MadeUp:
    """A text's vector is the sum of its words' vectors, so that like texts lie together."""

    space = Space("made-up", DIMENSION, 10.0)

    def encode(self, texts: Sequence[str]) -> Floats:
        rows = np.stack([sum(map(self._word, text.split()), np.zeros(DIMENSION)) for text in texts])
        unit: Floats = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        return unit

    @staticmethod
    def _word(word: str) -> Floats:
        made: Floats = np.random.default_rng(list(word.encode())).normal(size=DIMENSION).astype(np.float32)
        return made


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    made = Prepared(tmp_path_factory.mktemp("prepared"), COUNT, piece=768, held_out=50)
    assert made.make(MadeUp, lambda _: None) == COUNT + 50 + 304  # whole pieces
    return made


def test_composed_captions_are_distinct_and_always_the_same() -> None:
    first = list(islice(texts(), 3000))
    assert len(set(first)) == 3000
    assert first == list(islice(texts(), 3000))
    assert first[:100] != list(islice(texts(8), 100))
    assert not [text for text in first if "{" in text or "\n" in text]


def test_what_was_prepared_is_not_prepared_again(prepared: Prepared) -> None:
    def never() -> MadeUp:
        raise AssertionError

    heard: list[int] = []
    assert prepared.make(never, heard.append) == 0
    (prepared.folder / "piece-00001.npy").unlink()  # as after an interruption
    before = (prepared.folder / "piece-00001.txt").read_text()
    assert prepared.make(MadeUp, heard.append) == 768
    assert heard == [50, 818, 1586, 2354]
    assert (prepared.folder / "piece-00001.txt").read_text() == before


def test_pieces_hold_the_count_and_none_of_the_queries(prepared: Prepared) -> None:
    captions = [caption.text for part, _ in prepared.pieces() for caption in part]
    said, vectors = prepared.queries()
    assert len(captions) == COUNT
    assert not set(captions) & set(said)
    assert vectors.shape == (50, DIMENSION)


def test_the_truth_is_found_piece_by_piece(prepared: Prepared) -> None:
    parts = list(prepared.pieces())
    ids = np.array([caption.id for part, _ in parts for caption in part], np.uint64)
    similarities = prepared.queries()[1] @ np.concatenate([vectors for _, vectors in parts]).T
    whole = ids[np.argsort(-similarities, axis=1)[:, : truth.LIMIT]]
    assert [set(row) for row in truth.find(prepared).tolist()] == [set(row) for row in whole.tolist()]


def test_an_index_is_imported_and_served_with_all_its_figures(prepared: Prepared, tmp_path: Path) -> None:
    found = measured(prepared, tmp_path, {"ef": 64}, ["import", "serve"], [16])
    assert [step["step"] for step in found["import"]] == ["adding", "adding", "added", "built"]
    assert found["import"][-1]["captions"] == COUNT
    assert found["captions_per_second"] > 0
    steps = {f"{step['step']} {step.get('ef', '')}".strip(): step for step in found["serve"]}
    assert list(steps) == ["opened", "searched 64", "searched 16", "many", "taught"]
    assert 0.9 < steps["searched 64"]["recall"] <= 1
    assert steps["searched 64"]["memory"]["resident"] > 0
    assert steps["many"]["queries"] == COUNT
    assert steps["taught"]["found_at_once"] == steps["taught"]["listed"] == 50
    json.dumps(found)


def test_a_measurement_that_dies_is_no_measurement() -> None:
    with pytest.raises(MeasurementFailed, match="ended with 1"):
        list(watched("ops.bench.importing", ["/proc/nowhere", "{}", "{}"]))
