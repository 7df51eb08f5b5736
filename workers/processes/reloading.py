"""Runs a process again, in place, when another encoder is put into use."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from workers.redis.encoders import EncoderChanged
from workers.settings.settings import Settings
from workers.wiring.encoder_in_use import in_use
from workers.wiring.wiring import Wiring

log = structlog.get_logger()


def reloading(settings: Settings, run: Callable[[Wiring], object]) -> None:
    """Run with the encoder in use, and again with the one that takes its place. Returns when ``run`` does.

    Raises ``EncoderChanged`` if the settings name an encoder that is not in use.
    """
    while True:
        wiring = Wiring(in_use(settings))
        try:
            run(wiring)
        except EncoderChanged:
            then = in_use(settings)
            if (then.encoder, then.runtime) == (wiring.settings.encoder, wiring.settings.runtime):
                raise
            log.info("the encoder was changed", encoder=then.encoder)
        else:
            return
