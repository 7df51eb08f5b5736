"""Shows that the sweep gives every combination once, with the figures that the stages give one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ops.bench.__main__ import BENCHMARKS, main
from ops.bench.sweep import Grid, sweep
from tasks.evaluation.results import Judge
from tasks.extraction import extractor
from tasks.message_parts import Floats
from tasks.metrics import semantic_similarity
from tasks.pipeline import Pipeline, PipelineOptions
from tests.unit.stages.made_up import (
    SPACE,
    MadeUpImages,
    MadeUpText,
    embedded,
    index_of,
    picture,
    submitted,
    vector_of,
)

TARGETS = ["red", "blue"]
BASE = PipelineOptions(synonym_similarity=0.4, duplicate_similarity=0.5)


def encode(texts: Sequence[str]) -> Floats:
    return np.stack([vector_of(text) for text in texts])


@pytest.mark.long
def test_every_combination_has_the_figures_of_the_pipeline() -> None:
    images = [picture((255, 0, 0)), picture((0, 0, 255))]
    grid = Grid([3, 8], [0.2, 1.0], [SPACE.logit_scale / 2, SPACE.logit_scale])
    pictures = MadeUpImages()
    batch = embedded(pictures.encode([Image.new("RGB", (4, 4), colour) for colour in ("#f00", "#00f")]))
    indexes, extractors = {"made up": index_of()}, {"phrases": extractor()}
    rows = list(sweep(batch, TARGETS, indexes, extractors, MadeUpText(), grid, Judge(encode), BASE))
    assert len(rows) == len(grid) == 8
    assert len({(row.k, row.alpha, row.scale) for row in rows}) == 8
    for row in rows:
        pipeline_options = replace(BASE, limit=row.k, alpha=row.alpha, tau=SPACE.logit_scale / row.scale)
        scored, _ = Pipeline(MadeUpImages(), MadeUpText(), index_of(), "1", pipeline_options=pipeline_options).run(
            submitted(2), images
        )
        labels = [tags[0].label for tags in scored.tags]
        assert row.semantic_similarity == pytest.approx(semantic_similarity(labels, TARGETS, encode), abs=1e-6)
        assert row.unique_labels == len(set(labels))


def test_an_unknown_benchmark_lists_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no such"]) == main([]) == 2
    said = capsys.readouterr().err
    assert all(name in said for name in BENCHMARKS)
