"""Which runtime the encoder of the settings uses on this machine: measured once, at the first start or by command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.settings.settings import Settings

if TYPE_CHECKING:
    from tasks.encoders.tuning.remembered import Tuning
    from tasks.encoders.tuning.tuned import Said


def on_cpu(settings: Settings) -> bool:
    """Whether the encoder computes on the CPU as far as can be seen without loading torch."""
    from tasks.encoders import BUNDLED  # noqa: PLC0415 -- keeps the start quick
    from tasks.encoders.devices import Machine  # noqa: PLC0415 -- as above

    if settings.encoder == BUNDLED or settings.device == "cpu" or settings.runtime != "auto":
        return True
    return settings.device == "auto" and Machine().accelerator() is None


def read_tuning(settings: Settings) -> Tuning | None:
    """What was measured of the encoder on this machine; ``None`` if nothing was. Loads no model."""
    from tasks.encoders.tuning.tuned import remembered  # noqa: PLC0415 -- as above

    return remembered(settings.encoder, settings.cache_folder, settings.threads)


def is_untuned(settings: Settings) -> bool:
    """Whether a start has to measure first."""
    return settings.tune and settings.runtime == "auto" and on_cpu(settings) and read_tuning(settings) is None


def tune(settings: Settings, said: Said, *, at_start: bool = False, thorough: bool = False) -> Tuning:
    """Measure and remember. See ``tasks.encoders.tuning.tuned.tune``."""
    from tasks.encoders.tuning import tuned  # noqa: PLC0415 -- as above

    return tuned.tune(
        settings.encoder, settings.cache_folder, settings.threads, at_start=at_start, thorough=thorough, said=said
    )
