"""Which encoder prepares, as its processes see it, on a real Redis."""

from __future__ import annotations

import msgspec
import pytest

from workers.redis.connection import Client
from workers.redis.encoders import EncoderChanged, Encoders
from workers.redis.keys import Keys


def test_processes_of_an_encoder_that_prepares_notice_that_it_does_so_no_more(client: Client, keys: Keys) -> None:
    encoders, next_ = Encoders(client, keys), Encoders(client, Keys(keys.next))
    with pytest.raises(EncoderChanged):
        next_.require_preparing("new")
    change = encoders.begin("NEW", "auto", "new", "old", rate=2.0)
    next_.require_preparing("new")
    encoders.pace(change, None)
    assert encoders.change() == msgspec.structs.replace(change, rate=None)
    with pytest.raises(EncoderChanged):
        next_.require_preparing("another")
    encoders.forget()
    encoders.pace(change, 1.0)  # it does not come back
    with pytest.raises(EncoderChanged):
        next_.require_preparing("new")
