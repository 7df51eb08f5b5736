"""Shows which confidence model is used, and what its threshold becomes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tasks.confidence import BadConfidenceModel, shipped
from tasks.encoders import space_of
from tasks.encoders.protocols import Thresholds
from workers.settings.settings import Settings
from workers.wiring.models import confidence_model, pipeline_options

SPACE = space_of("bundled")


def test_a_calibrated_model_comes_before_the_shipped_one_and_a_named_one_before_both(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    own = shipped(SPACE.id)
    assert own is not None
    assert confidence_model(settings, SPACE.id) == own
    assert confidence_model(settings, "another") is None
    calibrated = msgspec.structs.replace(own, threshold=0.6)
    (tmp_path / "calibration").mkdir()
    (tmp_path / "calibration" / f"{SPACE.id}.json").write_bytes(msgspec.json.encode(calibrated))
    assert confidence_model(settings, SPACE.id) == calibrated
    with pytest.raises(BadConfidenceModel, match="cannot be read"):
        confidence_model(Settings(home=tmp_path, confidence_model=tmp_path / "gone.json"), SPACE.id)


def test_the_minimum_is_that_of_the_settings_or_of_the_model(tmp_path: Path) -> None:
    def least(settings: Settings, space: str) -> float:
        return pipeline_options(settings, SPACE.thresholds, confidence_model(settings, space)).min_confidence

    assert least(Settings(home=tmp_path), SPACE.id) == 0.4
    assert least(Settings(home=tmp_path), "another") == 0.0
    assert least(Settings(home=tmp_path, min_confidence=0.1), SPACE.id) == 0.1


def test_the_paper_s_profile_does_not_reduce_tags(tmp_path: Path) -> None:
    def reduced(profile: str) -> bool:
        settings = Settings(home=tmp_path, distinct_tags=True, profile=profile)
        return pipeline_options(settings, Thresholds()).distinct_tags

    assert reduced("phrases")
    assert not reduced("paper")
    assert pipeline_options(Settings(home=tmp_path), Thresholds()).distinct_tags
