"""The messages of the task that adds images to the index of images: no record is written, and none is sent.

``Embed`` goes to the queue ``embedding``. It is answered with ``Indexed``, by its worker if no image can be embedded,
else by the owner of the index, to which that worker sends ``Keep`` with the same id of the request.
"""

from __future__ import annotations

import msgspec

from tasks.message_parts import Fault
from tasks.messages import Embedded, Submitted
from vectordb.decoders import from_msgpack

TASK = "wildtag.index"
QUEUE = "embedding"
PATIENCE_S = 120.0  # for a batch: the model may have to be loaded


class Embed(msgspec.Struct, frozen=True, tag_field="do", tag="embed"):
    """Fetch and embed these objects, and put them into the index."""

    batch: Submitted


class Keep(msgspec.Struct, frozen=True, tag_field="do", tag="keep"):
    """Put these images into the index. ``faults``: of those that could not be embedded."""

    batch: Embedded
    faults: tuple[Fault, ...] = ()


class Indexed(msgspec.Struct, frozen=True):
    """``ids``: the objects (``bucket/key``) that are in the index now. ``faults``: of the others.

    An object in neither is on its way again.
    """

    ids: tuple[str, ...]
    faults: tuple[Fault, ...] = ()


class NotIndexed(msgspec.Struct, frozen=True):
    """The whole batch failed; not sent by a worker."""

    reason: str


def decode(data: bytes) -> Embed | Keep:
    """Decode a message."""
    found: Embed | Keep = from_msgpack(data, Embed | Keep)  # type: ignore[arg-type] # a union
    return found
