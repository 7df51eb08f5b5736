"""Creates the encoders and the options of the method from the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import partial

from tasks.confidence import ConfidenceModel, load, shipped
from tasks.embedding import VIEW
from tasks.encoders import load_image_encoder, load_text_encoder
from tasks.encoders.devices import CPU
from tasks.encoders.protocols import Described, ImageEncoder, TextEncoder, Thresholds
from tasks.message_parts import DerivedThresholds
from tasks.model_description import ONNX_RUNTIME
from tasks.pipeline import PipelineOptions
from tasks.scoring import PLAIN
from workers.decoding.decoders import Decoders
from workers.decoding.spawner import Spawner
from workers.settings.settings import Settings
from workers.wiring.thresholds import in_force, values

DECODERS = 2  # processes that decode at a time, for each process that uses them
DECODERS_MOST = 16  # beside an accelerator; each takes 100 MB and more
ENCODED_AT_ONCE = 8  # images that are encoded at a time on the CPU: the next ones are decoded meanwhile
LITTLE = 512 * 2**20  # bytes for an image: with less, as in the gateway's container, one slow image at a time


def decoders(settings: Settings, processes: int = DECODERS) -> Decoders:
    """What decodes images, in processes of its own. Starts none."""
    spawner = Spawner(settings.decode_memory_bytes, video=settings.video)
    slow = 1 if settings.decode_memory_bytes < LITTLE else DECODERS
    return Decoders(spawner, processes, settings.decode_limit_s, slow)


def decoded_ahead(encoder: object, cores: int) -> tuple[int, int, int]:
    """The processes that decode for an encoder, the images in a group, and the groups that it encodes at a time.

    For an accelerator all cores but one decode, and a group is two batches: the second is prepared while the first is
    computed. ONNX Runtime computes parts of a group in threads of their own: with two groups at a time, none of these
    waits for the slowest one at the end of a group.
    """
    if not isinstance(encoder, Described):
        return DECODERS, ENCODED_AT_ONCE, 1
    about = encoder.description
    if about.device != CPU:
        return min(max(DECODERS, cores - 1), DECODERS_MOST), 2 * about.batch, 1
    at_once = 2 if about.runtime == ONNX_RUNTIME else 1
    return DECODERS, max(ENCODED_AT_ONCE // at_once, about.batch), at_once


def image_encoder(settings: Settings) -> ImageEncoder:
    """Load the image encoder."""
    s = settings
    return load_image_encoder(
        s.encoder,
        cache_dir=s.cache_folder,
        threads=s.threads,
        test_time_augmentation=s.test_time_augmentation,
        device=s.device,
        runtime=s.runtime,
    )


def text_encoder_loader(settings: Settings) -> Callable[..., TextEncoder]:
    """Returns a function that loads the text encoder. A call may override ``threads``. It can be pickled."""
    s = settings
    return partial(
        load_text_encoder, s.encoder, cache_dir=s.cache_folder, threads=s.threads, device=s.device, runtime=s.runtime
    )


def confidence_model(settings: Settings, space_id: str) -> ConfidenceModel | None:
    """The confidence model of a space: of the settings, of the home, or shipped. Raises ``BadConfidenceModel``."""
    if settings.confidence_model is not None:
        return load(settings.confidence_model, space_id)
    own = settings.calibration_folder / f"{space_id}.json"
    return load(own, space_id) if own.exists() else shipped(space_id)


def prompts_of(settings: Settings) -> tuple[str, ...]:
    """The prompts with which words are encoded. Reads their file, if the settings name one."""
    lines = settings.prompts.read_text().splitlines() if settings.prompts else PLAIN
    return tuple(line for line in lines if line.strip())


def pipeline_options(
    settings: Settings, thresholds: Thresholds, model: ConfidenceModel | None = None,
    derived: DerivedThresholds | None = None,
) -> PipelineOptions:  # fmt: skip
    """The options of the method; each is the setting with the same name.

    ``thresholds``, ``model`` and ``derived``: those of the encoder's space and of the captions, for settings without
    a value. See ``workers.wiring.thresholds``.
    """
    chosen = settings.model_dump(include={field.name for field in fields(PipelineOptions)})
    prompts = prompts_of(settings)
    chosen |= values(in_force(settings, thresholds, model, derived, prompts))
    chosen["distinct_tags"] = settings.distinct_tags and settings.profile != "paper"  # the paper has no such step
    return PipelineOptions(
        **{**chosen, "limit": settings.retrieval_limit, "prompts": prompts, "view": view(settings)}
    )


def view(settings: Settings) -> str:
    """Names how images are read and encoded with these settings, besides the vector space: see ``VIEW``."""
    chosen = {
        "gps": settings.media_gps, "video": settings.video, "mirrored": settings.test_time_augmentation,
    }  # fmt: skip
    return "+".join([VIEW, *(name for name, on in chosen.items() if on)])
