"""The self-test of segmentation tries the methods that were used, also by the processes before."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.segmentation.world import EXTRACTOR, SPACE, Colours, Texts
from workers.settings.settings import Settings
from workers.stages.crash_journal import CrashJournal
from workers.wiring.stage_of_segmentation import StageOfSegmentation


def stage(folder: Path, encoder: Any) -> StageOfSegmentation:
    settings = Settings(segment_grids=(2, 4), segment_map=8)
    wiring: Any = SimpleNamespace(
        settings=settings, space=SPACE, image_encoder=encoder, extractor=EXTRACTOR, decoders=None
    )
    captions: Any = None
    return StageOfSegmentation(wiring, Texts, captions, CrashJournal(folder, 0))


class Broken(Colours):
    def encode(self, images: Any) -> Any:
        raise RuntimeError(f"no shape fits {len(images)}")


def test_what_was_used_is_tried(tmp_path: Path) -> None:
    stage(tmp_path, Broken()).test()  # nothing was used yet
    encoder = Colours()
    stage(tmp_path, encoder).methods("dense")
    stage(tmp_path, encoder).test()
    assert encoder.seen, "in the next process, too"
    with pytest.raises(RuntimeError, match="no shape fits"):
        stage(tmp_path, Broken()).test()


def test_a_method_that_is_not_there_stops_no_other(tmp_path: Path) -> None:
    found = stage(tmp_path, Broken())
    CrashJournal(tmp_path, 0).update(lambda state: state.methods.add("prompted"))
    found = stage(tmp_path, Broken())
    found.test()
