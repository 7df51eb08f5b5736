"""How a record is stored: a head that the scripts read, and a body that only Python reads.

``P record:OID`` is a string: two bytes with the length of the head (big-endian), the head (``Head`` as a msgpack
array), then the compressed body. The body is the JSON of the record, a line break, and the JSON of the rows under
which it is found (``workers.lifecycle.tag_entries``). What the key or the head has is left out of the body.
"""

from __future__ import annotations

import msgspec

from tasks.message_parts import place_of
from vectordb.decoders import from_json, from_msgpack
from workers.lifecycle.record import DamagedRecord, Record, decode
from workers.lifecycle.record_dictionary import PLAIN, Undecodable, compressed, decompressed
from workers.lifecycle.tag_entries import Row, tag_entries

HEAD_BYTES = 511  # a read of so many bytes from the beginning nearly always has the whole head
STATE_SPAN = float(2**33)
"""Seconds between the scores of two states in ``P records``: each has its own range, in the order of the times."""
ACKNOWLEDGED = "acknowledged"
"""Not a state of a record: the range of those that are dead and were acknowledged (``workers.lifecycle.dead``)."""
PLACES = {"done": 0, "failed": 1, "dead": 2, "skipped": 3, ACKNOWLEDGED: 4}
"""The ranges of the states. Times of records that are done are their scores; the others are rounded by 8 µs."""


class Head(msgspec.Struct, frozen=True, array_like=True):
    """What the scripts read. ``segment``, ``requested``: see ``P entry:OID``. ``number``: see ``P numbered:PAGE``.

    ``at``: the time of the record, Unix seconds.
    """

    etag: str
    sequence: str
    revision: str
    state: str
    segment: str
    requested: str
    number: int
    at: float

    @property
    def captions_version(self) -> str:
        """The captions version of the revision."""
        return self.revision.partition("/")[2]


def score_of(state: str, at: float) -> float:
    """The score of a record in ``P records``."""
    return PLACES[state] * STATE_SPAN + at


def state_range(state: str) -> tuple[str, str]:
    """The bounds of the scores of the records in a state, as Redis takes them."""
    return f"{score_of(state, 0.0):.17g}", f"({score_of(state, STATE_SPAN):.17g}"


def time_of(score: float) -> float:
    """The time of a record by its score, Unix seconds."""
    return score % STATE_SPAN


def head_bytes(value: bytes) -> bytes:
    """The head as it is stored, or what there is of it."""
    return value[: 2 + int.from_bytes(value[:2], "big")]


def head_of(value: bytes) -> Head:
    """The head of a stored record, of which the first ``HEAD_BYTES`` may be given.

    Raises ``Incomplete`` if these do not have it all, and ``DamagedRecord``.
    """
    return _split(value)[0]


class Incomplete(DamagedRecord):
    """The head is longer than what was read."""


def packed_body(record: Record, rows: list[Row], at: float) -> bytes:
    """The compressed body of a record that is written at ``at``, Unix seconds."""
    return compressed(plain_body(record, rows, at))


def plain_body(record: Record, rows: list[Row], at: float) -> bytes:
    """The same, not compressed."""
    finished = 0.0 if record.finished_at == at else record.finished_at
    rest = msgspec.structs.replace(
        record, bucket="", key="", etag="", space_id="", captions_version="", finished_at=finished
    )
    return rest.json() + b"\n" + msgspec.json.encode(rows)


def unreadable_body(body: bytes) -> bytes:
    """What is stored in place of a body that could not be read, so that it is found as damaged."""
    return bytes((PLAIN,)) + body.replace(b"\n", b" ")


def packed(head: Head, body: bytes) -> bytes:
    """A stored record. The scripts do the same."""
    packed_head = msgspec.msgpack.encode(head)
    return len(packed_head).to_bytes(2, "big") + packed_head + body


def read_record(oid: str, value: bytes) -> Record:
    """The record of an object. Raises ``DamagedRecord``."""
    head, data = _split(value)
    json, _, _ = _text(data).rpartition(b"\n")
    record = decode(json)
    space_id, _, captions_version = head.revision.partition("/")
    bucket, key = place_of(oid)
    return msgspec.structs.replace(
        record, bucket=bucket, key=key, etag=head.etag, space_id=space_id, captions_version=captions_version,
        finished_at=record.finished_at or head.at,
    )  # fmt: skip


def read_rows(value: bytes) -> tuple[Head, list[Row]]:
    """The head, and the rows under which the record is found. Raises ``DamagedRecord``."""
    head, data = _split(value)
    _, _, rows = _text(data).rpartition(b"\n")
    try:
        return head, from_json(rows, list[Row])
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise DamagedRecord(f"the rows of the record cannot be read: {exc}") from exc


def readable(value: bytes) -> tuple[Head | None, list[Row]]:
    """The head and the rows of a stored record, as far as they can be read."""
    head = None
    try:
        head = head_of(value)
        return read_rows(value)
    except DamagedRecord:
        return head, []


def rows_of(record: Record) -> list[Row]:
    """The rows under which a record is found."""
    return [entry.row for entry in tag_entries(record)]


def _split(value: bytes) -> tuple[Head, bytes]:
    end = 2 + int.from_bytes(value[:2], "big")
    if len(value) < end:
        raise Incomplete("the head of the record is cut off")
    try:
        return from_msgpack(value[2:end], Head), value[end:]
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise DamagedRecord(f"the head of the record cannot be read: {exc}") from exc


def _text(data: bytes) -> bytes:
    try:
        return decompressed(data)
    except Undecodable as exc:
        raise DamagedRecord(f"the record cannot be read: {exc}") from exc
