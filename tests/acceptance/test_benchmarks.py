"""The benchmarks that need a real stack, with a few images: as a person runs them in their short mode, or in parts.

What measures a stack that runs is shown on the shared one; what starts, suspends and compares stacks takes long.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from ops.bench import latency, memory, pipeline, soak
from ops.bench.processes import EMBEDDING
from ops.bench.stacks import Stack as Measured
from ops.bench.varied import Varied
from tests.acceptance.images import drop, photograph
from tests.acceptance.stack import ROOT, Stack
from tests.eventually import eventually
from tests.warm import wildtag

pytestmark = pytest.mark.timeout(600)

# the first label of each is one that no encoder knows, so there is something to teach
LABELS = {"chelsea.png": "Chelsea|cat", "coffee.png": "Tuesday|coffee|cup", "rocket.jpg": "Ludmilla|rocket"}


@pytest.fixture
def measured(running: Stack) -> Measured:
    """The shared stack, as the benchmarks see one."""
    return Measured(running.home, {"WILDTAG_HOME": str(running.home)})


def test_images_a_second_and_cpu_by_service(measured: Measured, tmp_path: Path) -> None:
    files = Varied(side=128, seed=1).write(tmp_path, 9)
    before = measured.finished()
    found = pipeline.through_stack(measured, files[1:], files[:1], "bench-pipeline")
    assert measured.finished() >= before + 9
    assert found["per_s"] > 0
    assert 0 < found["cpu_ms_outside_embedding"] < found["cpu_ms_all"]
    assert {EMBEDDING, "worker-scoring", "redis", "supervisor", "watcher"} <= set(found["cpu_ms"])


def test_latency_of_uploads_and_of_drops_beyond_the_encoder(measured: Measured, tmp_path: Path) -> None:
    files = Varied(side=128, seed=2).write(tmp_path, 4)
    uploads, drops = latency.uploads(measured, files[:2]), latency.drops(measured, files[2:], "bench-latency")
    for way, took in (("upload", uploads), ("drop", drops)):
        assert len(took) == 2
        assert all(whole > told["total"] > told["embedding"] > 0 for whole, told in took)
        assert latency.figures(way, took)["over"]["p99"] > 0


def test_memory_of_every_service_while_it_works(measured: Measured, tmp_path: Path) -> None:
    found = memory.busy(measured, Varied(side=128, seed=3).write(tmp_path, 4), "bench-memory")
    assert set(measured.pids) <= set(found["end"]["services"])
    assert found["peak"]["pss"] >= found["end"]["pss"]
    assert all(one["pss"] >= one["own"] > 0 for one in found["end"]["services"].values())


def test_a_soak_ends_with_all_of_its_images(measured: Measured) -> None:
    found = soak.measured(measured, images=8, settled=2, part=4)
    assert found["looks"][-1]["images"] >= 8
    assert set(measured.pids) <= set(found["processes"])
    assert found["redis_bytes_a_record"] is not None


def bench(prepared: Path, *arguments: str) -> Any:
    """What a benchmark prints as JSON."""
    done = wildtag(
        *arguments, "--json", env={**os.environ, "WILDTAG_HOME": str(prepared)}, timeout=400, module="ops.bench"
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.long
def test_two_checkouts_are_compared_in_turns(prepared: Path) -> None:
    against = ("--against", str(ROOT), "--against-home", str(prepared))
    found = bench(prepared, "pipeline", "--short", *against)["summary"]
    assert found["ratio"]["per_s"]["median"] > 0
    assert all(found[side]["of_bare"]["median"] > 0 for side in ("this", "against"))
    found = bench(prepared, "latency", "--short", *against)["figures"]
    assert all(found[side][way]["images"] == 4 for side in ("this", "against") for way in ("upload", "drop"))


@pytest.mark.long
def test_memory_soak_and_start_of_a_stack_of_their_own(prepared: Path) -> None:
    assert bench(prepared, "memory", "--short")["figures"]["this"]["peak"]["pss"] > 100
    assert bench(prepared, "soak", "--short")["looks"][-1]["images"] == 40
    steady = bench(prepared, "steady", "--short")
    assert steady["images"] >= 50
    assert "redis keys" in steady["sizes"]
    found = bench(prepared, "start", "--short")["figures"]["this"]
    assert all(found[part]["seconds"]["median"] > 0 for part in ("help", "tag", "up"))
    assert found["environment_mb"] > 100


@pytest.mark.long
def test_a_benchmark_that_is_ended_leaves_no_suspended_stack(prepared: Path) -> None:
    environment = {**os.environ, "WILDTAG_HOME": str(prepared)}
    command = [sys.executable, "-m", "ops.bench", "pipeline", "--images", "2000", "--rounds", "1"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as process:
        family = psutil.Process(process.pid)
        try:
            eventually(lambda: [one for one in family.children() if one.status() == psutil.STATUS_STOPPED], 120)
            started = family.children(recursive=True)
        finally:
            process.terminate()
        assert process.wait(90) != 0
    eventually(lambda: not [one for one in started if one.is_running() and one.status() != psutil.STATUS_ZOMBIE], 30)


@pytest.mark.long
def test_a_model_with_random_weights_goes_through_the_stack(prepared: Path) -> None:
    found = bench(prepared, "pipeline", "--short", "--encoder", "random-tiny")
    assert found["encoder"] == "random-tiny"
    assert found["summary"]["this"]["per_s"]["median"] > 0


@pytest.mark.long
def test_the_reference_takes_the_captions_of_the_home(prepared: Path) -> None:
    found = bench(prepared, "reference", "--short", "--model", "random-tiny")
    assert found["ratio"]["again"]["median"] > 0
    assert found["texts_an_image"] > 10


@pytest.mark.long
def test_every_part_of_the_table_is_measured(prepared: Path, tmp_path: Path) -> None:
    for name in LABELS:
        drop(tmp_path / "photographs", name, photograph(name))
    table = tmp_path / "set.tsv"
    rows = [f"{name}\t{labels}" for name, labels in LABELS.items()]
    table.write_text("\n".join(["path\tlabels", *rows]) + "\n", encoding="utf-8")
    done = wildtag(
        "search", "--short", "--json", "--folder", str(tmp_path / "bench"), "--photographs", str(table),
        "--photographs-root", str(tmp_path / "photographs"), env={**os.environ, "WILDTAG_HOME": str(prepared)},
        timeout=400, module="ops.bench",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    body = json.loads(done.stdout)
    assert list(body["missing"]) == ["cut-outs"]
    found = {row["name"]: row["value"] for row in body["measures"]}
    assert all(value is not None for value in found.values()), found
    assert found["images that follow, share of those concerned"] == 1.0
    assert body["figures"]["examples"]["lessons"] == 2
    assert body["figures"]["archive"]["others"] == 0
