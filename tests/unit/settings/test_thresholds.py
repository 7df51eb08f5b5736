"""Which thresholds are in force: a setting, a measurement for the encoder, or what was derived for the captions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tasks.confidence import shipped
from tasks.encoders import space_of
from tasks.encoders.protocols import Space
from tasks.message_parts import DerivedThresholds
from tasks.thresholds.derived import Derived, Threshold, UnreadableThresholds, read
from vectordb.library import Manifest
from workers.captions.thresholds_in_force import NOT_DERIVED, ThresholdInForce
from workers.diagnostics.check import Check
from workers.diagnostics.threshold_checks import threshold_checks
from workers.settings.settings import Settings
from workers.wiring.captions import deriving
from workers.wiring.models import pipeline_options, prompts_of
from workers.wiring.thresholds import NOT_ENCODED, described

BUNDLED = space_of("bundled")
CLIP = Space("clip-8", 8, 100.0)
DERIVED = Derived(
    space_id="clip-8", unknown=Threshold(0.23, "", {"noise": 0.22}), evidence=Threshold(0.21),
    synonym=Threshold(0.85),
    head=Threshold(None, "the space does not tell right nouns from wrong ones", {"few": 1.0}),
)  # fmt: skip
MANIFEST = Manifest("mine", "v1", "clip-8", 8, 500, None, "2026-11-29T12:00:00+00:00", thresholds=DERIVED.stored())
MODEL = msgspec.structs.replace(shipped(BUNDLED.id), space_id="clip-8", threshold=0.3)  # type: ignore[type-var]  # it is there

Found = Callable[..., dict[str, ThresholdInForce]]


@pytest.fixture
def found(tmp_path: Path) -> Found:
    def found(
        space: Space = CLIP, manifest: Manifest | None = MANIFEST, model: object = None, **given: object
    ) -> dict[str, ThresholdInForce]:
        settings = Settings(home=tmp_path, **given)  # type: ignore[arg-type]  # a setting each
        all_of_them = described(settings, space, model, manifest, prompts_of(settings))  # type: ignore[arg-type]  # a model
        return {one.name: one for one in all_of_them}

    return found


def options(derived: DerivedThresholds | None, **given: object) -> dict[str, float]:
    chosen = pipeline_options(Settings(**given), CLIP.thresholds, None, derived)  # type: ignore[arg-type]  # as above
    names = ("unknown_similarity", "evidence_similarity", "synonym_similarity", "head_similarity", "min_score")
    return {name: getattr(chosen, name) for name in names}


def test_the_bundled_encoder_keeps_what_was_measured(found: Found, tmp_path: Path) -> None:
    bundled = found(BUNDLED, replace(MANIFEST, space_id=BUNDLED.id), shipped(BUNDLED.id))
    assert {name: one.value for name, one in bundled.items()} == {
        "unknown_similarity": 0.45, "evidence_similarity": None, "synonym_similarity": 0.7, "head_similarity": 0.75,
        "min_score": 0.02, "min_confidence": 0.4,
    }  # fmt: skip
    assert {one.origin for one in bundled.values()} == {"encoder", "off", "confidence model"}
    chosen = pipeline_options(Settings(home=tmp_path), BUNDLED.thresholds, None, DERIVED.thresholds)
    assert (chosen.unknown_similarity, chosen.evidence_similarity, chosen.head_similarity) == (0.45, -1.0, 0.75)
    assert deriving(Settings(home=tmp_path), BUNDLED, lambda: pytest.fail("nothing is loaded")) is None


def test_another_encoder_gets_what_was_derived_for_the_captions(found: Found) -> None:
    derived = found()
    assert (derived["unknown_similarity"].value, derived["unknown_similarity"].origin) == (0.23, "captions")
    assert derived["unknown_similarity"].numbers == {"noise": 0.22}
    assert derived["head_similarity"].detail == "the space does not tell right nouns from wrong ones"
    assert derived["head_similarity"].numbers == {"few": 1.0}
    assert options(DERIVED.thresholds) == {
        "unknown_similarity": 0.23, "evidence_similarity": 0.21, "synonym_similarity": 0.85, "head_similarity": 1.0,
        "min_score": 0.0,
    }  # fmt: skip


def test_a_setting_wins(found: Found) -> None:
    given = found(unknown_similarity=-1.0, head_similarity=0.5)
    assert (given["unknown_similarity"].value, given["unknown_similarity"].origin) == (-1.0, "setting")
    assert given["unknown_similarity"].detail == "WILDTAG_UNKNOWN_SIMILARITY"
    assert (given["head_similarity"].value, given["evidence_similarity"].value) == (0.5, 0.21)
    assert options(DERIVED.thresholds, evidence_similarity=0.1)["evidence_similarity"] == 0.1
    assert found(BUNDLED, unknown_similarity=0.6)["unknown_similarity"].value == 0.6


def test_the_profile_of_the_paper_has_none(found: Found) -> None:
    off = {"unknown_similarity": -1.0, "evidence_similarity": -1.0, "synonym_similarity": 1.0, "head_similarity": 1.0}
    assert options(DERIVED.thresholds, profile="paper") == options(None) == off | {"min_score": 0.0}
    assert "WILDTAG_PROFILE" in found(profile="paper")["unknown_similarity"].detail


def test_a_confidence_model_replaces_evidence(found: Found) -> None:
    judged = found(model=MODEL)
    assert (judged["unknown_similarity"].value, judged["evidence_similarity"].value) == (0.23, None)
    assert (judged["synonym_similarity"].value, judged["min_confidence"].value) == (0.85, 0.3)
    assert "confidence model" in judged["evidence_similarity"].detail


def test_a_minimum_confidence_is_off_where_tags_have_none(found: Found) -> None:
    without = found(min_confidence=0.5)["min_confidence"]
    assert (without.value, without.origin) == (None, "off")
    assert without.detail.startswith("WILDTAG_MIN_CONFIDENCE has no effect: there is no confidence model")
    assert found(model=MODEL, min_confidence=0.5)["min_confidence"].value == 0.5
    few = found(model=MODEL, manifest=replace(MANIFEST, count=255))["min_confidence"]
    assert (few.value, few.detail) == (None, "fewer than 256 captions were imported: tags have no confidence")


def test_words_that_were_encoded_with_other_prompts_say_nothing(found: Found, tmp_path: Path) -> None:
    (tmp_path / "prompts").write_text("a photo of a {}\n")
    other = found(prompts=tmp_path / "prompts")
    assert other["synonym_similarity"].value is None
    assert "WILDTAG_PROMPTS" in other["synonym_similarity"].detail
    assert other["unknown_similarity"].value == 0.23


def test_captions_without_thresholds_are_named_with_the_command(found: Found) -> None:
    older = found(manifest=replace(MANIFEST, thresholds=None))
    assert {one.value for one in older.values()} == {None}
    assert older["unknown_similarity"].detail == NOT_DERIVED
    assert "wildtag captions thresholds" in NOT_DERIVED
    assert found(manifest=None)["unknown_similarity"].detail == NOT_ENCODED


def test_what_cannot_be_read_is_off_and_says_so(found: Found) -> None:
    newer = replace(MANIFEST, thresholds={"space_id": "clip-8", "unknown": "very"})
    with pytest.raises(UnreadableThresholds):
        read(newer.thresholds)
    assert "cannot be read" in found(manifest=newer)["unknown_similarity"].detail
    assert read(MANIFEST.thresholds) == DERIVED


def test_doctor_shows_each_with_its_origin(found: Found) -> None:
    checks = {check.name: check for check in threshold_checks(lambda: list(found().values()))}
    assert checks["threshold unknown_similarity"] == Check(
        "threshold unknown_similarity", ok=True, detail="0.23, captions: derived for these captions, without labels",
        numbers={"value": 0.23, "noise": 0.22},
    )  # fmt: skip
    assert checks["threshold head_similarity"].detail.startswith("off: the space does not tell")
    older = found(manifest=replace(MANIFEST, thresholds=None))
    (first, *_) = threshold_checks(lambda: list(older.values()))
    assert (first.ok, first.remedy) == (None, "wildtag captions thresholds")

    def broken() -> list[ThresholdInForce]:
        raise UnreadableThresholds("no captions")

    (failed,) = threshold_checks(broken)
    assert (failed.ok, failed.detail) == (False, "no captions")
