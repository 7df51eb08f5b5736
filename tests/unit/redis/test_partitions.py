"""Where the keys of objects are: in the partition of the object, under a prefix with a hash tag of its own."""

from __future__ import annotations

from collections import Counter

import pytest
from pydantic import ValidationError
from redis.crc import key_slot

from workers.redis.connection import NoHashTag
from workers.redis.keys import Keys
from workers.redis.partitions import Partitions
from workers.settings.settings import Settings


@pytest.mark.parametrize("prefix", ["{wildtag}:", "wildtag:", ""])
def test_one_partition_has_the_keys_of_before(prefix: str) -> None:
    partitions = Partitions(Keys(prefix), 1)
    assert partitions.all == (Keys(prefix),)
    assert partitions.keys(0) == Keys(prefix)
    assert partitions.of("inbox/a.jpg") == 0


@pytest.mark.parametrize(
    ("prefix", "second"), [("{wildtag}:", "{wildtag:1}:"), ("a{b}c{d}:", "a{b:1}c{d}:"), ("}{x}", "}{x:1}")]
)
def test_the_keys_of_a_partition_are_in_one_slot(prefix: str, second: str) -> None:
    partitions = Partitions(Keys(prefix), 8)
    assert partitions.keys(1).prefix == second
    assert len({keys.prefix for keys in partitions.all}) == 8
    for keys in partitions.all:
        assert key_slot(keys.record("inbox/{a}").encode()) == key_slot(keys.prefix.encode())
    assert len({key_slot(keys.prefix.encode()) for keys in partitions.all}) == 8


def test_an_object_has_one_partition_for_good() -> None:
    """The numbers are part of the layout: another function would lose every record."""
    partitions = Partitions(Keys("{wildtag}:"), 7)
    oids = ("inbox/a.jpg", "inbox/b.jpg", "photos/ä.png", "photos/\udcff")
    assert [partitions.of(oid) for oid in oids] == [4, 0, 5, 3]
    counted = Counter(partitions.of(f"inbox/{i}.jpg") for i in range(7_000))
    assert set(counted) == set(range(7))
    assert all(800 < number < 1200 for number in counted.values())


def test_positions_by_partition() -> None:
    partitions = Partitions(Keys("{wildtag}:"), 3)
    oids = [f"inbox/{i}" for i in range(50)]
    divided = partitions.divide(oids)
    assert sorted(position for positions in divided.values() for position in positions) == list(range(50))
    for partition, positions in divided.items():
        assert positions == sorted(positions)
        assert {partitions.of(oids[position]) for position in positions} == {partition}
    assert partitions.divide([]) == {}


def test_several_partitions_need_a_hash_tag() -> None:
    with pytest.raises(NoHashTag, match=r"^2 partitions need .* hash tag.*WILDTAG_KEY_PREFIX={wildtag}:"):
        Partitions(Keys("wildtag:"), 2)
    with pytest.raises(ValidationError, match="needs a prefix with a hash tag"):
        Settings(partitions=2)
    assert Settings(partitions=2, key_prefix="{wildtag}:").partitions == 2
    assert Settings().partitions == 1


@pytest.mark.parametrize("number", [0, 257])
def test_their_number_is_bounded(number: int) -> None:
    with pytest.raises(ValidationError):
        Settings(partitions=number, key_prefix="{wildtag}:")
