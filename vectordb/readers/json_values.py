"""Builds values from the events of a JSON parser, one item at a time, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from vectordb.readers.rows import LONGEST

_STARTS, _ENDS = frozenset({"start_map", "start_array"}), frozenset({"end_map", "end_array"})
_DEEPEST = 4  # containers within an item; what is deeper is dropped

Events = Iterator[tuple[str, Any]]


class Depth(ValueError):
    """An item is too large; the message says so."""


def items(events: Events, on_item: Callable[[], None] = lambda: None) -> Iterator[Any]:
    """The items of a container whose start was read, each built when it is asked for; of an object, its values."""
    for event, value in events:
        if event in _ENDS:
            return
        if event == "map_key":
            continue
        found = built(events, event, value)
        on_item()
        yield found


def built(events: Events, event: str, value: Any) -> Any:
    """The value that begins with this event.

    Numbers in lists are dropped, since they are not captions and there may be millions. Raises ``Depth`` for a value
    with more than 1 MiB of text.
    """
    return _built(events, event, value, [0], 0)


def _built(events: Events, event: str, value: Any, length: list[int], depth: int) -> Any:
    if event not in _STARTS:
        _count(length, value)
        return value
    row: dict[str, Any] | list[Any] = {} if event == "start_map" else []
    key = ""
    for inner, one in events:
        if inner in _ENDS:
            return row
        if inner == "map_key":
            key = one
            _count(length, one)
            continue
        if depth == _DEEPEST and inner in _STARTS:
            _pass(events)
            continue
        found = _built(events, inner, one, length, depth + 1)
        if isinstance(row, dict):
            row[key] = found
        elif found is None or isinstance(found, str | list | dict):
            row.append(found)
    return row


def _pass(events: Events) -> None:
    """Read to the end of a container whose start was read."""
    depth = 1
    for event, _ in events:
        depth += (event in _STARTS) - (event in _ENDS)
        if not depth:
            return


def _count(length: list[int], value: Any) -> None:
    length[0] += 1 + (len(value) if isinstance(value, str) else 0)
    if length[0] > LONGEST:
        raise Depth(f"more than {LONGEST:,} characters: this is not a caption")
