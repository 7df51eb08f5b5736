"""Decides which thresholds are in force: of the settings, measured for the encoder, or derived for the captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tasks.confidence import ConfidenceModel
from tasks.encoders.protocols import Space, Thresholds
from tasks.message_parts import DerivedThresholds
from tasks.scoring import digest_of
from tasks.thresholds.derived import Derived, Threshold, UnreadableThresholds, read
from vectordb.index import SAMPLE_LEAST
from vectordb.library import Manifest
from workers.captions.thresholds_in_force import NOT_DERIVED, ThresholdInForce
from workers.settings.settings import Settings

OFF: Mapping[str, float] = {
    "unknown_similarity": -1.0, "evidence_similarity": -1.0, "synonym_similarity": 1.0, "head_similarity": 1.0,
    "min_score": 0.0, "min_confidence": 0.0,
}  # fmt: skip
_DERIVED = {
    "unknown_similarity": "unknown", "evidence_similarity": "evidence", "synonym_similarity": "synonym",
    "head_similarity": "head",
}  # fmt: skip
_MEASURED = {**_DERIVED, "min_score": "score"}  # settings and fields of ``Thresholds``
NOT_ENCODED = "the captions are not encoded yet"
_NONE = "none could be derived for these captions"
_NO_MODEL = "there is no confidence model; wildtag calibrate fits one on labelled images"
_OF_WORDS = {"synonym_similarity", "head_similarity"}


def in_force(
    settings: Settings, thresholds: Thresholds, model: ConfidenceModel | None, derived: DerivedThresholds | None,
    prompts: Sequence[str],
) -> list[ThresholdInForce]:  # fmt: skip
    """Every threshold, in the order of ``OFF``. ``thresholds``: those measured for the encoder, if any.

    A setting comes first, then a measurement for the encoder, then what was derived.
    """
    found = []
    for name in OFF:
        given = getattr(settings, name)
        if given is not None:
            found.append(ThresholdInForce(name, given, "setting", f"WILDTAG_{name.upper()}"))
        elif name == "min_confidence":
            found.append(_of_model(model))
        elif thresholds != Thresholds():
            found.append(_of_encoder(name, thresholds))
        else:
            found.append(_of_captions(name, settings, model, derived, prompts))
    return found


def values(found: Sequence[ThresholdInForce]) -> dict[str, float]:
    """The options of the method, by name."""
    return {one.name: OFF[one.name] if one.value is None else one.value for one in found}


def described(
    settings: Settings, space: Space, model: ConfidenceModel | None, manifest: Manifest | None, prompts: Sequence[str]
) -> list[ThresholdInForce]:
    """The thresholds in force for a caption version, with all that is known about them.

    A minimum confidence that nothing is compared with is off, with the reason.
    """
    try:
        derived = read(manifest.thresholds) if manifest else None
    except UnreadableThresholds as exc:
        derived = Derived.off(space.id, str(exc))
    known = in_force(settings, space.thresholds, model, derived.thresholds if derived else None, prompts)
    found = [_without_confidences(one, model, manifest) if one.name == "min_confidence" else one for one in known]
    if derived is None:
        missing = NOT_ENCODED if manifest is None else NOT_DERIVED
        return [replace(one, detail=missing) if one.detail == NOT_DERIVED else one for one in found]
    return [_with_numbers(one, derived) for one in found]


def _without_confidences(
    one: ThresholdInForce, model: ConfidenceModel | None, manifest: Manifest | None
) -> ThresholdInForce:
    """Off if tags have no confidence: scoring then ignores the minimum."""
    if one.value is None:
        return one
    if model is None:
        return _off(one.name, f"{one.detail} has no effect: {_NO_MODEL}")
    if manifest is not None and manifest.count < SAMPLE_LEAST:
        return _off(one.name, f"fewer than {SAMPLE_LEAST} captions were imported: tags have no confidence")
    return one


def _with_numbers(one: ThresholdInForce, derived: Derived) -> ThresholdInForce:
    if one.origin != "captions" and one.detail != _NONE:
        return one
    part: Threshold = getattr(derived, _DERIVED[one.name])
    return replace(one, detail=part.reason or one.detail, numbers=part.numbers)


def _of_model(model: ConfidenceModel | None) -> ThresholdInForce:
    if model is None:
        return _off("min_confidence", _NO_MODEL)
    return ThresholdInForce("min_confidence", model.threshold, "confidence model", "fitted on labelled images")


def _of_encoder(name: str, thresholds: Thresholds) -> ThresholdInForce:
    value = getattr(thresholds, _MEASURED[name])
    if value == OFF[name]:
        return _off(name, "not used with this encoder")
    return ThresholdInForce(name, value, "encoder", "measured for this encoder")


def _of_captions(
    name: str, settings: Settings, model: ConfidenceModel | None, derived: DerivedThresholds | None,
    prompts: Sequence[str],
) -> ThresholdInForce:  # fmt: skip
    why = _why_not(name, settings, model, derived, prompts)
    if why or derived is None:
        return _off(name, why)
    value: float | None = getattr(derived, _DERIVED[name])
    if value is None:
        return _off(name, _NONE)
    return ThresholdInForce(name, value, "captions", "derived for these captions, without labels")


def _why_not(
    name: str, settings: Settings, model: ConfidenceModel | None, derived: DerivedThresholds | None,
    prompts: Sequence[str],
) -> str:  # fmt: skip
    """Why what is derived does not apply; empty if it does."""
    reasons = {
        "not derived: scores say nothing without labels": name not in _DERIVED,
        "WILDTAG_PROFILE=paper tags as the paper does": settings.profile == "paper",
        "the confidence model, which was fitted on labels, weighs evidence instead": (
            name == "evidence_similarity" and model is not None
        ),
        NOT_DERIVED: derived is None,
        "derived with other WILDTAG_PROMPTS; run wildtag captions thresholds": (
            name in _OF_WORDS and derived is not None and derived.prompts != digest_of(prompts)
        ),
    }
    return next((reason for reason, applies in reasons.items() if applies), "")


def _off(name: str, why: str) -> ThresholdInForce:
    return ThresholdInForce(name, None, "off", why)
