"""Creates the encoders and the options of the method from the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import partial

from tasks.confidence import ConfidenceModel, load, shipped
from tasks.encoders import load_image_encoder, load_text_encoder
from tasks.encoders.protocols import ImageEncoder, TextEncoder, Thresholds
from tasks.pipeline import PipelineOptions
from tasks.scoring import PLAIN
from workers.settings.settings import Settings


def image_encoder(settings: Settings) -> ImageEncoder:
    """Load the image encoder."""
    s = settings
    return load_image_encoder(
        s.encoder,
        cache_dir=s.cache_folder,
        threads=s.threads,
        test_time_augmentation=s.test_time_augmentation,
    )


def text_encoder_loader(settings: Settings) -> Callable[..., TextEncoder]:
    """Returns a function that loads the text encoder. A call may override ``threads``. It can be pickled."""
    s = settings
    return partial(load_text_encoder, s.encoder, cache_dir=s.cache_folder, threads=s.threads)


def confidence_model(settings: Settings, space_id: str) -> ConfidenceModel | None:
    """The confidence model of a space: of the settings, of the home, or shipped. Raises ``BadConfidenceModel``."""
    if settings.confidence_model is not None:
        return load(settings.confidence_model, space_id)
    own = settings.calibration_folder / f"{space_id}.json"
    return load(own, space_id) if own.exists() else shipped(space_id)


def pipeline_options(
    settings: Settings, thresholds: Thresholds, model: ConfidenceModel | None = None
) -> PipelineOptions:
    """The options of the method; each is the setting with the same name.

    ``thresholds`` and ``model``: those of the encoder's space, for settings without a value.
    """
    s, t = settings, thresholds
    chosen = s.model_dump(include={field.name for field in fields(PipelineOptions)})
    measured = {"min_score": t.score, "synonym_similarity": t.synonym, "unknown_similarity": t.unknown}
    measured["min_confidence"] = 0.0 if model is None else model.threshold
    for name, value in measured.items():
        if chosen[name] is None:
            chosen[name] = value
    chosen["distinct_tags"] = s.distinct_tags and s.profile != "paper"  # the paper has no such step
    lines = s.prompts.read_text().splitlines() if s.prompts else PLAIN
    prompts = tuple(line for line in lines if line.strip())
    return PipelineOptions(**{**chosen, "limit": s.retrieval_limit, "prompts": prompts})
