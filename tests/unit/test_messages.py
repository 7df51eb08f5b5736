"""Messages go there and back unchanged, and what is not exactly of their kind and version is refused."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tasks.message_parts import Candidate, Hit, ObjectRef, Revision, Tag, Vectors
from tasks.messages import Batch, Embedded, Extracted, Retrieved, Scored, Submitted, UnreadableMessage

OBJECTS = (ObjectRef("inbox", "ünï côdé +.jpg", "e1", 7), ObjectRef("inbox", "b.jpg", "e2", None, "v2"))
REVISION = Revision("space", "captions@1")
MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3)
HITS = ((Hit(2**64 - 1, "a cat", 0.5),), ())
VECTORS = Vectors.of(MATRIX)

MESSAGES: list[Batch] = [
    Submitted(objects=OBJECTS, revision=REVISION),
    Embedded(objects=OBJECTS, revision=REVISION, vectors=VECTORS),
    Retrieved(objects=OBJECTS, revision=REVISION, vectors=VECTORS, centroids=VECTORS, hits=HITS),
    Extracted(
        objects=OBJECTS, revision=REVISION, vectors=VECTORS, centroids=VECTORS, hits=HITS,
        candidates=((Candidate("cat", (0,)),), (Candidate("object"),)),
    ),
    Scored(objects=OBJECTS, revision=REVISION, hits=HITS, tags=((Tag("cat", 0.5, 0.5, 0.5, (0,)),), ())),
]  # fmt: skip


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_there_and_back(message: Batch) -> None:
    timed = message.timed("embedding", 1.5)
    assert type(message).decode(timed.encode()) == timed
    assert message.timings_ms == {}


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_other_kinds_unknown_fields_and_junk_are_refused(message: Batch) -> None:
    kind = type(message)
    fields = msgspec.msgpack.decode(message.encode())
    for bad in (
        {**fields, "kind": fields["kind"] + "0"},
        {**fields, "surprise": 1},
        {name: value for name, value in fields.items() if name != "revision"},
    ):
        with pytest.raises(UnreadableMessage):
            kind.decode(msgspec.msgpack.encode(bad))
    with pytest.raises(UnreadableMessage):
        kind.decode(b"\xc1junk")
    other = Submitted if kind is not Submitted else Embedded
    with pytest.raises(UnreadableMessage):
        other.decode(message.encode())


def test_messages_are_frozen() -> None:
    with pytest.raises(AttributeError):
        MESSAGES[0].objects = ()  # type: ignore[misc]  # that it cannot be done is the point


def test_vectors_travel_as_bytes_and_come_back_without_a_copy() -> None:
    assert len(VECTORS.data) == MATRIX.nbytes
    back = VECTORS.array()
    assert np.array_equal(back, MATRIX)
    assert not back.flags.writeable
    assert Vectors.of(np.empty((0, 3), np.float32)).array().shape == (0, 3)
