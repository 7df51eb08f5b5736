"""The catalogue is consistent with what counts, and its labels stay few."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from workers.gateway.background_value import BackgroundValue
from workers.lifecycle.ledger_counts import LEDGER_QUEUES, counts_of
from workers.lifecycle.reasons import OTHER, REASONS, counted_reason
from workers.monitoring.catalogue import CATALOGUE, OBJECT_DURATION, OBJECT_S
from workers.monitoring.families import histogram_family
from workers.redis import scripts

ROOT = Path(__file__).parents[3]
OF_CLIENTS = {"away", "not-finished", "strange-answer"}  # errors of the Python client, which are in no record
UNITS = ("_seconds", "_bytes")


def test_names_are_unique_and_follow_the_conventions_of_prometheus() -> None:
    names = [one.name for one in CATALOGUE]
    assert len(set(names)) == len(names)
    for one in CATALOGUE:
        assert re.fullmatch(r"wildtag(_[a-z]+)+", one.name)
        assert not one.name.endswith(("_total", "_count", "_sum", "_bucket", "_created", "_info_info"))
        assert one.help
        assert not one.help.endswith("."), one.name
        assert bool(one.buckets) == (one.kind == "histogram"), one.name
        assert list(one.buckets) == sorted(set(one.buckets))
        if one.kind == "histogram" and one.name != "wildtag_batch_objects":
            assert one.name.endswith(UNITS)


def test_the_scripts_have_the_bounds_and_the_queues_of_the_catalogue() -> None:
    script = scripts.source("counting")
    bounds = re.search(r"BOUNDS = \{(.*?)\}", script, re.DOTALL)
    names = re.search(r"NAMES = \{(.*?)\}", script, re.DOTALL)
    assert bounds
    assert names
    assert tuple(map(float, bounds[1].split(","))) == OBJECT_S
    assert tuple(float(one.strip(" \n'")) for one in names[1].split(",")) == (*OBJECT_S, float("inf"))
    assert f"FIRST, PUT_OFF = '{LEDGER_QUEUES[0]}', '{LEDGER_QUEUES[-1]}'" in script


def test_every_code_of_an_error_that_a_record_may_have_is_a_reason() -> None:
    codes: set[object] = set()
    for package in ("tasks", "workers", "vectordb"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ClassDef):
                    codes |= {
                        one.value.value for one in node.body
                        if isinstance(one, ast.Assign | ast.AnnAssign) and isinstance(one.value, ast.Constant)
                        and isinstance(one.value.value, str)
                        and "code" in {getattr(t, "id", "") for t in getattr(one, "targets", None) or [one.target]}  # type: ignore[union-attr]
                    }  # fmt: skip
                if (
                    isinstance(node, ast.Call)
                    and getattr(node.func, "id", "") in {"Dead", "Fail", "give_up"}
                    and node.args
                ):
                    codes |= {one.value for one in node.args[:1] if isinstance(one, ast.Constant)}
    assert {"truncated", "poisonous", "gone"} < codes
    assert {code for code in codes if code} - OF_CLIENTS <= REASONS


def test_a_reason_that_is_no_code_of_wildtag_is_counted_as_another_one() -> None:
    assert counted_reason("truncated") == "truncated"
    assert counted_reason("photos/me.jpg") == OTHER
    assert counted_reason(None) == counted_reason("") == ""


def test_counts_of_other_versions_are_read_as_far_as_they_are_known() -> None:
    found = counts_of({"accepted": 3, "object:7": 2, "object:inf": 1, "object:ms": 9000, "new:thing": 5})
    assert (found.accepted, found.duration.total) == (3, 9.0)
    made = histogram_family(OBJECT_DURATION, [((), found.duration.buckets, found.duration.total)])
    of = {sample.labels["le"]: sample.value for sample in made.samples if sample.name.endswith("_bucket")}
    assert (of["5.0"], of["10.0"], of["+Inf"]) == (0, 2, 3)


def test_a_value_that_takes_long_is_read_beside_and_kept() -> None:
    now, read = [0.0], []

    def slow() -> int:
        read.append(1)
        return len(read)

    value = BackgroundValue(slow, fresh_s=10, wait_s=5, clock=lambda: now[0])
    assert [value.get(), value.get()] == [1, 1]
    now[0] = 11
    assert value.get() in {1, 2}  # the old one, while the new one is read
