"""Which encoder processes and commands use: that of the settings, or the one that a switch has put into use."""

from __future__ import annotations

from vectordb.errors import Transient
from workers.redis.connection import connect
from workers.redis.encoders import EncoderChanged, Encoders
from workers.redis.keys import Keys
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring

PATIENCE_S = 2.0


def in_use(settings: Settings) -> Settings:
    """The settings with the encoder in use. As given, if Redis is away, or if they name one that was never used."""
    try:
        client = connect(settings.redis_url, settings.key_prefix, patience_s=PATIENCE_S, tries=1)
        found = Encoders(client, Keys(settings.key_prefix)).in_use()
    except Transient:
        return settings
    if found is None or ("encoder" in settings.model_fields_set and settings.encoder not in found.replaced):
        return settings
    return settings.model_copy(update={"encoder": found.encoder, "runtime": found.runtime})


def require_in_use(wiring: Wiring) -> None:
    """Return if the encoder of the settings is in use. Raises ``EncoderChanged``, ``StoreUnavailable``."""
    found = wiring.encoders.look()
    if found and found != wiring.space.id:
        chosen = wiring.encoders.in_use()
        name = chosen.encoder if chosen else found
        raise EncoderChanged(
            f"the encoder in use is {name}, and this is for {wiring.settings.encoder}: start again with"
            f" WILDTAG_ENCODER={name}, or change the encoder with `wildtag encoder begin`"
        )
