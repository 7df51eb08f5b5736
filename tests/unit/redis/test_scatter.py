"""Calls of all partitions, and how their answers are merged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.redis.connection import StoreUnavailable
from workers.redis.keys import Keys
from workers.redis.partitions import Partitions
from workers.redis.scatter import Scatter


def test_a_fault_has_the_name_of_its_partition_and_others_have_done_their_part() -> None:
    partitions, done = Partitions(Keys("{x}:"), 3), list[int]()
    parts = Scatter(partitions, [0, 1, 2])

    def call(part: int, _: object = None) -> int:
        if part == 1:
            raise StoreUnavailable("away")
        done.append(part)
        return part

    with pytest.raises(StoreUnavailable) as fault:
        parts.each(call)
    assert fault.value.service == "redis/1"
    assert sorted(done) == [0, 2]
    assert parts.tried(range(3), call)[0] == {0: 0, 2: 2}


@given(st.lists(st.lists(st.binary(max_size=2), unique=True), min_size=3, max_size=3), st.integers(1, 5))
def test_members_are_merged_in_order_from_pages_of_any_size(parts: list[list[bytes]], size: int) -> None:
    scatter = Scatter(Partitions(Keys("{x}:"), 3), [sorted(part) for part in parts])

    def page(part: list[bytes], after: bytes | None) -> list[bytes]:
        return [member for member in part if after is None or member > after][:size]

    assert list(scatter.in_order(page, size)) == sorted(member for part in parts for member in part)
