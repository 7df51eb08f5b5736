"""Stored records: what is read is what was written, and damage is found, whatever it is."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.bench.made_up_records import MadeUpRecords
from ops.record_dictionary import samples, trained
from workers.lifecycle.record import DamagedRecord, Record
from workers.lifecycle.record_dictionary import (
    CURRENT,
    PLAIN,
    Undecodable,
    compressed,
    decompressed,
    dictionary,
)
from workers.lifecycle.record_times import TICKS
from workers.lifecycle.stored_record import (
    HEAD_BYTES,
    PLACES,
    STATE_SPAN,
    Head,
    Incomplete,
    head_of,
    packed,
    packed_body,
    read_record,
    read_rows,
    rows_of,
    score_of,
    time_of,
)

AT = 1_790_000_000.123456
RELEASED = {1: "0dd28e7fc44cca07446566e8adb924ec6be28bddfc5d3b047590a73da9abacd8"}


def head(record: Record, **fields: object) -> Head:
    revision = f"{record.space_id}/{record.captions_version}"
    made = Head(record.etag, "0" * 32, revision, record.state, record.segmentation_method, "", 17, AT)
    return msgspec.structs.replace(made, **fields)


def stored(record: Record) -> bytes:
    return packed(head(record), packed_body(record, rows_of(record), AT))


@pytest.mark.long
def test_records_of_all_kinds_are_read_as_they_were_written() -> None:
    for record in [one for number, one in enumerate(samples()) if number % 97 == 0]:
        value = stored(record)
        assert read_record(record.id, value) == record
        assert read_record(record.id, value).json() == record.json()
        assert read_rows(value) == (head(record), rows_of(record))


def test_a_record_with_the_time_of_its_head_has_that_time() -> None:
    (record,) = MadeUpRecords(5).records(1, AT)
    record = msgspec.structs.replace(record, finished_at=AT)
    assert b"finished_at" in record.json()
    assert read_record(record.id, stored(record)) == record


def test_they_take_less_than_a_third_of_the_memory() -> None:
    records = list(MadeUpRecords(7).records(50, AT))
    assert sum(len(stored(one)) for one in records) < 0.33 * sum(len(one.json()) for one in records)


def test_a_key_may_have_any_bytes() -> None:
    (record,) = MadeUpRecords(5).records(1, AT)
    assert read_record("inbox/a/b é/\udcff.png", stored(record)).key == "a/b é/\udcff.png"


@pytest.fixture(scope="module")
def one() -> Record:
    return next(iter(MadeUpRecords(5).records(1, AT)))


@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_damaged_record_or_none_at_all(data: bytes, one: Record) -> None:
    for value in (data, packed(head(one), data), packed(head(one), bytes((CURRENT,)) + data)):
        with pytest.raises(DamagedRecord):
            read_record("inbox/a", value)
        with pytest.raises(DamagedRecord):
            read_rows(value)


def test_every_cut_is_found() -> None:
    (record,) = MadeUpRecords(5).records(1, AT)
    value = stored(record)
    for end in range(len(value)):
        with pytest.raises(DamagedRecord):
            read_record(record.id, value[:end])


def test_the_beginning_is_enough_for_the_head() -> None:
    (record,) = MadeUpRecords(5).records(1, AT)
    assert head_of(stored(record)[: HEAD_BYTES + 1]) == head(record)
    long = packed(head(record, etag="e" * 900), b"")
    assert head_of(long).etag == "e" * 900
    with pytest.raises(Incomplete):
        head_of(long[: HEAD_BYTES + 1])


def test_states_have_ranges_of_their_own_and_times_are_kept() -> None:
    scores = [score_of(state, at) for state in PLACES for at in (0.0, 1.0, AT, 4e9)]
    assert scores == sorted(scores)
    assert len(set(scores)) == len(scores)
    for state in PLACES:
        assert time_of(score_of(state, AT)) == pytest.approx(AT, abs=1e-5)
    assert score_of("done", AT) == AT
    assert score_of("acknowledged", STATE_SPAN - 1) * TICKS < 2.0**53


def test_bodies_name_their_dictionary_and_unknown_ones_are_refused() -> None:
    body = b'{"bucket":"inbox"}'
    data = compressed(body)
    assert data[0] == CURRENT
    assert decompressed(data) == decompressed(bytes((PLAIN,)) + body) == body
    with pytest.raises(Undecodable, match="no dictionary 250"):
        decompressed(bytes((250,)) + data[1:])
    with pytest.raises(Undecodable):
        decompressed(data + b"x")


@pytest.mark.parametrize(
    ("number", "digest"), [(1, "0dd28e7fc44cca07446566e8adb924ec6be28bddfc5d3b047590a73da9abacd8")]
)
def test_a_released_dictionary_never_changes(number: int, digest: str) -> None:
    """Records in all homes are compressed with it."""
    assert hashlib.sha256(dictionary(number).dict_content).hexdigest() == digest


@pytest.mark.long
def test_training_is_deterministic() -> None:
    assert trained() == trained()
