"""Server-sent events are read wherever the network cuts them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from workers.client.server_events import ServerEvent, server_events

STREAM = (
    ": ping\n\nid: 0-9\n\nid: 1-0\nevent: done\ndata: {'a': '\u2028'}\n\n"
    "data:two\r\ndata: lines\r\n\r\nevent: nothing\n\nretry: 5\n: x\nid: 2-0\nevent: gap\ndata: {}\n\ndata: cut off\n"
).encode()
EVENTS = [
    ServerEvent("0-9", "message", b""),
    ServerEvent("1-0", "done", "{'a': '\u2028'}".encode()), ServerEvent("1-0", "message", b"two\nlines"),
    ServerEvent("2-0", "gap", b"{}"),
]  # fmt: skip


@given(st.lists(st.integers(0, len(STREAM)), max_size=10))
def test_events_are_read_wherever_they_are_cut(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in pairwise(ends)]
    assert list(server_events(pieces)) == EVENTS
