"""A real Prometheus scrapes the shared stack: every query of rules, alerts and dashboard gives an answer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.acceptance.images import photograph
from tests.acceptance.stack import Stack
from tests.documents import ROOT, blocks, typed
from tests.eventually import eventually
from tests.prometheus import exposed, names, program, queries
from tests.prometheus_server import scraping

FOLDER = "scraped"
PHOTOGRAPHS = "chelsea.png", "coffee.png"

EMPTY = {
    "panel Memory of Redis, A": "the Redis of the stack has no limit",
    "panel Redis, B": "as above",
    "panel Events, A": "a watched folder sends no notifications, which are what is counted",
    "panel Events in a day, A": "as above",
}
"""Queries without an answer, and why. Besides, those of metrics that have no series while all is well."""


def test_prometheus_is_there_in_ci() -> None:
    assert os.environ.get("CI") != "true" or program("prometheus"), "apt-get install prometheus"


if program("prometheus"):  # elsewhere the unit tests read the rules

    @pytest.mark.long
    def test_every_query_has_an_answer_and_what_fails_is_seen(running: Stack, tmp_path: Path) -> None:
        with scraping(running.info().addresses["gateway"], tmp_path) as prometheus:
            failed = 'sum(wildtag_objects_finished_total{state="failed"})'
            before = prometheus.value(failed)
            folder = running.inbox / FOLDER
            folder.mkdir()
            try:
                for name in PHOTOGRAPHS:
                    (folder / name).write_bytes(photograph(name))
                (folder / "damaged.png").write_bytes(photograph("coffee.png")[:20_000])
                running.settled(3, under=f"{FOLDER}/")
                eventually(lambda: prometheus.value(failed) > before, 30, prometheus.said)
                # a rate is known from two samples, and what failed is the newest series
                eventually(lambda: prometheus.query("wildtag:objects_failed:ratio15m"), 30, prometheus.said)
                occasional = {name for name, may_lack in exposed().items() if may_lack}
                empty = []
                for where, expr in queries():
                    found = prometheus.query(expr)
                    if not found and not where.startswith("alert ") and not names(expr) & occasional:
                        empty.append(where)
                assert set(empty) <= set(EMPTY), empty
                read = (
                    set().union(*(names(expr) for _, expr in queries()))
                    - occasional
                    - {"wildtag_events_received_total"}
                )
                assert not [name for name in sorted(read) if not prometheus.query(f"count({name})")]
                assert prometheus.faults() == []
                assert prometheus.query('ALERTS{alertstate="firing"}') == []
            finally:
                for name in PHOTOGRAPHS:  # the other one stays: if all were removed, their removal would be held
                    (folder / name).unlink(missing_ok=True)
                gone = {f"{FOLDER}/{name}" for name in PHOTOGRAPHS}
                eventually(lambda: not gone & set(running.known()), 60, running.said)


def test_the_commands_of_the_runbooks_work(running: Stack) -> None:
    page = ROOT / "docs" / "how-to" / "runbooks.md"
    lines = {line for block in blocks(page, "console") if block.mark is None for line in typed(block)}
    for line in sorted(lines):
        program_, *arguments = line.split()
        assert program_ == "wildtag"
        done = running.wildtag(*arguments, check=False)
        # doctor ends with 1 where something is missing, such as a newer Python
        assert done.returncode == 0 or arguments == ["doctor"], f"{line}: {done.stderr}"
        assert done.stdout or done.stderr
