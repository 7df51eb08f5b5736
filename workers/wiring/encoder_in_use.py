"""Which encoder processes and commands use: that of the settings, or the one that a switch has put into use."""

from __future__ import annotations

from vectordb.errors import Transient
from workers.redis.connection import connect
from workers.redis.encoders import EncoderChanged, Encoders
from workers.redis.keys import Keys
from workers.settings.encoder_in_use import NEXT, refused_in
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
    """Return if the encoder of the settings is in use, or still prepares if these are settings of one that does.

    Raises ``EncoderChanged``, ``StoreUnavailable``.
    """
    found = wiring.encoders.look()
    if wiring.settings.key_prefix.endswith(NEXT):
        wiring.encoders.require_preparing(wiring.space.id)
    if found and found != wiring.space.id:
        chosen = wiring.encoders.in_use()
        raise _changed(chosen.encoder if chosen else found, wiring.settings.encoder)


def require_encoder_of_home(settings: Settings) -> None:
    """As ``require_in_use``, by what the home remembers, while no Redis runs."""
    if (found := refused_in(settings.home, settings.encoder)) is not None:
        raise _changed(found, settings.encoder)


def _changed(in_use_: str, given: str) -> EncoderChanged:
    return EncoderChanged(
        f"the encoder in use is {in_use_}, and this is for {given}: start again with WILDTAG_ENCODER={in_use_}, or"
        " change the encoder with `wildtag encoder begin`"
    )
