"""The bound of a position among members that are spread over partitions."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from workers.lifecycle.positions import SLACK, bound_of


@settings(max_examples=50)
@given(st.lists(st.integers(0, 1000), max_size=600), st.integers(0, 700))
def test_the_bound_of_a_position(values: list[int], start: int) -> None:
    asked = []

    def above(bounds: Sequence[int]) -> list[int]:
        asked.append(len(bounds))
        return [sum(value > bound for value in values) for bound in bounds]

    bound, passed = bound_of(start, -1, 1000, above)
    assert passed == sum(value > bound for value in values) <= start
    close = start - passed <= SLACK
    assert close or bound == -1 or sum(value > bound - 1 for value in values) > start
    assert len(asked) <= 3
