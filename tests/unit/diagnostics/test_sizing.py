"""``wildtag size``: the arithmetic, and that every figure says where it was measured."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from workers.cli.main import app
from workers.diagnostics.sizing import DAY_S, Demand, UnknownEncoder, figures, size

KNOWN = figures()
ONE_A_SECOND = Demand(images_a_day=DAY_S, days_kept=10, peak_factor=1, used=1.0)


def test_every_figure_says_where_it_was_measured_or_that_it_was_assumed() -> None:
    for name, figure in KNOWN.items():
        assert figure.value > 0, name
        assert figure.what, name
        assert figure.measured != figure.where.startswith("assumed"), name


def test_cores_are_the_peak_times_the_cost_of_an_image() -> None:
    found = size(replace(ONE_A_SECOND, peak_factor=4, used=0.5), KNOWN)
    assert found.peak == 4
    cores = {one.name: one.cores for one in found.processes}
    assert cores["embedding"] == pytest.approx(4 * KNOWN["embedding_bundled_ms"].value / 1000 / 0.5, abs=1e-3)
    assert cores["redis"] == pytest.approx(4 * KNOWN["redis_ms"].value / 1000 / 0.5, abs=1e-3)
    assert found.cores == pytest.approx(sum(cores.values()), abs=0.01)


def test_processes_are_as_many_as_the_cores_need_and_each_takes_its_memory() -> None:
    found = {one.name: one for one in size(replace(ONE_A_SECOND, images_a_day=200 * DAY_S), KNOWN).processes}
    assert found["embedding"].processes == 3  # 5.7 cores, two for each
    assert found["embedding"].memory == round(3 * KNOWN["embedding_memory"].value * 1e6)
    assert found["extraction"].processes == 1


def test_redis_holds_the_records_and_the_feed_with_headroom() -> None:
    found = size(replace(ONE_A_SECOND, images_a_day=0, archive=1_000_000), KNOWN)
    data = 1_000_000 * KNOWN["redis_record"].value + 10_000 * KNOWN["redis_feed_entry"].value
    assert found.redis_data == pytest.approx(data + KNOWN["redis_empty"].value, rel=1e-6)
    assert found.redis_data < found.redis_maxmemory < found.redis_memory
    spread = size(replace(ONE_A_SECOND, images_a_day=0, archive=1_000_000, partitions=4), KNOWN)
    assert spread.redis_nodes == 4
    assert spread.redis_data == pytest.approx(found.redis_data / 4, rel=0.05)


def test_vectors_grow_with_their_dimension_and_number() -> None:
    one = size(replace(ONE_A_SECOND, captions=0), KNOWN)
    assert one.index_disk == pytest.approx(864_000 * KNOWN["image_disk"].value, rel=1e-6)
    assert size(replace(ONE_A_SECOND, captions=0, dimension=768), KNOWN).index_disk == 2 * one.index_disk
    assert one.bucket_disk == 0
    assert size(replace(ONE_A_SECOND, sidecars=True), KNOWN).bucket_disk == 864_000 * KNOWN["sidecar"].value


def test_what_one_process_or_one_thread_cannot_do_is_said() -> None:
    notes = " ".join(size(replace(ONE_A_SECOND, images_a_day=3000 * DAY_S), KNOWN).notes)
    for said in ("Qdrant server", "one dispatcher", "3 partitions", "GPU was not measured"):
        assert said in notes
    assert "3 partitions" not in " ".join(
        size(replace(ONE_A_SECOND, images_a_day=3000 * DAY_S, partitions=3), KNOWN).notes
    )


def test_an_encoder_without_figures_needs_a_measurement() -> None:
    with pytest.raises(UnknownEncoder, match="--image-ms"):
        size(replace(ONE_A_SECOND, encoder="foo/bar"), KNOWN)
    found = size(replace(ONE_A_SECOND, encoder="foo/bar", image_ms=500.0, dimension=768), KNOWN)
    assert found.processes[0].cores == 0.5
    assert "assumed" in found.notes[0]
    named = size(replace(ONE_A_SECOND, encoder="openai/clip-vit-base-patch32"), KNOWN)
    assert named.processes[0].cores == pytest.approx(KNOWN["embedding_clip_vit_b_32_ms"].value / 1000, abs=1e-3)


def test_the_command_prints_the_same_as_a_table_and_as_json() -> None:
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["size", "--images-a-day", "86400", *arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    body = json.loads(run("--json"))
    assert body["records"] == 365 * 86_400
    assert body["demand"]["images_a_day"] == 86_400
    assert body["figures"]["redis_record"]["where"]
    assert body["cores"] == pytest.approx(sum(one["cores"] for one in body["processes"]), abs=0.01)
    assert "embedding" in run()
