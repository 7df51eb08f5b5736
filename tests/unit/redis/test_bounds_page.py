"""The page of bounds has every key of the layout, and the numbers of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from workers.dispatch import event_filter, requested_sweeps
from workers.embedded import aof_repair
from workers.events import sink
from workers.gateway import batching_writer, sessions, thumbnails
from workers.images import kept_lists, statement_journal
from workers.notifying import notifier, outbox
from workers.processes import flower
from workers.redis import keys, stale_fields
from workers.settings.settings import Settings
from workers.wiring import wiring

PAGE = (Path(__file__).parents[3] / "docs/reference/bounds.md").read_text()
LAYOUT = re.findall(r"^``P ([^`]+)`` +(?:string|hash|sorted set|set|list|stream)\b", keys.__doc__ or "", re.MULTILINE)
ROWS = {
    name: cells[1]
    for line in PAGE.partition("## Keys of Redis")[2].partition("\n## ")[0].splitlines() if line.startswith("| `")
    for cells in [[cell.strip() for cell in line.strip("|").split(" | ")]]
    for name in re.findall(r"`([^`]+)`", cells[0])
}  # fmt: skip


def test_every_key_has_a_bound() -> None:
    assert len(LAYOUT) > 60
    assert sorted(ROWS) == sorted(LAYOUT)
    assert all(ROWS.values())


@pytest.mark.parametrize(
    ("key", "numbers"),
    [
        ("inbox", [Settings.model_fields["inbox_max"].default]),
        ("feed", [Settings.model_fields["feed_length"].default]),
        ("sweep-requests", [requested_sweeps.MOST]),
        ("events:rejected", [sink.REJECTED_KEPT, sink.BODY_KEPT // 1024]),
        ("events:recent", [event_filter.KEPT]),
        ("events:probes", [sink.PROBES_KEPT]),
        ("notify:waiting", [notifier.WAITING_MOST, notifier.WAITING_BYTES // 2**20]),
        ("notify:dead", [outbox.DEAD_KEPT]),
        ("page-sessions:ID", [sessions.MOST, sessions.LONGEST_S // 86_400]),
        ("searches", [kept_lists.KEPT, kept_lists.KEPT_BYTES // 2**20]),
    ],
)
def test_the_numbers_are_those_of_the_code(key: str, numbers: list[int]) -> None:
    line = next(line for line in PAGE.splitlines() if line.startswith("| `") and f"`{key}`" in line)
    assert all(re.search(rf"\b{number:,}\b", line) for number in numbers), line


def test_so_are_those_beside_the_keys() -> None:
    for number, words in (
        (thumbnails.KEPT // 2**20, "| thumbnails in the gateway | {:,} MB |"),
        (wiring.NEAR_ENTRIES, "{:,} entries, about 80 MB"),
        (flower.TASKS, "| {:,} and 500 |"),
        (aof_repair.KEPT, "the last two"),
        (stale_fields.TIMES, "ten times its lifetime"),
        (statement_journal.ENTRIES_MAX, "{:,} are replayed"),
        (batching_writer.MOST_WAITING // 2**20, "| notifications that the gateway holds | {:,} MB |"),
    ):
        assert words.format(number) in PAGE
    assert (aof_repair.KEPT, stale_fields.TIMES) == (2, 10)
